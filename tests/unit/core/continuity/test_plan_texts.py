"""A plan as people see it, its hash, and who has to agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.continuity.plan_texts import LINES, plan_lines, plan_markdown, plan_table
from include.pipeline_framework.core.continuity.remediation import Action, PlanItem, RowState
from include.pipeline_framework.core.continuity.state_plans import StatePlan, approval_reason, plan_hash
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import LedgerRefusedError

HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2013, 3, 9, 5, tzinfo=UTC)  # in New York
ZONES = {"flights": "America/New_York", "orders_a": "UTC"}


def hours(first: float, length: float = 1) -> TimeWindow:
    return TimeWindow(MIDNIGHT + first * HOUR, MIDNIGHT + (first + length) * HOUR)


def insert(day: int, *, count: int = 2, source: str = "flights", kind: str = "gap_middle") -> PlanItem:
    windows = tuple(hours(24 * day + n) for n in range(count))
    return PlanItem(Action.INSERT, source, windows, (), False, f"{kind} on {windows[0].start:%Y-%m-%d}")


def crossing(row_id: int, *, loaded: bool = True) -> PlanItem:
    window = hours(23 + 24 * row_id, 2)
    pieces = (TimeWindow(window.start, window.start + HOUR), TimeWindow(window.start + HOUR, window.end))
    row = RowState(row_id, window, "COMPLETED" if loaded else "PENDING", 7)
    return PlanItem(Action.REPLACE, "flights", pieces, (row,), loaded, "crosses_day: it reaches beyond its day | *")


def stored(*items: PlanItem, **changes: Any) -> dict[str, Any]:
    written = [item.as_dict() for item in items]
    return {
        "plan_id": "20130310-0a1b2c3d",
        "created_at": MIDNIGHT,
        "created_by": "state_manager/run_1",
        "items": written,
        "hash": plan_hash(written),
        **dict.fromkeys(("outcome", "applied_at", "applied_by", "approved_by")),
        **changes,
    }


class TestLines:
    def test_days_in_a_row_are_one_line_and_another_kind_or_a_day_between_is_not(self) -> None:
        items = [insert(0), insert(1), insert(3), insert(4, kind="gap_end")]
        lines = plan_lines(items, ZONES)
        assert [(line.when, line.windows, line.why) for line in lines] == [
            ("2013-03-13", 2, "gap_end"),
            ("2013-03-09 … 2013-03-10", 4, "gap_middle"),
            ("2013-03-12", 2, "gap_middle"),
        ]

    def test_what_deletes_data_comes_first_and_row_by_row(self) -> None:
        lines = plan_lines([insert(0), crossing(0), crossing(1), crossing(0, loaded=False)], ZONES)
        assert [line.deletes_target_data for line in lines] == [True, True, False, False]
        assert (lines[0].when, lines[0].windows, lines[0].rows) == (
            "2013-03-09 23:00-05:00 → 2013-03-10 01:00-05:00",
            2,
            1,
        )

    def test_rows_of_one_kind_and_day_are_one_line_that_tells_the_first_reason(self) -> None:
        rows = [replace(crossing(0, loaded=False), rows=(RowState(n, hours(n), "PENDING", 0),)) for n in range(3)]
        (line,) = plan_lines([replace(row, windows=()) for row in rows], ZONES)
        assert (line.rows, line.why) == (3, "crosses_day; the first: it reaches beyond its day | *")

    def test_a_source_without_a_zone_is_shown_in_utc(self) -> None:
        (line,) = plan_lines([insert(0, source="gone")], ZONES)
        assert line.when == "2013-03-09"


class TestTable:
    def test_it_ends_after_so_many_lines_and_tells_the_rest(self) -> None:
        items = [insert(2 * day) for day in range(LINES + 10)]
        lines = plan_table(items, ZONES)
        assert len(lines) == 1 + LINES + 2
        assert lines[-2] == "… and 10 more lines with 20 windows and 0 rows"
        assert lines[-1].startswith("In all 120 windows to plan and 0 rows to invalidate, 0 of them with data")

    def test_a_deletion_is_named(self) -> None:
        (_, line, _) = plan_table([crossing(0)], ZONES)
        assert line.split()[:2] == ["flights", "replace"]
        assert "DELETED" in line
        assert line.endswith("crosses_day: it reaches beyond its day | *")


class TestMarkdown:
    def test_deletions_come_first_and_text_from_outside_is_no_markdown(self) -> None:
        plan = StatePlan.of(stored(insert(0, source="orders_a"), crossing(0)))
        text = plan_markdown(plan, ZONES, "1 rows go")
        assert text.startswith("**Data at the target will be deleted: that of 1 rows of the ledger.**")
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        assert rows[2].startswith("| flights | replace |")
        assert "| **DELETED** | crosses\\_day: it reaches beyond its day \\| \\* |" in rows[2]
        assert rows[3].startswith("| orders\\_a | insert | 2013-03-09 | 2 | 0 | stays | gap\\_middle |")
        assert plan.hash in text
        assert "made by state\\_manager/run\\_1" in text

    def test_without_deletions_it_says_so(self) -> None:
        text = plan_markdown(StatePlan.of(stored(insert(0))), ZONES, None)
        assert text.startswith("Nothing is deleted at the target.")
        assert "Why you are asked" not in text


class TestPlan:
    def test_its_hash_survives_what_a_database_does_to_json(self) -> None:
        written = [item.as_dict() for item in (insert(0), crossing(0))]
        shuffled = [dict(reversed(item.items())) for item in written]
        assert plan_hash(shuffled) == plan_hash(written)
        assert plan_hash(written[::-1]) != plan_hash(written)

    def test_altered_items_are_refused(self) -> None:
        record = stored(insert(0), crossing(0))
        assert StatePlan.of(record).items == (insert(0), crossing(0))
        record["items"][1]["rows"][0]["id"] = 99
        with pytest.raises(LedgerRefusedError, match="don't have the hash under which they were stored"):
            StatePlan.of(record)

    def test_each_source_is_judged_by_its_own_limit(self) -> None:
        items = [insert(0, count=3), insert(0, count=3, source="orders_a")]
        assert approval_reason(items, {"flights": 3, "orders_a": 3}) is None
        reason = approval_reason(items, {"flights": 3, "orders_a": 2})
        assert reason == "orders_a: 3 windows are touched, more than 2 (state_manager_window_limit)"
        assert approval_reason([crossing(0)], {"flights": 1_000}) is not None
        assert approval_reason([crossing(0)], {}) is None  # no pipeline: nothing of it is executed
