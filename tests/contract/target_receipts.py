"""Receipts: what rebuilding, comparing and skipping ask of every target."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import HeldRows
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    ConfigurationError,
    FenceLostError,
)
from tests.contract.target_harness import FLIGHTS, HOUR, NOON, TargetHarness, document, documents, window


class ReceiptsContract:
    """What a target can prove."""

    def test_receipts_are_all_of_one_source_object_superseded_ones_and_deletes_too(
        self, harness: TargetHarness
    ) -> None:
        first = harness.load(documents(2, window(0, 2)), window(0, 2), row=1).receipt
        second = harness.load(documents(2, window(0, 1)), window(0, 1), row=2).receipt
        harness.target.delete(FLIGHTS, window(3, 4), fence=500, lifecycle_id=3)
        harness.target.prepare("another")
        harness.load(documents(1, prefix="theirs"), source="another")
        found = harness.target.receipts(FLIGHTS)
        assert found[:2] == [second, first]
        assert [(one.window, one.kind, one.fence, one.lifecycle_id) for one in found[2:]] == [
            (window(3, 4), "delete", 500, 3)
        ]

    def test_where_nothing_was_prepared_nothing_is_held(self, harness: TargetHarness) -> None:
        other = harness.another(table="never_" + uuid.uuid4().hex[:8])
        for target, source_object in ((harness.target, "never"), (other.target, FLIGHTS)):
            assert target.receipts(source_object) == []
            assert target.held_rows(source_object) == []
            assert target.fence_floor(source_object) == 0
            with pytest.raises(ConfigurationError, match=r"prepare|no such table"):
                target.raise_floor(source_object, 7)

    def test_held_rows_are_counted_by_ledger_row_in_total_and_inside_of_each_load(self, harness: TargetHarness) -> None:
        tick = timedelta(microseconds=1)
        wide = [document("wide-0", NOON), document("wide-1", NOON + HOUR), document("wide-2", NOON + 2 * HOUR - tick)]
        harness.load(wide, window(0, 2), row=1)
        harness.load([document("narrow", NOON + HOUR / 2)], window(0, 1), row=2)  # row 1 loses wide-0
        harness.load(documents(3, window(4, 5)), window(4, 5), row=3)
        harness.target.delete(FLIGHTS, window(6, 7), fence=500, lifecycle_id=4)
        harness.target.prepare("another")
        harness.load(documents(4, prefix="theirs"), row=1, source="another")

        def prints(*ids: str) -> Fingerprint:
            return Fingerprint.of(ids)

        last = documents(3, window(4, 5))
        expected = [
            HeldRows(1, prints("wide-1", "wide-2"), TimeWindow(NOON + HOUR, NOON + 2 * HOUR), is_total=True),
            HeldRows(1, prints("wide-1", "wide-2"), window(0, 2)),
            HeldRows(2, prints("narrow"), TimeWindow(NOON + HOUR / 2, NOON + HOUR / 2 + tick), is_total=True),
            HeldRows(2, prints("narrow"), window(0, 1)),
            HeldRows(2, prints("narrow"), window(0, 2)),
            HeldRows(3, prints(*(one.id for one in last)), TimeWindow(last[0].event_at, last[2].event_at + tick), True),
            HeldRows(3, prints(*(one.id for one in last)), window(4, 5)),
        ]
        found = harness.target.held_rows(FLIGHTS)
        assert sorted(found, key=lambda one: (one.lifecycle_id, not one.is_total, one.window)) == expected
        harness.remove_row("wide-2")
        total = next(one for one in harness.target.held_rows(FLIGHTS) if one.is_total and one.lifecycle_id == 1)
        assert total.fingerprint == prints("wide-1")

    def test_the_floor_can_be_read_and_never_sinks(self, harness: TargetHarness) -> None:
        assert harness.target.fence_floor(FLIGHTS) == 0
        harness.target.raise_floor(FLIGHTS, 1_000)
        harness.target.raise_floor(FLIGHTS, 10)
        harness.target.prepare(FLIGHTS)
        assert harness.target.fence_floor(FLIGHTS) == 1_000
        harness.target.prepare("another")
        assert harness.target.fence_floor("another") == 0

    def test_a_floor_waits_for_an_open_publish_and_finds_its_receipt_the_next_one_is_refused(
        self, harness: TargetHarness
    ) -> None:
        """The publish holds the guard row when the floor comes: it is committed first; nothing of its time is later."""
        early, late = harness.staged(documents(3)), harness.staged(documents(3, window(1, 2)), window(1, 2), row=2)
        with ThreadPoolExecutor(2) as threads:
            with harness.faults.paused_commit() as wait:
                publish = threads.submit(harness.publish, early)
                wait()
                floor = threads.submit(harness.target.raise_floor, FLIGHTS, 1_000)
                with pytest.raises(TimeoutError):
                    floor.result(timeout=1)
            assert publish.result(600).loaded.rows == 3
            assert floor.result(600) is None
        assert [(one.fence, one.window) for one in harness.target.receipts(FLIGHTS)] == [(early.fence, window())]
        before = harness.rows()
        with pytest.raises(FenceLostError, match="floor 1000"):
            harness.publish(late)
        assert harness.rows() == before

    def test_a_confirmed_receipt_shuts_out_older_starts(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(3))
        harness.publish(manifest)
        before = harness.rows()
        confirmed = harness.target.confirm(FLIGHTS, window(), fence=500)
        assert (confirmed.fence, confirmed.manifest, confirmed.lifecycle_id) == (500, manifest.location, 1)
        assert confirmed == harness.target.receipt(FLIGHTS, window())
        with pytest.raises(FenceLostError):
            harness.target.delete(FLIGHTS, window(), fence=499, lifecycle_id=1)
        with pytest.raises(FenceLostError):
            harness.target.confirm(FLIGHTS, window(), fence=499)
        assert harness.rows() == before
        assert harness.publish(manifest, fence=501).already_received is True

    def test_only_what_the_window_still_holds_is_confirmed(self, harness: TargetHarness) -> None:
        assert harness.target.confirm(FLIGHTS, window(), fence=1) is None, "nothing was ever loaded"
        harness.load(documents(3))
        assert harness.target.confirm(FLIGHTS, window(0, 2), fence=400) is None, "another window's receipt"
        harness.remove_row(documents(3)[0].id)
        before = harness.target.receipts(FLIGHTS)
        assert harness.target.confirm(FLIGHTS, window(), fence=400) is None, "a row was lost"
        assert harness.target.receipts(FLIGHTS) == before
        harness.target.delete(FLIGHTS, window(), fence=500, lifecycle_id=1)
        assert harness.target.confirm(FLIGHTS, window(), fence=501) is None, "a delete is not an empty load"
