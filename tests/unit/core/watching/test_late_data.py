"""Late data, pure: which days are due, what has changed, and how long to wait."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.watching import late_data
from include.pipeline_framework.core.watching.late_data import (
    Arrivals,
    Kind,
    due_days,
    find_changed,
    lags,
    loaded,
    recommend,
)
from include.pipeline_framework.errors import IllegalTransitionError
from tests.doubles.rows import ledger_row

START = datetime(2013, 3, 9, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
TODAY = date(2013, 3, 12)


def row(number: int = 1, **values: Any) -> LedgerRow:
    """An hour's closed row; what isn't given is NULL."""
    return ledger_row(
        **{
            "id": number,
            "query_window_start_at": START + number * HOUR,
            "query_window_end_at": START + (number + 1) * HOUR,
            "pipeline_final_status": "COMPLETED",
            **values,
        }
    )


COMPLETED = {"source_count": 12, "staged_count": 10, "loaded_count": 10, "target_count": 10, "target_fingerprint": 77}


class TestLoaded:
    def test_a_completed_row_knows_what_it_read_not_what_the_audit_counted_later(self) -> None:
        known = loaded(row(**COMPLETED))
        assert (known.source_rows, known.fingerprint) == (10, Fingerprint(10, 77))

    def test_quarantined_documents_are_at_the_source_and_in_no_hash_sum(self) -> None:
        known = loaded(row(**COMPLETED, quarantined_count=2))
        assert (known.source_rows, known.target_rows, known.source_fingerprint) == (12, 10, None)
        assert known.fingerprint == Fingerprint(10, 77)

    def test_a_skipped_row_has_the_numbers_of_its_proof(self) -> None:
        known = loaded(row(source_count=5, target_count=5, loaded_count=5, loaded_fingerprint=9))
        assert (known.source_rows, known.source_fingerprint) == (5, Fingerprint(5, 9))

    def test_an_adopted_row_may_know_the_sources_count_only_or_nothing(self) -> None:
        assert loaded(row(source_count=5)).source_rows == 5
        assert loaded(row()).source_rows is None


class TestFindChanged:
    @pytest.mark.parametrize(
        ("source", "ids", "target", "kind"),
        [
            (10, None, None, None),
            (11, None, None, Kind.LATE_DATA),
            (9, None, None, Kind.VANISHED_DATA),
            (10, Fingerprint(10, 77), None, None),
            (10, Fingerprint(10, 78), None, Kind.CHANGED_IDS),
            (10, Fingerprint(11, 99), None, Kind.LATE_DATA),  # came between the count and the ids
            (10, None, Fingerprint(10, 77), None),
            (10, None, Fingerprint(9, 70), Kind.TARGET_DIFFERS),
            (10, None, Fingerprint(10, 78), Kind.TARGET_DIFFERS),
            (11, None, Fingerprint(9, 70), Kind.LATE_DATA),
        ],
    )
    def test_a_window_of_ten_rows(
        self, source: int, ids: Fingerprint | None, target: Fingerprint | None, kind: Kind | None
    ) -> None:
        found = find_changed([row(**COMPLETED)], {1: source}, {1: ids} if ids else {}, {1: target} if target else {})
        assert [change.kind for change in found] == ([kind] if kind else [])

    def test_what_there_is_no_number_for_is_not_judged(self) -> None:
        assert find_changed([row(1, **COMPLETED), row(2)], {2: 5}, {2: Fingerprint(5, 1)}, {2: Fingerprint(4, 1)}) == []

    def test_an_emptied_window_is_told_apart(self) -> None:
        gone, fewer = find_changed([row(1, **COMPLETED), row(2, **COMPLETED)], {1: 0, 2: 4})
        assert (gone.has_emptied, fewer.has_emptied) == (True, False)
        assert fewer.text == "vanished data: the source has 4 rows, 10 were read (-6)"


class TestRevisited:
    def test_a_changed_window_is_marked_with_its_numbers(self) -> None:
        (change,) = find_changed([row(**COMPLETED)], {1: 13})
        transition = late_data.revisited(row(**COMPLETED), START + 50 * HOUR, change)
        assert transition.changes == {"is_revisit_due_flag": True}
        assert transition.numbers == {"kind": "late_data", "was": 10, "now": 13, "days_after": 2.0}

    def test_an_equal_one_loses_its_mark_and_is_no_event_without_one(self) -> None:
        marked = row(**COMPLETED, is_revisit_due_flag=True)
        assert late_data.revisited(marked, START, None).changes == {"is_revisit_due_flag": False}
        assert late_data.revisited(row(**COMPLETED), START, None).changes == {}

    @pytest.mark.parametrize("values", [{"is_invalidated_flag": True}, {"pipeline_final_status": "PENDING"}])
    def test_a_row_that_is_not_closed_any_more_is_refused(self, values: dict[str, Any]) -> None:
        with pytest.raises(IllegalTransitionError, match="closed"):
            late_data.revisited(row(**COMPLETED, **values), START, None)


class TestDueDays:
    def days(self, schedule: list[int], revisited: dict[int, int]) -> list[int]:
        """As days back; `revisited`: days back → days after it, the last time."""
        found = due_days(TODAY, schedule, {TODAY - timedelta(days=n): after for n, after in revisited.items()})
        return [(TODAY - day).days for day in found]

    def test_in_steady_state_exactly_the_scheduled_days(self) -> None:
        steady = {n: max((d for d in (1, 3, 7) if d <= n - 1), default=0) for n in range(1, 15)}
        assert self.days([1, 3, 7], steady) == [7, 3, 1]

    def test_what_was_missed_is_made_up_for_a_week_long(self) -> None:
        steady = {n: max((d for d in (1, 3, 7) if d <= n - 1), default=0) for n in range(1, 30)}
        assert self.days([1, 3, 7], steady | {8: 3, 2: 0, 15: 3}) == [8, 7, 3, 2, 1]
        assert self.days([1], {}) == [8, 7, 6, 5, 4, 3, 2, 1]

    def test_a_second_run_on_the_same_day_finds_nothing_due(self) -> None:
        assert self.days([1, 3], {n: 3 if n >= 3 else 1 for n in range(1, 11)}) == []

    def test_an_empty_schedule_never(self) -> None:
        assert self.days([], {}) == []


class TestArrivals:
    def test_a_late_row_came_between_the_last_look_and_this_one(self) -> None:
        values = {**COMPLETED, "source_to_stage_ingestion_start_time": START + 3.5 * HOUR}
        changes = find_changed([row(1, **values), row(2, **values), row(3, **values)], {1: 12, 2: 13, 3: 9})
        assert lags(changes, START + 26.5 * HOUR, None) == [[0, 24, 3], [1, 25, 2]]
        assert lags(changes, START + 26.5 * HOUR, START + 20 * HOUR) == [[17, 24, 3], [18, 25, 2]]

    def test_an_earlier_look_at_what_the_row_replaced_tells_nothing_about_it(self) -> None:
        values = {**COMPLETED, "source_to_stage_ingestion_start_time": START + 22 * HOUR}
        (change,) = find_changed([row(1, **values)], {1: 11})
        assert lags([change], START + 40 * HOUR, START + 10 * HOUR) == [[20, 38, 1]]

    def revisits(self, *figures: tuple[int, int, int, list[list[int]]]) -> Arrivals:
        return late_data.arrivals(
            {"target_day": TODAY - timedelta(days=day), "days_after": after, "rows_now": rows, "lags": late}
            for day, after, rows, late in figures
        )

    def test_a_day_counts_once_whatever_the_number_of_its_revisits(self) -> None:
        found = self.revisits((1, 1, 900, [[1, 25, 30]]), (1, 3, 1000, [[25, 73, 1]]), (2, 1, 1000, []))
        assert (found.rows, found.days, found.late_rows, found.seen_hours) == (2000, 2, 31, 72)
        assert found.later_than(1) == (31, 31)
        assert found.later_than(25) == (1, 1)
        assert found.later_than(48) == (0, 1)

    @pytest.mark.parametrize(
        ("late", "percent", "hours"),
        [
            ([], 0.1, None),
            ([[1, 25, 1]], 0.1, None),  # one of 1000 is 0.1 %
            ([[1, 25, 2]], 0.1, 25),
            ([[1, 25, 20], [25, 73, 1]], 0.1, 25),
            ([[1, 25, 20], [25, 73, 2]], 0.1, 73),
            ([[1, 25, 20], [25, 73, 2]], 1, 25),
            ([[1, 2, 20]], 0.1, None),  # of the time when x_time_back was shorter
        ],
    )
    def test_the_smallest_delay_that_is_enough(self, late: list[list[int]], percent: float, hours: int | None) -> None:
        answer = recommend(self.revisits((1, 7, 1000, late)), "3h", 3 * HOUR, percent)
        assert answer.hours == hours
        assert ("x_time_back 3h is long enough" in answer.text) is (hours is None)

    def test_without_revisits_nothing_is_recommended(self) -> None:
        assert "nothing is known" in recommend(self.revisits(), "1h", HOUR, 0.1).text
