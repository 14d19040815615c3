"""Every way in which a ledger and its target can disagree, and the states that only look like it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import DELETE, LOAD, HeldRows, Receipt
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.restoring.reconcile import Difference, Kind, Sides, compare
from include.pipeline_framework.core.time.windows import TimeWindow
from tests.doubles.rows import ledger_row

START = datetime(2013, 3, 9, tzinfo=UTC)
PRINT, OTHER = Fingerprint(5, 500), Fingerprint(4, 400)
NONE = Fingerprint()


def window(first: float, last: float | None = None) -> TimeWindow:
    last = first + 1 if last is None else last
    return TimeWindow(START + timedelta(hours=first), START + timedelta(hours=last))


def row(record_id: int, where: TimeWindow, **changes: Any) -> LedgerRow:
    """A COMPLETED row, loaded with PRINT."""
    loaded = {"loaded_count": PRINT.rows, "loaded_fingerprint": PRINT.hash_sum, "phase_completed": "AUDIT"}
    bounds = {"query_window_start_at": where.start, "query_window_end_at": where.end}
    return ledger_row(**{"id": record_id, "pipeline_final_status": "COMPLETED", **loaded, **bounds, **changes})


def pending(record_id: int, where: TimeWindow, **changes: Any) -> LedgerRow:
    nothing = {"phase_completed": None, "loaded_count": None, "loaded_fingerprint": None}
    return row(record_id, where, pipeline_final_status="PENDING", **(nothing | changes))


def receipt(row_id: int, where: TimeWindow, fence: int = 10, kind: str = LOAD, prints: Any = PRINT) -> Receipt:
    return Receipt("flights", where, fence, row_id, kind, prints, "at/10", START)


def held(row_id: int, where: TimeWindow, prints: Fingerprint = PRINT, total: Fingerprint | None = None) -> list[Any]:
    """Rows inside of a load's window, and the total of their ledger row."""
    return [HeldRows(row_id, total or prints, where, is_total=True), HeldRows(row_id, prints, where)]


def differences(
    rows: Any = (), receipts: Any = (), rows_held: Any = (), last_fence: int = 99, floor: int = 0, moving: Any = ()
) -> list[Difference]:
    return compare(Sides("flights", list(rows), list(receipts), list(rows_held), last_fence, floor, list(moving)))


def kinds(*arguments: Any, **options: Any) -> list[tuple[Kind, TimeWindow | None]]:
    return [(one.kind, one.window) for one in differences(*arguments, **options)]


ONE = window(1)


class TestNothingDiffers:
    def test_an_empty_world(self) -> None:
        assert differences() == []

    @pytest.mark.parametrize(
        "ledger",
        [
            row(1, ONE),
            row(1, ONE, pipeline_final_status="SKIPPED", phase_completed=None),
            row(1, ONE, pipeline_final_status="PENDING", phase_completed="STAGE_TO_TARGET"),
            pending(1, ONE, loaded_count=5, loaded_fingerprint=500),
        ],
        ids=["completed", "skipped", "waits for its audit", "reopened for late data"],
    )
    def test_a_loaded_window(self, ledger: Any) -> None:
        assert differences([ledger], [receipt(1, ONE)], held(1, ONE)) == []

    def test_a_planned_window_and_one_that_failed_its_audit(self) -> None:
        assert differences([pending(1, ONE), pending(2, window(2))], [receipt(2, window(2), 9, DELETE, NONE)]) == []

    def test_an_empty_load(self) -> None:
        empty = row(1, ONE, loaded_count=0, loaded_fingerprint=0)
        assert differences([empty], [receipt(1, ONE, prints=NONE)]) == []

    def test_a_replacement_that_has_not_run(self) -> None:
        rows = [row(1, ONE, is_invalidated_flag=True), pending(2, ONE)]
        assert differences(rows, [receipt(1, ONE)], held(1, ONE)) == []

    def test_narrower_replacements_that_have_not_run(self) -> None:
        rows = [row(1, window(0, 2), is_invalidated_flag=True), pending(2, window(0)), pending(3, window(1))]
        assert differences(rows, [receipt(1, window(0, 2))], held(1, window(0, 2))) == []

    def test_windows_that_moved_meanwhile(self) -> None:
        assert differences([], [receipt(1, ONE)], held(1, ONE, OTHER), moving=[ONE]) == []


class TestFences:
    @pytest.mark.parametrize(("receipt_fence", "floor"), [(101, 0), (5, 101)])
    def test_a_ledger_from_an_old_backup_is_behind(self, receipt_fence: int, floor: int) -> None:
        (found,) = differences(
            [row(1, ONE)], [receipt(1, ONE, receipt_fence)], held(1, ONE), last_fence=100, floor=floor
        )
        assert (found.kind, found.window, found.ledger) == (Kind.FENCES_BEHIND, None, "the newest fence is 100")
        assert found.target == "fence 101 was there already"
        assert "ledger rebuild --source flights --apply" in found.remedy

    def test_at_the_floor_it_is_not_behind(self) -> None:
        assert differences(last_fence=1_000, floor=1_000) == []


class TestLoads:
    @pytest.mark.parametrize(
        ("receipts", "says"),
        [
            ([], "no receipt of this window"),
            ([receipt(1, ONE, 9, DELETE, NONE)], "a delete under fence 9"),
            (
                [receipt(1, ONE, 9), receipt(2, window(0, 2), 10, DELETE, NONE)],
                "a load under fence 9, superseded since",
            ),
        ],
    )
    @pytest.mark.parametrize("status", ["COMPLETED", "SKIPPED"])
    def test_a_finished_window_needs_a_live_load_receipt(self, receipts: Any, says: str, status: str) -> None:
        (found,) = differences([row(1, ONE, pipeline_final_status=status)], receipts)
        assert (found.kind, found.window, found.target) == (Kind.LOAD_NOT_PROVEN, ONE, says)
        assert found.ledger.startswith(f"row 1 {status}")
        assert '"windows": [["2013-03-09T01:00:00Z", "2013-03-09T02:00:00Z"]], "replace": true' in found.remedy

    def test_one_that_waits_for_its_audit_is_found_by_it(self) -> None:
        (found,) = differences([row(1, ONE, pipeline_final_status="PENDING", phase_completed="STAGE_TO_TARGET")])
        assert (found.kind, found.remedy) == (Kind.LOAD_NOT_PROVEN, "Nothing yet: its next run audits it.")

    def test_a_receipt_without_a_row(self) -> None:
        (found,) = differences([], [receipt(7, ONE)], held(7, ONE))
        assert (found.kind, found.window, found.ledger) == (
            Kind.RECEIPT_WITHOUT_ROW,
            ONE,
            "no live row of this window",
        )
        assert found.target == "row 7, fence 10, 5 rows, hash sum 500"

    @pytest.mark.parametrize("phase", [None, "SOURCE_TO_STAGE"])
    def test_a_load_that_the_ledger_does_not_know(self, phase: Any) -> None:
        assert kinds([pending(1, ONE, phase_completed=phase)], [receipt(1, ONE)], held(1, ONE)) == [
            (Kind.LOAD_NOT_RECORDED, ONE)
        ]


class TestNumbers:
    def test_ledger_receipt_and_table_are_compared(self) -> None:
        loaded = row(1, ONE)
        for proof, table, expected in [
            (PRINT, OTHER, f"receipt {PRINT}; table {OTHER}"),
            (OTHER, OTHER, f"receipt {OTHER}; table {OTHER}"),
            (PRINT, Fingerprint(5, 501), f"receipt {PRINT}; table 5 rows, hash sum 501"),
        ]:
            (found,) = differences([loaded], [receipt(1, ONE, prints=proof)], held(1, ONE, table))
            assert (found.kind, found.target) == (Kind.NUMBERS_DIFFER, expected)
            assert found.ledger == f"row 1 COMPLETED after AUDIT, loaded {PRINT}"

    def test_an_emptied_table(self) -> None:
        assert kinds([row(1, ONE)], [receipt(1, ONE)]) == [(Kind.NUMBERS_DIFFER, ONE)]

    def test_a_reopened_windows_rows_are_still_compared_with_its_receipt(self) -> None:
        reopened = pending(1, ONE, loaded_count=5, loaded_fingerprint=500)
        assert kinds([reopened], [receipt(1, ONE)], held(1, ONE, OTHER)) == [(Kind.NUMBERS_DIFFER, ONE)]


class TestRowIds:
    def test_of_a_row_that_the_ledger_does_not_know(self) -> None:
        (found,) = differences([row(2, ONE)], [receipt(7, ONE)], held(7, ONE))
        assert (found.kind, found.ledger) == (Kind.ROW_ID_DIFFERS, "row 2")
        assert found.target == "5 rows of row 7: unknown to the ledger"

    def test_of_another_window_it_says_what_must_not_happen(self) -> None:
        rows = [row(2, ONE), pending(7, window(9))]
        (found,) = differences(rows, [receipt(7, ONE)], held(7, ONE))
        assert (found.kind, found.window) == (Kind.ROW_ID_DIFFERS, ONE)
        assert "replacing row 7 would delete these rows" in found.remedy

    def test_of_a_replaced_row_whose_rows_should_be_gone(self) -> None:
        rows = [row(1, ONE, is_invalidated_flag=True, target_deletion_done_flag=True), row(2, ONE)]
        inside = [HeldRows(1, Fingerprint(1, 100), ONE), HeldRows(2, OTHER, ONE)]
        totals = [HeldRows(one.lifecycle_id, one.fingerprint, ONE, is_total=True) for one in inside]
        (found,) = differences(rows, [receipt(2, ONE)], [*inside, *totals])
        assert (found.kind, found.target) == (Kind.ROW_ID_DIFFERS, "1 rows of row 1: invalidated, its rows deleted")


class TestStrays:
    def test_rows_outside_of_every_receipt(self) -> None:
        span = window(1, 5)
        parts = [HeldRows(1, Fingerprint(8, 800), span, is_total=True), HeldRows(1, PRINT, ONE)]
        (found,) = differences([row(1, ONE)], [receipt(1, ONE)], parts)
        assert (found.kind, found.window) == (Kind.STRAY_ROWS, span)
        assert found.target == "3 of its 8 rows lie in no window of a live load receipt"
        assert "_lifecycle_id = 1" in found.remedy

    @pytest.mark.parametrize("receipts", [[], [receipt(7, ONE, 10), receipt(8, ONE, 11, DELETE, NONE)][1:]])
    def test_of_a_row_that_nobody_knows(self, receipts: Any) -> None:
        (found,) = differences([], receipts, held(7, ONE))
        assert (found.kind, found.ledger) == (Kind.STRAY_ROWS, "row 7: unknown to the ledger")

    def test_inside_of_a_superseded_load_only(self) -> None:
        receipts = [receipt(1, window(0, 2), 9), receipt(2, window(1), 10)]
        rows = [row(2, window(1)), pending(3, window(0))]
        parts = [*held(2, window(1)), *held(1, window(0, 2), Fingerprint(2, 200))]
        assert kinds(rows, receipts, parts) == [(Kind.STRAY_ROWS, window(0, 2))]


def test_all_are_listed_in_order() -> None:
    rows = [row(3, window(3)), row(1, ONE)]
    found = kinds(rows, [receipt(2, window(2))], held(2, window(2)), last_fence=1)
    assert found == [
        (Kind.FENCES_BEHIND, None),
        (Kind.LOAD_NOT_PROVEN, ONE),
        (Kind.RECEIPT_WITHOUT_ROW, window(2)),
        (Kind.LOAD_NOT_PROVEN, window(3)),
    ]
