"""What becomes of each receipt and manifest when a ledger is rebuilt."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import DELETE, LOAD, Receipt
from include.pipeline_framework.core.restoring.rebuild import (
    FENCE_MARGIN,
    MANIFEST,
    RECEIPT,
    Proof,
    Verdict,
    fence_floor,
    judge,
    proving,
)
from include.pipeline_framework.core.time.windows import TimeWindow

START = datetime(2013, 3, 9, tzinfo=UTC)


def window(first: float, last: float | None = None) -> TimeWindow:
    last = first + 1 if last is None else last
    return TimeWindow(START + timedelta(hours=first), START + timedelta(hours=last))


def receipt(where: TimeWindow, fence: int, row: int = 1, kind: str = LOAD) -> Receipt:
    return Receipt("flights", where, fence, row, kind, Fingerprint(2, 9), f"at/{fence}", START)


def proof(where: TimeWindow, fence: int, row: int = 1, origin: str = RECEIPT, **columns: Any) -> Proof:
    return Proof(origin, where, fence, row, 2, columns)


def verdicts(*proofs: Proof, receipts: Any = (), live: Any = (), taken: Any = (), refusal: Any = None) -> list[Verdict]:
    return judge(proofs, list(receipts), live, taken, refusal or (lambda _: None))


def chosen(found: list[Verdict]) -> list[tuple[str, int]]:
    return [(one.proof.origin, one.proof.fence) for one in found if not one.refusal]


def test_a_floor_lies_far_above_everything_known() -> None:
    assert fence_floor([]) == FENCE_MARGIN
    assert fence_floor([3, 5_000_000]) == 5_000_000 + FENCE_MARGIN


def test_only_live_loads_prove_and_the_others_say_why_not() -> None:
    receipts = [receipt(window(1), 7), receipt(window(0, 2), 5), receipt(window(4), 8, kind=DELETE)]
    loads, others = proving(receipts)
    assert loads == [receipts[0]]
    assert others == [
        (receipts[1], "superseded by a later load or delete"),
        (receipts[2], "a delete: nothing is loaded there"),
    ]


def test_every_proof_becomes_a_row_in_order_of_the_windows() -> None:
    found = verdicts(proof(window(3), 9, 3), proof(window(1), 5, 1), proof(window(2), 7, 2, MANIFEST))
    assert chosen(found) == [(RECEIPT, 5), (MANIFEST, 7), (RECEIPT, 9)]
    assert [one.resumes for one in found] == ["at its audit", "at its load", "at its audit"]


class TestManifests:
    @pytest.mark.parametrize("kind", [LOAD, DELETE])
    @pytest.mark.parametrize("fence", [6, 7])
    def test_one_that_was_loaded_or_deleted_later_is_left_out(self, kind: str, fence: int) -> None:
        overlapping = receipt(window(0.5, 3), fence, kind=kind)
        assert verdicts(proof(window(1), 6, origin=MANIFEST), receipts=[overlapping]) == []

    def test_one_after_a_failed_audits_delete_is_loaded(self) -> None:
        found = verdicts(proof(window(1), 6, origin=MANIFEST), receipts=[receipt(window(1), 5, kind=DELETE)])
        assert chosen(found) == [(MANIFEST, 6)]

    def test_of_several_the_newest_is_used(self) -> None:
        found = verdicts(proof(window(1), 6, origin=MANIFEST), proof(window(1), 8, origin=MANIFEST))
        assert chosen(found) == [(MANIFEST, 8)]
        assert "staged or loaded later" in found[1].refusal

    def test_one_newer_than_the_load_is_what_the_lost_ledger_was_about_to_load(self) -> None:
        old = receipt(window(1), 5)
        found = verdicts(proof(window(1), 5), proof(window(1), 8, 2, MANIFEST), receipts=[old])
        assert chosen(found) == [(MANIFEST, 8)]

    def test_a_newer_one_outside_the_horizon_does_not_hide_the_load(self) -> None:
        found = verdicts(
            proof(window(1), 5),
            proof(window(0, 30), 8, 2, MANIFEST),
            refusal=lambda where: "too long" if where.duration > timedelta(days=1) else None,
        )
        assert [one.refusal for one in found] == ["too long", ""]


class TestLedger:
    def test_what_live_rows_cover_is_there_already(self) -> None:
        live = [window(0), window(1), window(2, 4)]
        found = verdicts(proof(window(1), 5), proof(window(2, 3), 6, 2), proof(window(0, 2), 7, 3), live=live)
        assert [one.is_in_ledger for one in found] == [True, True, True]
        assert chosen(found) == []

    def test_what_they_cover_in_part_is_reported(self) -> None:
        (found,) = verdicts(proof(window(1, 3), 5), live=[window(2, 4)])
        assert (found.is_in_ledger, found.refusal) == (False, f"the live row of {window(2, 4)} covers a part of it")

    def test_outside_the_horizon_it_is_reported(self) -> None:
        (found,) = verdicts(proof(window(1), 5), refusal=lambda _: "the pipeline is disabled")
        assert (found.refusal, found.is_in_ledger) == ("the pipeline is disabled", False)


class TestIds:
    def test_a_row_keeps_the_id_that_its_target_rows_name(self) -> None:
        (found,) = verdicts(proof(window(1), 5, 4711, loaded_count=2, stage_location="at/5"))
        assert found.columns == {
            "id": 4711,
            "fence": 5,
            "loaded_count": 2,
            "stage_location": "at/5",
            "source_to_stage_ingestion_status": "COMPLETED",
            "stage_to_target_ingestion_status": "COMPLETED",
            "elt_process_status": "COMPLETED",
            "phase_completed": "STAGE_TO_TARGET",
        }
        assert found.reason == "a live load receipt proves that it was loaded"

    def test_a_staged_one_resumes_at_its_load(self) -> None:
        (found,) = verdicts(proof(window(1), 5, 4711, MANIFEST))
        assert found.columns == {
            "id": 4711,
            "fence": 5,
            "source_to_stage_ingestion_status": "COMPLETED",
            "phase_completed": "SOURCE_TO_STAGE",
        }

    @pytest.mark.parametrize("origin", [RECEIPT, MANIFEST])
    def test_one_whose_id_is_another_rows_is_loaded_again_under_a_new_one(self, origin: str) -> None:
        """Else a replacement of that other row would delete this window's rows, which name it."""
        (found,) = verdicts(proof(window(1), 5, 3, origin), taken=[3])
        assert found.columns == {"is_replacement_run_flag": True, "removable_count": 0}
        assert found.resumes == "from the start"
        assert "that id is another row's now" in found.reason

    def test_of_two_with_one_id_the_newer_keeps_it(self) -> None:
        found = verdicts(proof(window(1), 5, 3), proof(window(2), 6, 3))
        assert [one.keeps_id for one in found] == [False, True]


def test_the_event_says_when_the_manifest_is_gone() -> None:
    kept = Verdict(proof(window(1), 5, stage_location="at/5"))
    assert "is gone" not in kept.reason
    assert "its manifest is gone" in Verdict(replace(kept.proof, columns={})).reason
