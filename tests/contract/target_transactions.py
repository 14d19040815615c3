"""Transactions: a publish that dies, is cut off, or runs beside another one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from include.pipeline_framework.errors import (
    FenceLostError,
    PublishConflictError,
    ServiceUnavailableError,
)
from tests.contract.faulty_connections import Break
from tests.contract.target_harness import FLIGHTS, TargetHarness, documents, in_threads, window


class TransactionsContract:
    """What holds at COMMIT, and between publishes at the same time."""

    def test_a_death_before_commit_leaves_everything_as_it_was(self, harness: TargetHarness) -> None:
        harness.load(documents(2, prefix="old"))
        before, manifest = harness.rows(), harness.staged(documents(5, prefix="new"))
        harness.faults.die_before_commit()
        with pytest.raises(Break):
            harness.publish(manifest)
        assert harness.rows() == before
        assert harness.target.receipt(FLIGHTS, window()).manifest != manifest.location
        assert harness.publish(manifest).loaded.rows == 5

    def test_a_request_to_commit_that_never_arrived_is_an_outage(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(5))
        harness.faults.lose_request()
        with pytest.raises(ServiceUnavailableError):
            harness.publish(manifest)
        assert harness.rows() == []
        assert harness.publish(manifest, fence=700).already_received is False

    def test_a_lost_answer_to_commit_is_a_success_when_the_receipt_is_there(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(5))
        harness.faults.lose_answer()
        result = harness.publish(manifest)
        assert (result.loaded.rows, result.already_received) == (5, False)
        harness.faults.lose_answer()
        assert harness.target.confirm(FLIGHTS, window(), fence=800).fence == 800
        harness.faults.lose_answer()
        assert harness.target.delete(FLIGHTS, window(), fence=900, lifecycle_id=1) == 5
        assert harness.rows() == []

    def test_a_guard_row_that_stays_locked_is_a_conflict(self, harness: TargetHarness) -> None:
        impatient = harness.another(guard_wait_seconds=0.5)
        first, second = harness.staged(documents(2)), harness.staged(documents(1, window(1, 2)), window(1, 2), row=2)
        with ThreadPoolExecutor(1) as threads, harness.faults.paused_commit() as wait:
            holder = threads.submit(harness.publish, first)
            wait()
            with pytest.raises(PublishConflictError, match="lock"):
                impatient.publish(second)
            assert harness.rows() == []
        assert holder.result().loaded.rows == 2
        assert impatient.publish(second).loaded.rows == 1

    def test_windows_of_one_source_object_published_at_once_all_land(self, harness: TargetHarness) -> None:
        hours = [window(n, n + 1) for n in range(6)]
        manifests = [harness.staged(documents(20, hour), hour, row=n) for n, hour in enumerate(hours, 1)]
        outcomes = in_threads([lambda manifest=manifest: harness.publish(manifest) for manifest in manifests])
        assert [getattr(outcome, "loaded", outcome) for outcome in outcomes] == [
            manifest.fingerprint for manifest in manifests
        ]
        assert len(harness.rows()) == 120
        assert len(harness.target.receipts(FLIGHTS)) == 6

    def test_one_manifest_published_by_two_tries_at_once_lands_once(self, harness: TargetHarness) -> None:
        manifest = harness.staged(documents(20))
        outcomes = in_threads([lambda fence=fence: harness.publish(manifest, fence=fence) for fence in (700, 701)])
        assert len(harness.rows()) == 20
        loads = [
            outcome for outcome in outcomes if not isinstance(outcome, FenceLostError) and not outcome.already_received
        ]
        assert len(loads) == 1

    def test_preparing_at_once_leaves_one_guard_row(self, harness: TargetHarness) -> None:
        outcomes = in_threads([lambda: harness.target.prepare("fresh")] * 4)
        assert outcomes == [None] * 4
        manifest = harness.staged(documents(2), source="fresh")
        assert harness.publish(manifest).loaded.rows == 2
