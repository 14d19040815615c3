"""Publishing: a window is loaded exactly once, and nothing but the window is touched."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from include.pipeline_framework.core.proof.fingerprints import Fingerprint, id_hash
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    FenceLostError,
    InvalidInputError,
    PipelineError,
    TornStageError,
)
from include.pipeline_framework.ports.source import Document, TimeUnit
from tests.contract.older_stage import older_stage
from tests.contract.target_harness import FLIGHTS, HOUR, NOON, TargetHarness, document, documents, window
from tests.publishing import publish_one


class PublishingContract:
    """What `publish` and `delete` promise where nothing is in the way."""

    def test_publish_loads_the_window_and_leaves_its_receipt(self, harness: TargetHarness) -> None:
        content = documents(3)
        manifest = harness.staged(content)
        result = harness.publish(manifest)

        expected = Fingerprint.of(item.id for item in content)
        assert (result.loaded, result.deleted_rows, result.already_received) == (expected, 0, False)
        assert result.receipt == harness.target.receipt(FLIGHTS, window())
        receipt = result.receipt
        assert (receipt.fence, receipt.lifecycle_id, receipt.kind) == (manifest.fence, 1, "load")
        assert (receipt.fingerprint, receipt.manifest, receipt.window) == (expected, manifest.location, window())
        assert receipt.written_at.tzinfo is not None
        assert harness.target.fingerprint(FLIGHTS, window()) == expected
        row = min(harness.rows(), key=lambda found: found["_id"])
        assert (row["_id"], row["_source_object"], row["_lifecycle_id"]) == (content[0].id, FLIGHTS, 1)
        assert (row["_id_hash"], row["_fence"]) == (id_hash(content[0].id), manifest.fence)
        assert (row["_file"], row["origin"], row["delay"]) == (manifest.files[0].key, "JFK", 5)
        assert row["_event_at"].replace(tzinfo=UTC) == NOON

    @pytest.mark.parametrize("unit", ["ms", "us", "ns"])
    def test_times_of_every_unit_are_loaded_exactly(self, harness: TargetHarness, unit: TimeUnit) -> None:
        """Also before 1970; a unit that is finer than a microsecond is cut, not rounded."""
        times = [datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC), datetime(2013, 3, 9, 12, 0, 0, 123_000, UTC)]
        if unit != "ms":
            times.append(datetime(2250, 1, 1, 0, 0, 0, 1, UTC))
        span = TimeWindow(datetime(1969, 1, 1, tzinfo=UTC), datetime(2263, 1, 1, tzinfo=UTC))
        content = [document(str(number), at) for number, at in enumerate(times)]
        harness.publish(harness.staged(content, span, time_unit=unit))
        rows = sorted(harness.rows(), key=lambda found: found["_id"])
        assert [row["_event_at"].replace(tzinfo=UTC) for row in rows] == times
        assert [row["_id_hash"] for row in rows] == [id_hash(item.id) for item in content]

    def test_what_a_build_before_has_staged_is_loaded(self, harness: TargetHarness) -> None:
        manifest = older_stage(harness.stage, harness.staged(documents(3)))
        assert (manifest.time_unit, manifest.fingerprint.rows) == (None, 3)
        result = harness.publish(manifest)
        assert result.loaded == manifest.fingerprint
        row = min(harness.rows(), key=lambda found: found["_id"])
        assert (row["_id_hash"], row["origin"], row["delay"]) == (id_hash(row["_id"]), "JFK", 5)
        assert row["_event_at"].replace(tzinfo=UTC) == NOON

    def test_prepare_can_be_repeated_and_keeps_everything(self, harness: TargetHarness) -> None:
        harness.load(documents(2))
        harness.target.prepare(FLIGHTS)
        assert len(harness.rows()) == 2
        assert harness.target.receipt(FLIGHTS, window()) is not None

    def test_publish_needs_a_prepared_source_object(self, harness: TargetHarness) -> None:
        with pytest.raises(PipelineError, match="prepare"):
            harness.load(documents(1), source="unprepared")
        assert harness.rows() == []

    def test_a_manifest_that_was_received_is_not_loaded_again(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(3))
        harness.publish(manifest)
        again = harness.publish(manifest, fence=manifest.fence + 500)
        assert (again.already_received, again.deleted_rows, again.loaded.rows) == (True, 0, 3)
        receipt = harness.target.receipt(FLIGHTS, window())
        assert receipt.fence == manifest.fence + 500
        assert {row["_fence"] for row in harness.rows()} == {manifest.fence}
        with pytest.raises(FenceLostError):
            harness.publish(manifest, fence=manifest.fence + 499)

    def test_what_was_received_needs_no_staged_file(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(3))
        harness.publish(manifest)
        harness.stage.delete(manifest.location)
        assert harness.publish(manifest, fence=manifest.fence + 500).already_received is True

    def test_what_is_deleted_after_the_receipt_was_read_is_loaded_again(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(3))
        harness.publish(manifest)

        @contextmanager
        def another_deletes_it() -> Iterator[None]:
            assert harness.target.delete(FLIGHTS, window(), fence=400, lifecycle_id=1) == 3
            yield

        result = harness.publish(manifest, fence=500, turn=another_deletes_it)
        assert (result.already_received, result.loaded) == (False, manifest.fingerprint)
        assert harness.target.receipt(FLIGHTS, window()).fence == 500
        assert len(harness.rows()) == 3

    def test_an_older_fence_is_refused(self, harness: TargetHarness) -> None:
        zombie = harness.staged(documents(5, prefix="zombie"))
        harness.load(documents(2))
        with pytest.raises(FenceLostError, match=f"fence {zombie.fence} is older"):
            harness.publish(zombie)
        assert len(harness.ids()) == 2

    def test_a_newer_manifest_replaces_the_window(self, harness: TargetHarness) -> None:
        harness.load(documents(4, prefix="old"))
        result = harness.load(documents(2, prefix="new"))
        assert (result.deleted_rows, result.loaded.rows) == (4, 2)
        assert all(name.startswith("new") for name in harness.ids())
        assert [receipt.fence for receipt in harness.target.receipts(FLIGHTS)] == [result.receipt.fence]

    @pytest.mark.parametrize(
        "other", [window(-1, 2), window(0.25, 0.5), window(0.5, 3)], ids=["wider", "narrower", "across"]
    )
    def test_an_overlapping_window_with_a_greater_fence_wins(self, harness: TargetHarness, other: TimeWindow) -> None:
        zombie = harness.staged(documents(4))
        harness.load(documents(2, other, "other"), other, row=2)
        before = harness.rows()
        with pytest.raises(FenceLostError, match=r"[Rr]ow 2"):
            harness.publish(zombie)
        assert harness.rows() == before

    @pytest.mark.parametrize("other", [window(-1, 2), window(0.25, 0.5)], ids=["wider", "narrower"])
    def test_an_overlapping_window_with_a_smaller_fence_is_overwritten_where_they_overlap(
        self, harness: TargetHarness, other: TimeWindow
    ) -> None:
        outside = [document("outside", other.start)] if other.start < NOON else []
        harness.load([*outside, document("inside", NOON + HOUR / 3)], other, row=2)
        result = harness.load(documents(3))
        assert result.deleted_rows == 1
        assert harness.ids() == sorted([item.id for item in documents(3)] + [item.id for item in outside])

    def test_touching_windows_do_not_overlap(self, harness: TargetHarness) -> None:
        first = harness.staged(documents(2, window(0, 1)), window(0, 1))
        harness.load(documents(2, window(1, 2)), window(1, 2), row=2)
        assert harness.publish(first).loaded.rows == 2
        assert len(harness.ids()) == 4

    def test_a_manifest_whose_window_was_touched_since_is_loaded_again(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(4))
        harness.publish(manifest)
        harness.load([], window(0, 0.5), row=2)
        assert harness.target.receipt(FLIGHTS, window()) is None, "superseded: what it proves is no longer there"
        assert len(harness.ids()) == 2
        result = harness.publish(manifest, fence=900)
        assert (result.already_received, result.loaded.rows) == (False, 4)
        assert len(harness.ids()) == 4

    def test_rows_on_the_boundaries_belong_to_one_window(self, harness: TargetHarness) -> None:
        tick = timedelta(microseconds=1)
        edges = [document("before", NOON - tick), document("start", NOON), document("last", NOON + HOUR - tick)]
        edges.append(document("end", NOON + HOUR))
        harness.load(edges, window(-1, 0), row=1)
        harness.load(edges, window(0, 1), row=2)
        harness.load(edges, window(1, 2), row=3)
        assert {row["_id"]: row["_lifecycle_id"] for row in harness.rows()} == {
            "before": 1,
            "start": 2,
            "last": 2,
            "end": 3,
        }
        assert harness.target.fingerprint(FLIGHTS, window()) == Fingerprint.of(["start", "last"])
        assert harness.target.delete(FLIGHTS, window(), fence=5_000, lifecycle_id=2) == 2
        assert harness.ids() == ["before", "end"]

    def test_rows_of_replaced_ids_are_deleted_outside_the_window_too_and_no_others(
        self, harness: TargetHarness
    ) -> None:
        harness.load(documents(4, window(0, 2)), window(0, 2), row=1)
        harness.load(documents(3, window(2, 3)), window(2, 3), row=2)
        result = harness.publish(harness.staged(documents(5), row=3), replaced={1: window(0, 2)})
        assert (result.deleted_rows, result.loaded.rows) == (4, 5)
        counted = [row["_lifecycle_id"] for row in harness.rows()]
        assert (counted.count(1), counted.count(2), counted.count(3)) == (0, 3, 5)

    def test_rows_of_another_ledgers_row_with_the_same_id_are_left_alone(self, harness: TargetHarness) -> None:
        """A ledger that was lost and started again counts its rows from 1."""
        foreign = harness.load(documents(3, window(5, 6)), window(5, 6), row=1).receipt
        harness.load(documents(4, window(0, 2)), window(0, 2), row=1)
        result = harness.publish(harness.staged(documents(5), row=3), replaced={1: window(0, 2)})
        assert result.deleted_rows == 4
        assert harness.target.fingerprint(FLIGHTS, window(5, 6)) == foreign.fingerprint
        assert harness.target.receipt(FLIGHTS, window(5, 6)) == foreign

    def test_receipts_of_replaced_rows_say_that_their_rows_are_gone(self, harness: TargetHarness) -> None:
        old = harness.load(documents(4, window(0, 2)), window(0, 2), row=1).receipt
        harness.publish(harness.staged(documents(2, window(0, 1)), window(0, 1), row=3), replaced={1: window(0, 2)})
        later = harness.staged(documents(2, window(1, 2)), window(1, 2), row=4)
        found = {receipt.window: receipt for receipt in harness.target.receipts(FLIGHTS)}[window(0, 2)]
        assert (found.kind, found.fence, found.fingerprint) == ("delete", old.fence, Fingerprint())
        assert harness.publish(later, replaced={1: window(0, 2)}).loaded.rows == 2

    def test_two_source_objects_in_one_table_leave_each_other_alone(self, harness: TargetHarness) -> None:
        harness.target.prepare("it's/another")
        harness.load(documents(3, prefix="theirs"), row=8, source="it's/another")
        assert harness.target.fingerprint(FLIGHTS, window()) == Fingerprint()
        harness.publish(harness.staged(documents(2), row=9), replaced={8: window()})
        assert harness.target.delete(FLIGHTS, window(), fence=9_000, lifecycle_id=9) == 2
        assert harness.target.fingerprint("it's/another", window()).rows == 3
        assert harness.target.receipt("it's/another", window()).kind == "load"

    def test_an_empty_manifest_is_still_a_publish(self, harness: TargetHarness) -> None:
        harness.load(documents(3))
        manifest = harness.staged([])
        result = harness.publish(manifest)
        assert (result.deleted_rows, result.loaded) == (3, Fingerprint())
        receipt = harness.target.receipt(FLIGHTS, window())
        assert (receipt.kind, receipt.fingerprint, receipt.manifest) == ("load", Fingerprint(), manifest.location)
        assert harness.rows() == []

    def test_a_delete_leaves_a_receipt_that_is_no_load(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(3))
        harness.publish(manifest)
        assert harness.target.delete(FLIGHTS, window(), fence=500, lifecycle_id=1) == 3
        receipt = harness.target.receipt(FLIGHTS, window())
        assert (receipt.kind, receipt.fence, receipt.fingerprint, receipt.manifest) == (
            "delete",
            500,
            Fingerprint(),
            "",
        )
        with pytest.raises(FenceLostError):
            harness.publish(manifest, fence=499)
        assert harness.target.delete(FLIGHTS, window(), fence=500, lifecycle_id=1) == 0, "repeated: nothing left"
        assert harness.publish(manifest, fence=501).already_received is False
        assert len(harness.ids()) == 3

    def test_an_older_delete_is_refused(self, harness: TargetHarness) -> None:
        harness.load(documents(3))
        with pytest.raises(FenceLostError):
            harness.target.delete(FLIGHTS, window(0.5, 2), fence=1, lifecycle_id=2)
        assert len(harness.ids()) == 3

    def test_a_fence_below_the_floor_is_refused(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(1))
        harness.target.raise_floor(FLIGHTS, 1_000)
        harness.target.raise_floor(FLIGHTS, 10)
        with pytest.raises(FenceLostError, match="floor 1000"):
            harness.publish(manifest, fence=999)
        with pytest.raises(FenceLostError, match="floor"):
            harness.target.delete(FLIGHTS, window(), fence=999, lifecycle_id=1)
        with pytest.raises(FenceLostError, match="floor"):
            harness.target.confirm(FLIGHTS, window(), fence=999)
        assert harness.publish(manifest, fence=1_000).loaded.rows == 1

    def test_a_torn_stage_changes_nothing(self, harness: TargetHarness) -> None:
        harness.load(documents(2, prefix="old"))
        before, manifest = harness.rows(), harness.staged(documents(5))
        lies = [
            dataclasses.replace(manifest, fingerprint=Fingerprint(4, manifest.fingerprint.hash_sum)),
            dataclasses.replace(manifest, fingerprint=Fingerprint(5, manifest.fingerprint.hash_sum - 1)),
            dataclasses.replace(manifest, files=manifest.files * 2),
            dataclasses.replace(manifest, files=()),
            dataclasses.replace(manifest, window=window(0, 0.5)),
        ]
        for lie in lies:
            with pytest.raises(TornStageError, match="manifest"):
                harness.publish(lie)
            assert harness.rows() == before
        assert harness.target.receipt(FLIGHTS, window(0, 0.5)) is None

    def test_a_missing_file_changes_nothing(self, harness: TargetHarness) -> None:
        harness.load(documents(2, prefix="old"))
        before, manifest = harness.rows(), harness.staged(documents(5))
        harness.stage.delete(manifest.location)
        with pytest.raises(TornStageError):
            harness.publish(manifest)
        assert harness.rows() == before

    def test_a_manifest_of_another_row_is_refused(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(1), row=1)
        with pytest.raises(InvalidInputError):
            publish_one(harness.target, manifest, harness.stage, fence=99, lifecycle_id=2)
        assert harness.rows() == []

    def test_a_value_that_its_column_cannot_hold_changes_nothing_and_is_named(self, harness: TargetHarness) -> None:
        harness.load(documents(2, prefix="old"))
        before = harness.rows()
        bad = [document("fine"), document("broken", flight={"delay": "rather late"})]
        manifest = harness.staged(bad)
        with pytest.raises(BadDocumentError, match=r"'broken'.*'delay'") as caught:
            harness.publish(manifest)
        assert "rather late" not in str(caught.value)
        assert harness.rows() == before
        assert harness.target.receipt(FLIGHTS, window()).manifest != manifest.location

    def test_numbers_survive_in_the_document_as_far_as_the_target_allows(self, harness: TargetHarness) -> None:
        body = b'{"big": 12345678901234567890123456789, "above": 9007199254740993, "one": 1.0, "hundred": 1e2, '
        body += b'"text": "\\u00e9\\\\u0000"}'
        harness.load([Document("numbers", NOON, body)])
        doc = harness.rows()[0]["doc"]
        found = json.loads(doc) if isinstance(doc, str) else doc
        assert found == json.loads(body)
        assert isinstance(found["above"], int)
