"""Handle late data: find days due for a revisit, closed windows that have changed, and how late rows come.

A *revisit* compares the closed windows (COMPLETED or SKIPPED) of one local day with their source, some days later. Its
figures are kept: they show how long to wait before a window is loaded (`x_time_back`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any

from include.pipeline_framework.core.lifecycle.transitions import Transition
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.errors import IllegalTransitionError

CATCH_UP_DAYS = 7
"""A missed revisit (Airflow was down, the source did not answer) is made later for this number of days."""

STEPS_HOURS = (1, 3, 6, 12, 24, 48, 72, 120, 168, 336, 720)
"""The delays, in hours, that a distribution has figures for."""

_HOUR = timedelta(hours=1)


class Mode(StrEnum):
    """Says how a revisit looks at the source."""

    COUNT = "count"
    FINGERPRINT = "fingerprint"


class Kind(StrEnum):
    """Says how a closed window differs from what the ledger says about it."""

    LATE_DATA = "late_data"
    VANISHED_DATA = "vanished_data"
    CHANGED_IDS = "changed_ids"
    TARGET_DIFFERS = "target_differs"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The ledger's figures of a closed window; None where it has none (a row adopted from an older table).

    Attributes:
        source_rows: Rows that were read from the source, loaded and quarantined.
        target_rows: Rows that were loaded.
        hash_sum: Hash sum of the loaded rows' ids.
        quarantined: Documents that were put aside; their ids are in no hash sum.
    """

    source_rows: int | None
    target_rows: int | None
    hash_sum: int | None
    quarantined: int

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Return the fingerprint of what the target holds, if the ledger has it."""
        if self.target_rows is None or self.hash_sum is None:
            return None
        return Fingerprint(self.target_rows, self.hash_sum)

    @property
    def source_fingerprint(self) -> Fingerprint | None:
        """Return the fingerprint of the source's ids if they are those that were loaded; None when it isn't known."""
        return None if self.quarantined else self.fingerprint


def loaded(row: LedgerRow) -> Loaded:
    """Return what a COMPLETED or SKIPPED row has loaded.

    It is not `source_count`: the audit took that later than the extract, so it includes a tolerated difference.
    """
    target_rows = _first(row, "target_count", "loaded_count", "staged_count")
    quarantined = row.quarantined_count or 0
    return Loaded(
        row.source_count if target_rows is None else target_rows + quarantined,
        target_rows,
        _first(row, "target_fingerprint", "loaded_fingerprint", "staged_fingerprint"),
        quarantined,
    )


@dataclass(frozen=True, slots=True)
class Change:
    """A closed window that no longer is what the ledger says.

    Attributes:
        kind: How it differs.
        row: The ledger's row.
        was: Rows that the ledger knows: of the source, or of the target with TARGET_DIFFERS.
        now: Rows that are found now.
    """

    kind: Kind
    row: LedgerRow
    was: int
    now: int

    @property
    def has_emptied(self) -> bool:
        """True when the source holds nothing of the window any more: it was deleted, or its retention has ended."""
        return self.kind is Kind.VANISHED_DATA and self.now == 0

    @property
    def text(self) -> str:
        """Return what was found, for people."""
        if self.kind is Kind.CHANGED_IDS:
            return f"other ids: the source has {self.now} rows as before, but not the same ones"
        if self.kind is Kind.TARGET_DIFFERS:
            there = "other ids" if self.was == self.now else f"{self.now} rows"
            return f"the target does not hold what was loaded: {there} instead of {self.was} rows"
        name = "late data" if self.kind is Kind.LATE_DATA else "vanished data"
        return f"{name}: the source has {self.now} rows, {self.was} were read ({self.now - self.was:+d})"


def find_changed(
    rows: Iterable[LedgerRow],
    source_rows: Mapping[int, int],
    source_ids: Mapping[int, Fingerprint] | None = None,
    target: Mapping[int, Fingerprint] | None = None,
) -> list[Change]:
    """Compare closed windows with new numbers, by row id; a window without a number is not judged.

    A window that has changed at the source is not also compared with the target.

    Args:
        rows: COMPLETED and SKIPPED rows.
        source_rows: Rows at the source.
        source_ids: Fingerprints of the source's ids, taken after the counts.
        target: Fingerprints of what the target holds.
    """
    found = []
    for row in rows:
        known, ids = loaded(row), (source_ids or {}).get(row.id)
        now = source_rows.get(row.id) if ids is None else ids.rows
        there = (target or {}).get(row.id)
        is_kept = now is not None and now == row.kept_source_count  # a person has decided about that number
        if not is_kept and now is not None and known.source_rows is not None and now != known.source_rows:
            kind = Kind.LATE_DATA if now > known.source_rows else Kind.VANISHED_DATA
            found.append(Change(kind, row, known.source_rows, now))
        elif (
            not is_kept and ids is not None and known.source_fingerprint is not None and ids != known.source_fingerprint
        ):
            found.append(Change(Kind.CHANGED_IDS, row, ids.rows, ids.rows))
        elif there is not None and known.target_rows is not None and _differs(there, known):
            found.append(Change(Kind.TARGET_DIFFERS, row, known.target_rows, there.rows))
    return found


def stretches(rows: Sequence[LedgerRow]) -> list[list[LedgerRow]]:
    """Return rows in order of their windows, cut where time lies between two: one question counts one stretch.

    >>> from datetime import datetime, UTC
    >>> at = lambda hour: datetime(2013, 1, 1, hour, tzinfo=UTC)
    >>> from types import SimpleNamespace
    >>> rows = [SimpleNamespace(query_window_start_at=at(h), query_window_end_at=at(h + 1)) for h in (0, 1, 3)]
    >>> [len(stretch) for stretch in stretches(rows)]
    [2, 1]
    """
    if not rows:
        return []
    parts = [[rows[0]]]
    for before, row in pairwise(rows):
        if before.query_window_end_at != row.query_window_start_at:
            parts.append([])
        parts[-1].append(row)
    return parts


def revisited(
    row: LedgerRow, now: datetime, change: Change | None, *, is_kept: bool = False, why: str = ""
) -> Transition:
    """Return what a revisit found as an event: a changed window is marked before it is replaced, an equal one unmarked.

    An equal window that wasn't marked gets no event. With `is_kept` a person has decided to keep what is loaded,
    although the source differs: the mark is removed, and a revisit that counts the same finds nothing.

    Raises:
        IllegalTransitionError: The row is not closed any more.
    """
    if row.is_invalidated_flag or not row.is_finished:
        raise IllegalTransitionError("only a closed window is revisited", where=row.where)
    if change is None and not row.is_revisit_due_flag:
        return Transition("revisited")
    known, age = loaded(row), now - row.query_window_end_at
    changes: dict[str, Any] = {"is_revisit_due_flag": change is not None and not is_kept}
    if change is not None and is_kept:
        changes["kept_source_count"] = change.now
    text = change.text if change else "source and target are equal"
    return Transition(
        "revisited",
        changes,
        "; ".join(part for part in (text, why) if part),
        {
            "kind": change.kind.value if change else "equal",
            "was": change.was if change else known.source_rows,
            "now": change.now if change else known.source_rows,
            "days_after": round(age / timedelta(days=1), 2),
        },
    )


def due_days(today: date, schedule: Sequence[int], revisited_after: Mapping[date, int]) -> list[date]:
    """Return the local days that are due for a revisit, oldest first.

    A day is due when the last revisit that its schedule asks for has not been made: a missed revisit is made later.

    Args:
        today: The present day in the pipeline's zone.
        schedule: Days after a day on which it is revisited.
        revisited_after: For each day that was revisited, how many days after it the last revisit was.

    >>> [str(day) for day in due_days(date(2013, 3, 12), [1, 3], {date(2013, 3, 11): 1})][-3:]
    ['2013-03-08', '2013-03-09', '2013-03-10']
    """
    due = []
    for age in range(max(schedule, default=0) + CATCH_UP_DAYS, 0, -1):
        asked = max((days for days in schedule if days <= age), default=None)
        day = today - timedelta(days=age)
        if asked is not None and revisited_after.get(day, 0) < asked:
            due.append(day)
    return due


def lags(changes: Iterable[Change], now: datetime, compared_at: datetime | None) -> list[list[int]]:
    """Return how late the late rows were, as `[after, by, rows]`: the hours after their window's end when they were not
    yet in the source (rounded down) and when they were (rounded up).

    Args:
        changes: The changes that a revisit has found.
        now: When the revisit was made.
        compared_at: When the same windows were last compared before, if they were.
    """
    total = Counter[tuple[int, int]]()
    for change in changes:
        if change.kind is not Kind.LATE_DATA:
            continue
        end, read_at = change.row.query_window_end_at, _read_at(change.row)
        seen = [at for at in (read_at, compared_at) if at is not None and (read_at is None or at >= read_at)]
        after = max(0, math.floor((max(seen) - end) / _HOUR)) if seen else 0
        total[after, max(after, math.ceil((now - end) / _HOUR))] += change.now - change.was
    return [[after, by, rows] for (after, by), rows in sorted(total.items())]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How late rows came, according to all known revisits of a source.

    Attributes:
        rows: Rows of all revisited days.
        days: The number of those days.
        late: `(after, by, rows)` as in `lags`.
        seen_hours: The age, in hours, up to which something is known.
    """

    rows: int
    days: int
    late: tuple[tuple[int, int, int], ...]
    seen_hours: int

    def later_than(self, hours: int) -> tuple[int, int]:
        """Return how many rows came later than `hours` after their window's end: for certain, and at most."""
        certain = sum(rows for after, _, rows in self.late if after >= hours)
        return certain, sum(rows for _, by, rows in self.late if by > hours)

    @property
    def late_rows(self) -> int:
        """Return how many rows were not in the source when their window was loaded."""
        return sum(rows for _, _, rows in self.late)

    def percent(self, rows: int) -> float:
        """Return a number of rows in percent of all rows."""
        return rows * 100 / self.rows if self.rows else 0.0


def arrivals(revisits: Iterable[Mapping[str, Any]]) -> Arrivals:
    """Sum up recorded revisits of one source; a day counts with the most rows that any of its revisits saw."""
    rows, late, seen = dict[date, int](), Counter[tuple[int, int]](), 0
    for revisit in revisits:
        day = revisit["target_day"]
        rows[day] = max(rows.get(day, 0), revisit["rows_now"])
        seen = max(seen, revisit["days_after"] * 24)
        for after, by, count in revisit["lags"]:
            late[after, by] += count
    found = tuple((after, by, count) for (after, by), count in sorted(late.items()))
    return Arrivals(sum(rows.values()), len(rows), found, seen)


def distribution(found: Arrivals) -> list[dict[str, Any]]:
    """Return how many rows came later than each delay after their window's end, as far as anything is known.

    >>> distribution(Arrivals(1000, 2, ((1, 25, 30),), 24))[-1]["rows_at_most"]
    30
    """
    return [
        {
            "later_than_hours": hours,
            "rows_certainly": certain,
            "rows_at_most": most,
            "percent_at_most": round(found.percent(most), 3),
        }
        for hours in STEPS_HOURS
        if hours <= found.seen_hours
        for certain, most in (found.later_than(hours),)
    ]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A recommended settle delay for a source.

    Attributes:
        hours: The smallest delay after which at most the asked share of rows came; None: the present delay is enough.
        text: The whole sentence.
    """

    hours: int | None
    text: str


def recommend(found: Arrivals, x_time_back: str, settle: timedelta, share_percent: float) -> Recommendation:
    """Return how long a window should rest before its load so that at most `share_percent` of all rows come later.

    A row counts as having come at the revisit that found it; more frequent revisits give a more exact answer.

    >>> recommend(Arrivals(1000, 2, ((1, 25, 30), (25, 73, 1)), 168), "1h", timedelta(hours=1), 0.1).hours
    25
    """
    if not found.rows:
        return Recommendation(None, "nothing is known yet about late rows: no revisit has compared any")
    basis = f"of {found.rows} rows of {found.days} days, seen up to {found.seen_hours} h after each day"
    late = f"{found.percent(found.late_rows):.3g} % came after their window was loaded"
    present = math.ceil(settle / _HOUR)
    candidates = [present, *sorted({by for _, by, _ in found.late if by > present})]
    is_enough = found.percent(found.late_rows) <= share_percent
    hours = next(h for h in candidates if found.percent(found.later_than(h)[1]) <= share_percent)
    if is_enough or hours == present:
        return Recommendation(None, f"x_time_back {x_time_back} is long enough: {late} ({basis})")
    rest = found.percent(found.later_than(hours)[1])
    return Recommendation(
        hours,
        f"x_time_back {hours}h instead of {x_time_back} would be long enough: {late}, {rest:.3g} % later ({basis})",
    )


def _read_at(row: LedgerRow) -> datetime | None:
    """Return when the source was read, as exactly as the ledger knows."""
    names = ("source_to_stage_ingestion_start_time", "pipeline_start_time", "pipeline_end_time")
    at: datetime | None = _first(row, *names)
    return at


def _differs(there: Fingerprint, known: Loaded) -> bool:
    return there.rows != known.target_rows or (known.hash_sum is not None and there.hash_sum != known.hash_sum)


def _first(row: LedgerRow, *names: str) -> Any:
    return next((getattr(row, name) for name in names if getattr(row, name) is not None), None)
