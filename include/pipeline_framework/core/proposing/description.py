"""What was seen of a source before its pipeline exists: fields, days, and a sample of its documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow

Kind = Literal["text", "integer", "number", "boolean", "timestamp", "date", "nested", "absent", "unknown"]
"""What a source says about a field: a type of column; `nested`: arrays or objects; `absent`: a field that no document
carries itself (an alias, a copy); `unknown`: the sample alone decides."""

DOCUMENTS_PER_WINDOW = 20
"""A sample has at most this many documents of each of the `sample_windows`, so some hundreds."""

_CUTS = 12


@dataclass(frozen=True, slots=True)
class SourceField:
    """One field or column.

    Attributes:
        path: Its keys from the document's root.
        type: The source's own name of its type.
        kind: What that is as a column.
        unit: What a number in it counts since 1970: `epoch_second` or `epoch_millis`; "" where it is no time.
        note: What a reader of the proposal should know about the type. Optional.
        is_decimal: A number of any precision, of which a 64-bit float may not keep every digit.
    """

    path: tuple[str, ...]
    type: str
    kind: Kind
    unit: str = ""
    note: str = ""
    is_decimal: bool = False

    @property
    def name(self) -> str:
        """Return the path as text."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class SourceShape:
    """What an index or a table is, before anything is counted.

    Attributes:
        name: Index, alias or table.
        fields: Every field, in the source's order.
        time_fields: Fields that can be the event time, the likeliest first.
        id_fields: Columns that can be the id, the likeliest first; empty where documents have an id of their own.
        visible_after: The longest time until a written document can be found.
        dots_nest: A key `a.b` in a document is the same as a key `b` in an object `a`.
    """

    name: str
    fields: tuple[SourceField, ...]
    time_fields: tuple[str, ...]
    id_fields: tuple[str, ...] = ()
    visible_after: timedelta = timedelta(0)
    dots_nest: bool = False


@dataclass(frozen=True, slots=True)
class DayRows:
    """Rows of one local day that has some."""

    day: date
    rows: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """One document of the sample: its event time (UTC), itself as parsed JSON with exact numbers, and its bytes."""

    event_at: datetime
    document: Any
    size: int


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """What was seen of a source.

    Attributes:
        shape: Index or table.
        time_field: The event time.
        timezone: IANA name of the zone of `days`.
        days: Local days that have rows, in order.
        undated: Rows without a usable event time; they belong to no window.
        sample: Documents of places all over the time range.
        unreadable: Documents of the sample that are no plain JSON.
        is_estimated: `days` are extrapolated from a part of a large table.
        note: What will make the pipeline slow or wrong. Optional.
    """

    shape: SourceShape
    time_field: str
    timezone: str
    days: tuple[DayRows, ...]
    undated: int
    sample: tuple[Sampled, ...] = field(repr=False)
    unreadable: int = 0
    is_estimated: bool = False
    note: str = ""

    @property
    def rows(self) -> int:
        """Return the rows that have an event time."""
        return sum(day.rows for day in self.days)

    @property
    def mean_bytes(self) -> float:
        """Return the mean size of the sample's documents; 0 without a sample."""
        return sum(each.size for each in self.sample) / len(self.sample) if self.sample else 0.0


def sample_windows(days: Sequence[DayRows], timezone: str) -> list[TimeWindow]:
    """Return windows, in order, whose first rows are a sample: none for no rows, else from the first day to the last.

    Days that have a larger share of the rows are chosen more often. Each choice cuts its day at another time of day, so
    that the sample is not of midnights alone, and all parts of a chosen day are windows, so that sparse days count.

    >>> from datetime import date
    >>> [str(each) for each in sample_windows([DayRows(date(2013, 3, 9), 1)], "UTC")][-1]
    '2013-03-09T22:00:00Z/2013-03-10T00:00:00Z'
    """
    total = sum(day.rows for day in days)
    cuts: dict[date, list[int]] = {}
    before, index = 0, 0
    for number in range(_CUTS if total else 0):
        wanted = (total - 1) * number // (_CUTS - 1)
        while before + days[index].rows <= wanted:
            before, index = before + days[index].rows, index + 1
        cuts.setdefault(days[index].day, []).append(number)
    windows: list[TimeWindow] = []
    for day, numbers in cuts.items():
        local = LocalDay(day, timezone)
        bounds = [local.start, *(local.start + (local.end - local.start) * part / _CUTS for part in numbers), local.end]
        windows += [TimeWindow(start, end) for start, end in pairwise(bounds) if start < end]
    return windows
