"""Windows that are published together: each has the outcome that it would have alone."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.vanishing import VanishedDataLimit
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    FenceLostError,
    InvalidInputError,
    RowsWouldVanishError,
    ServiceUnavailableError,
    TargetBusyError,
    TornStageError,
)
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.ports.stage import Manifest
from include.pipeline_framework.ports.target import PublishOutcome, PublishRequest, PublishResult
from tests.contract.faulty_connections import Break
from tests.contract.target_harness import FLIGHTS, TargetHarness, document, documents, window

HOURS = [window(hour, hour + 1) for hour in range(3)]
BAD = {"flight": {"delay": "rather late"}}


def staged(
    harness: TargetHarness, contents: Sequence[Sequence[Document]] | None = None, row: int = 1
) -> list[Manifest]:
    """A manifest for each hour after noon; row numbers count from `row`."""
    found = [documents(3, hour) for hour in HOURS] if contents is None else contents
    return [
        harness.staged(content, window(number, number + 1), row=row + number) for number, content in enumerate(found)
    ]


def requests(manifests: Sequence[Manifest], **options: Any) -> list[PublishRequest]:
    return [PublishRequest(manifest, manifest.fence, manifest.lifecycle_id, **options) for manifest in manifests]


def publish(harness: TargetHarness, asked: Sequence[PublishRequest], **options: Any) -> list[PublishOutcome]:
    return list(harness.target.publish(asked, harness.stage, **options))


def result(outcome: PublishOutcome) -> PublishResult:
    """The result; an error is raised."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def assert_published(harness: TargetHarness, outcomes: Sequence[PublishOutcome], manifests: Sequence[Manifest]) -> None:
    for outcome, manifest in zip(outcomes, manifests, strict=True):
        found = result(outcome)
        assert found.loaded == manifest.fingerprint == harness.target.fingerprint(FLIGHTS, manifest.window)
        assert found.receipt == harness.target.receipt(FLIGHTS, manifest.window)
        assert (found.receipt.lifecycle_id, found.receipt.manifest) == (manifest.lifecycle_id, manifest.location)


class GroupsContract:
    """What `publish` promises for several windows."""

    def test_every_window_of_a_group_has_its_rows_and_its_receipt(self, harness: TargetHarness) -> None:
        manifests = staged(harness, [documents(3, HOURS[0]), [], documents(5, HOURS[2])])
        outcomes = publish(harness, requests(manifests))
        assert_published(harness, outcomes, manifests)
        assert [result(outcome).deleted_rows for outcome in outcomes] == [0, 0, 0]
        rows = {(row["_lifecycle_id"], row["_fence"], row["_file"]) for row in harness.rows()}
        assert rows == {(one.lifecycle_id, one.fence, one.files[0].key) for one in manifests if one.files}
        assert len(harness.rows()) == 8

    def test_windows_apart_and_in_any_order_stay_apart(self, harness: TargetHarness) -> None:
        between = harness.load(documents(4, HOURS[1]), HOURS[1], row=9).receipt
        first, _, last = staged(harness)
        assert_published(harness, publish(harness, requests([last, first])), [last, first])
        assert harness.target.receipt(FLIGHTS, HOURS[1]) == between
        assert len(harness.rows()) == 10

    def test_a_document_that_a_column_cannot_hold_spoils_its_own_window_only(self, harness: TargetHarness) -> None:
        manifests = staged(harness, [documents(2, HOURS[0]), [document("odd", HOURS[1].start, **BAD)], []])
        first, odd, last = publish(harness, requests(manifests))
        assert isinstance(odd, BadDocumentError)
        assert "'odd'" in str(odd) and str(HOURS[1]) in str(odd) and "rather late" not in str(odd)
        assert_published(harness, [first, last], [manifests[0], manifests[2]])
        assert harness.target.receipt(FLIGHTS, HOURS[1]) is None
        assert len(harness.rows()) == 2

    def test_ids_may_repeat_in_two_windows_and_not_in_one(self, harness: TargetHarness) -> None:
        once = [document("same", hour.start) for hour in HOURS]
        twice = [document("twice", HOURS[1].start), document("twice", HOURS[1].start)]
        manifests = staged(harness, [[once[0]], twice, [once[2]]])
        first, repeated, last = publish(harness, requests(manifests))
        assert isinstance(repeated, BadDocumentError)
        assert "'twice' comes 2 times" in str(repeated)
        assert_published(harness, [first, last], [manifests[0], manifests[2]])
        (allowed,) = publish(harness, requests(manifests[1:2], ids_repeat=True))
        assert result(allowed).loaded.rows == 2

    def test_a_lost_fence_is_its_own_windows(self, harness: TargetHarness) -> None:
        manifests = staged(harness)
        newer = harness.load(documents(1, HOURS[1]), HOURS[1], row=9).receipt
        first, lost, last = publish(harness, requests(manifests))
        assert isinstance(lost, FenceLostError)
        assert_published(harness, [first, last], [manifests[0], manifests[2]])
        assert harness.target.receipt(FLIGHTS, HOURS[1]) == newer
        harness.target.raise_floor(FLIGHTS, 9_000)
        assert all(isinstance(one, FenceLostError) for one in publish(harness, requests(manifests)))
        assert len(harness.rows()) == 7

    def test_a_fence_that_is_lost_while_the_files_load_is_its_own_windows(self, harness: TargetHarness) -> None:
        manifests = staged(harness)

        @contextmanager
        def another_is_faster() -> Any:
            if harness.target.receipt(FLIGHTS, HOURS[1]) is None:
                harness.target.delete(FLIGHTS, HOURS[1], fence=8_000, lifecycle_id=9)
            yield

        first, lost, last = publish(harness, requests(manifests), turn=another_is_faster)
        assert isinstance(lost, FenceLostError)
        assert_published(harness, [first, last], [manifests[0], manifests[2]])
        assert len(harness.rows()) == 6

    def test_what_was_received_is_not_loaded_again(self, harness: TargetHarness) -> None:
        manifests = staged(harness)
        harness.publish(manifests[1])
        harness.stage.delete(manifests[1].location)
        asked = [dataclasses.replace(one, fence=one.fence + 500) for one in requests(manifests)]
        outcomes = publish(harness, asked)
        assert [result(outcome).already_received for outcome in outcomes] == [False, True, False]
        assert [result(outcome).receipt.fence for outcome in outcomes] == [one.fence for one in asked]
        assert_published(harness, outcomes, manifests)
        again = publish(harness, asked)
        assert [result(outcome).already_received for outcome in again] == [True] * 3
        assert len(harness.rows()) == 9

    def test_what_is_deleted_after_the_receipts_were_read_is_loaded_again(self, harness: TargetHarness) -> None:
        manifests = staged(harness)
        harness.publish(manifests[1])

        @contextmanager
        def another_deletes_it() -> Any:
            if harness.target.receipt(FLIGHTS, HOURS[1]).fence < 400:
                harness.target.delete(FLIGHTS, HOURS[1], fence=400, lifecycle_id=2)
            yield

        asked = [dataclasses.replace(one, fence=one.fence + 500) for one in requests(manifests)]
        outcomes = publish(harness, asked, turn=another_deletes_it)
        assert [result(outcome).already_received for outcome in outcomes] == [False] * 3
        assert_published(harness, outcomes, manifests)
        assert len(harness.rows()) == 9

    def test_newer_manifests_replace_their_windows(self, harness: TargetHarness) -> None:
        publish(harness, requests(staged(harness)[:2]))
        newer = staged(harness, [documents(count, hour, "n") for count, hour in zip((1, 4, 2), HOURS, strict=True)])
        outcomes = publish(harness, requests(newer))
        assert_published(harness, outcomes, newer)
        assert [result(outcome).deleted_rows for outcome in outcomes] == [3, 3, 0]
        assert len(harness.rows()) == 7
        assert len(harness.target.receipts(FLIGHTS)) == 3

    def test_replaced_rows_go_with_the_windows_that_replace_them(self, harness: TargetHarness) -> None:
        wide, elsewhere = window(0, 2), window(5, 6)
        harness.load(documents(6, wide, "wide"), wide, row=50)
        kept = harness.load(documents(2, elsewhere), elsewhere, row=51).receipt
        manifests = staged(harness)
        asked = requests(manifests)
        asked[:2] = [dataclasses.replace(one, replaced={50: wide}) for one in asked[:2]]
        outcomes = publish(harness, asked)
        assert_published(harness, outcomes, manifests)
        assert sum(result(outcome).deleted_rows for outcome in outcomes) == 6
        assert harness.target.receipt(FLIGHTS, elsewhere) == kept
        found = {receipt.window: receipt for receipt in harness.target.receipts(FLIGHTS)}
        assert (found[wide].kind, found[wide].fingerprint) == ("delete", Fingerprint())
        assert sorted({row["_lifecycle_id"] for row in harness.rows()}) == [1, 2, 3, 51]

    def test_a_load_that_would_take_rows_away_is_refused_alone(self, harness: TargetHarness) -> None:
        old = staged(harness)
        publish(harness, requests(old))
        fewer = staged(harness, [documents(3, HOURS[0]), documents(3, HOURS[1])[:1], documents(3, HOURS[2])])
        first, refused, last = publish(harness, requests(fewer, removable=VanishedDataLimit()))
        assert isinstance(refused, RowsWouldVanishError)
        assert "2 of the window's 3 rows" in str(refused) and str(HOURS[1]) in str(refused)
        assert_published(harness, [first, last], [fewer[0], fewer[2]])
        assert harness.target.receipt(FLIGHTS, HOURS[1]).manifest == old[1].location
        assert len(harness.rows()) == 9

    def test_a_torn_window_is_refused_alone(self, harness: TargetHarness) -> None:
        manifests = staged(harness)
        lies = [
            dataclasses.replace(manifests[1], fingerprint=Fingerprint(2, manifests[1].fingerprint.hash_sum)),
            dataclasses.replace(manifests[1], files=manifests[1].files * 2),
            dataclasses.replace(manifests[1], files=()),
            dataclasses.replace(manifests[1], files=manifests[0].files),
            dataclasses.replace(manifests[1], window=window(1, 1.5)),
        ]
        for number, lie in enumerate(lies):
            told = [manifests[0], lie, manifests[2]]
            asked = [dataclasses.replace(one, fence=one.fence + 100 * number) for one in requests(told)]
            first, torn, last = publish(harness, asked)
            assert isinstance(torn, TornStageError), lie
            assert_published(harness, [first, last], [manifests[0], manifests[2]])
            assert len(harness.rows()) == 6

    def test_a_missing_file_is_its_own_windows(self, harness: TargetHarness) -> None:
        manifests = staged(harness)
        harness.stage.delete(manifests[1].location)
        first, torn, last = publish(harness, requests(manifests))
        assert isinstance(torn, TornStageError)
        assert_published(harness, [first, last], [manifests[0], manifests[2]])

    def test_windows_that_overlap_and_manifests_of_other_rows_are_told_apart(self, harness: TargetHarness) -> None:
        narrow, wide = harness.staged(documents(2)), harness.staged(documents(4, window(0, 2)), window(0, 2), row=2)
        first, second = publish(harness, requests([narrow, wide]))
        assert (result(first).loaded.rows, result(second).loaded.rows) == (2, 4)
        assert len(harness.rows()) == 4, "the later fence holds both hours"
        manifests = staged(harness, row=5)
        asked = requests(manifests)
        asked[1] = dataclasses.replace(asked[1], lifecycle_id=99)
        first, wrong, last = publish(harness, asked)
        assert isinstance(wrong, InvalidInputError)
        assert_published(harness, [first, last], [manifests[0], manifests[2]])

    def test_a_busy_table_leaves_every_window_as_it_was(self, harness: TargetHarness) -> None:
        manifests = staged(harness)

        @contextmanager
        def busy() -> Any:
            raise TargetBusyError("another window is publishing")
            yield

        outcomes = publish(harness, requests(manifests), turn=busy)
        assert [type(outcome) for outcome in outcomes] == [TargetBusyError] * 3
        assert harness.rows() == []
        assert_published(harness, publish(harness, requests(manifests)), manifests)

    def test_a_death_before_the_commit_leaves_every_window_whole(self, harness: TargetHarness) -> None:
        manifests = staged(harness)
        harness.faults.die_before_commit()
        with pytest.raises(Break):
            publish(harness, requests(manifests))
        found = {row["_lifecycle_id"] for row in harness.rows()}
        assert {receipt.lifecycle_id for receipt in harness.target.receipts(FLIGHTS)} == found
        assert_published(harness, publish(harness, requests(manifests)), manifests)

    def test_a_request_to_commit_that_never_arrived_loses_and_doubles_nothing(self, harness: TargetHarness) -> None:
        manifests = staged(harness)
        harness.faults.lose_request()
        outcomes = publish(harness, requests(manifests))
        assert any(isinstance(outcome, ServiceUnavailableError) for outcome in outcomes)
        for outcome, manifest in zip(outcomes, manifests, strict=True):
            expected = Fingerprint() if isinstance(outcome, Exception) else manifest.fingerprint
            assert harness.target.fingerprint(FLIGHTS, manifest.window) == expected
        assert_published(harness, publish(harness, requests(manifests)), manifests)
        assert len(harness.rows()) == 9

    def test_a_lost_answer_to_commit_is_decided_by_the_receipts(self, harness: TargetHarness) -> None:
        manifests = staged(harness)
        harness.faults.lose_answer()
        assert_published(harness, publish(harness, requests(manifests)), manifests)
        assert len(harness.rows()) == 9

    @pytest.mark.parametrize("seed", range(5))
    def test_a_group_of_any_mix_ends_as_its_windows_would_alone(self, harness: TargetHarness, seed: int) -> None:
        """The same windows in two tables: together in the one, one after the other in the other."""
        chance = random.Random(seed)  # noqa: S311 - a mix, no secret
        alone = harness.another(table="alone_" + hex(chance.getrandbits(64))[2:])
        alone.target.prepare(FLIGHTS)
        hours = [window(number, number + 1) for number in range(5)]
        before = [harness.staged(documents(3, hour), hour, row=10 + number) for number, hour in enumerate(hours)]
        was_loaded = [one for one in before if chance.random() < 0.6]
        for manifest in was_loaded:
            for place in (harness, alone):
                place.publish(manifest)
        asked = [mixed(harness, chance, manifest, manifest in was_loaded) for manifest in before]
        chance.shuffle(asked)
        together = publish(harness, asked)
        one_by_one = [publish(alone, [request])[0] for request in asked]
        assert list(map(told, together)) == list(map(told, one_by_one))
        for hour in hours:
            assert harness.target.fingerprint(FLIGHTS, hour) == alone.target.fingerprint(FLIGHTS, hour)
        stamps = [
            [dataclasses.replace(one, written_at=one.window.start) for one in place.target.receipts(FLIGHTS)]
            for place in (harness, alone)
        ]
        assert stamps[0] == stamps[1]


def mixed(harness: TargetHarness, chance: random.Random, old: Manifest, was_loaded: bool) -> PublishRequest:
    """Something that may be asked for a window: the same again, more, fewer, odd or no rows, or an old fence."""
    kind = chance.choice(["again", "more", "fewer", "odd", "twice", "empty", "late", "torn", "replacing"])
    hour: TimeWindow = old.window
    if kind == "again":
        return PublishRequest(old, old.fence + 1_000, old.lifecycle_id)
    contents = {
        "more": documents(5, hour),
        "fewer": documents(3, hour)[:1],
        "odd": [*documents(2, hour), document("odd", hour.start, **BAD)],
        "twice": [document("twice", hour.start), document("twice", hour.start)],
        "empty": [],
    }
    new = harness.staged(contents.get(kind, documents(3, hour)), hour, row=old.lifecycle_id + 100)
    if kind == "torn":
        new = dataclasses.replace(new, fingerprint=Fingerprint(9, 9))
    fence = 1 if kind == "late" else new.fence + 1_000
    replaced = {old.lifecycle_id: hour} if kind == "replacing" and was_loaded else {}
    limit = chance.choice([None, VanishedDataLimit()])
    return PublishRequest(new, fence, new.lifecycle_id, replaced, removable=limit)


def told(outcome: PublishOutcome) -> Any:
    if isinstance(outcome, PublishResult):
        return outcome.receipt.window, outcome.loaded, outcome.deleted_rows, outcome.already_received
    return type(outcome), outcome.what
