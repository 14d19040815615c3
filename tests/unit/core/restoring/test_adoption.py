"""What becomes of the rows of an older state table."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from include.pipeline_framework.core.continuity.findings import Kind, analyse, drifting_days, find
from include.pipeline_framework.core.continuity.remediation import remediate
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.restoring.adoption import Superseded, imported_only, resolve, template_of
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.windows import TimeWindow, merge
from tests.doubles.facts_of_rows import gather
from tests.histories import UPDATED, History, history

HOUR = timedelta(hours=1)
DAY = LocalDay(date(2013, 3, 9), "America/New_York")


def facts_of(made: History) -> StateFacts:
    scope = StateScope(made.source_object, made.timezone, parse_granularity(made.granularity))
    return gather(scope, made.rows)


def resolved(made: History, superseded: Any = ()) -> Any:
    facts = facts_of(made)
    analysis = analyse(facts)
    drifting = {day.date for day in drifting_days(facts, analysis)}
    rows = [
        (row["id"], TimeWindow(row["query_window_start_at"], row["query_window_end_at"]))
        for row in made.rows
        if row["target_day"] in drifting
    ]
    findings = find(facts, analysis, rows)
    return resolve(facts, findings, remediate(facts, analysis, findings), superseded)


def hours(*starts: float, length: float = 1, status: str = "COMPLETED") -> History:
    made = History("feed", DAY.timezone, "1h", [DAY])
    for number, start in enumerate(starts, 1):
        begin = DAY.start + start * HOUR
        made.add(TimeWindow(begin, begin + length * HOUR), DAY, status)["id"] = number
    return made


@pytest.mark.parametrize("seed", range(100))
def test_what_is_kept_and_what_is_planned_tile_every_day(seed: int) -> None:
    made = history(seed, "feed")
    outcome = resolved(made)
    kept = [
        TimeWindow(row["query_window_start_at"], row["query_window_end_at"])
        for row in made.rows
        if row["id"] not in outcome.invalidated
    ]
    windows = sorted([*kept, *(planned.window for planned in outcome.windows)])
    assert merge(windows) == merge(day.window for day in made.days if day.window)
    assert all(one.end <= other.start for one, other in pairwise(windows))


def test_the_day_that_a_last_row_reaches_is_planned_as_a_whole() -> None:
    made = hours(*range(24))
    made.rows[-1]["query_window_end_at"] += HOUR / 3
    outcome = resolved(made)
    assert list(outcome.invalidated) == [24]
    assert [planned.window.start for planned in outcome.windows] == [
        DAY.end - HOUR,
        *(DAY.end + hour * HOUR for hour in range(23)),
    ]
    assert [planned.replaces for planned in outcome.windows] == [True, True] + [False] * 22


def test_windows_in_the_time_of_an_unloaded_row_replace_nothing() -> None:
    made = hours(*range(24), status="PENDING")
    made.rows[-1]["query_window_end_at"] += HOUR / 3
    outcome = resolved(made)
    assert outcome.loaded == ()
    assert not any(planned.replaces for planned in outcome.windows)


def lost(status: str, has_loaded: bool, shift: float = 0) -> Superseded:
    window = TimeWindow(DAY.start, DAY.start + HOUR)
    other = TimeWindow(DAY.start + shift * HOUR, DAY.start + (1 + shift) * HOUR)
    return Superseded(7, "feed", DAY.date, window, has_loaded, 3, other, status)


def test_a_row_that_the_ledger_has_is_told_like_a_conflict() -> None:
    assert (lost("PENDING", True).finding.kind, lost("PENDING", True, 0.5).finding.kind) == (
        Kind.DUPLICATE,
        Kind.OVERLAP,
    )
    assert lost("PENDING", True).reason == "the ledger's row 3 is PENDING there; rows of the ledger win"
    assert "load its window again with replace" in lost("COMPLETED", True).reason
    assert "replace" not in lost("COMPLETED", False).reason


def test_time_of_a_superseded_loaded_row_is_a_replacements() -> None:
    made = hours(*(hour for hour in range(24) if hour != 0))
    assert [planned.replaces for planned in resolved(made).windows] == [False]
    assert [planned.replaces for planned in resolved(made, [lost("PENDING", True)]).windows] == [True]
    assert [planned.replaces for planned in resolved(made, [lost("PENDING", False)]).windows] == [False]


def test_the_ledgers_own_rows_are_not_judged() -> None:
    made = hours(0, 23.5)
    made.rows[1]["id"] = -9
    assert [row.id for row in facts_of(made).crossing] == [-9]
    assert imported_only(facts_of(made)).crossing == ()


def test_a_source_without_a_file_takes_what_its_latest_row_says() -> None:
    latest = {"source_object": "other", "target_name": "warehouse", "priority": 4, "source_name": None, "fence": 3}
    assert template_of("feed", latest) == {
        "pipeline_id": "feed", "source_object": "feed", "source_name": "adopted", "target_name": "warehouse",
        "priority": 4,
    }  # fmt: skip
    assert UPDATED.tzinfo is not None
