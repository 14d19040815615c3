"""Revisits of closed windows, on ports in memory: what is found, what is replaced, and what a second look does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.records.planning import DERIVED_COLUMNS
from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.core.records.run_requests import parse_request
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.core.watching.late_data import Mode
from include.pipeline_framework.errors import (
    ApprovalNeededError,
    BadDocumentError,
    InvalidInputError,
    RowsWouldVanishError,
    ServiceUnavailableError,
    TerminalError,
    TransientError,
)
from include.pipeline_framework.ports.source import BucketCount, Document
from include.pipeline_framework.tasks import audit_windows as module
from include.pipeline_framework.tasks.audit_requests import parse_audit
from include.pipeline_framework.tasks.audit_windows import AuditReport, audit_windows, days_due
from include.pipeline_framework.tasks.planning import populate_pipeline_batches
from tests.doubles.memory_transfer import MemorySource
from tests.unit.tasks.world import DAY, HOUR, RUN_2, TEMPORARY, ZONE, World, window

AUDIT = Actor("audit_windows", "scheduled__1", "audit_pipeline", 0, 1)
NEXT_AUDIT = Actor("audit_windows", "scheduled__2", "audit_pipeline", 0, 1)
ONE_DAY = {"target_date": "2013-03-09"}
NEXT_DAY = LocalDay(date(2013, 3, 10), ZONE)


class CountingSource(MemorySource):
    """Knows how it was asked; `broken` windows raise."""

    def __init__(self) -> None:
        super().__init__()
        self.histograms: list[int] = []
        self.fingerprints = 0
        self.broken: dict[date, Exception] = {}

    def histogram(self, window: TimeWindow, buckets: Sequence[TimeWindow]) -> list[BucketCount]:
        self.histograms.append(len(buckets))
        for day, error in self.broken.items():
            if window.overlaps(TimeWindow(LocalDay(day, ZONE).start, LocalDay(day, ZONE).end)):
                raise error
        return super().histogram(window, buckets)

    def fingerprint(self, window: TimeWindow) -> Any:
        self.fingerprints += 1
        return super().fingerprint(window)


def a_world(*hours: int, **changes: Any) -> tuple[World, CountingSource, list[int]]:
    """A day with these hours loaded, three documents each."""
    world, source = World(**{"vanished_data_limit": {"percent": 50}, **changes}), CountingSource()
    world.source = source
    for hour in hours:
        world.add_documents(3, hour)
    return world, source, world.complete(*hours)


def audit(world: World, conf: dict[str, Any] | None = None, actor: Actor = AUDIT) -> AuditReport:
    return audit_windows(world.pipeline, actor, parse_audit(conf or {}, world.config))


def load_what_waits(world: World, actor: Actor = RUN_2) -> None:
    """The pipeline's next run."""
    for row in world.claim(actor):
        world.move(row.id, Phase.AUDIT, actor)


def live(world: World) -> list[int]:
    return [row.id for row in world.store.find()]


def equal_ends(world: World) -> bool:
    return sorted(world.source.documents) == world.target_ids()


class TestFindAndReplace:
    def test_only_changed_windows_are_replaced_with_one_request_for_the_day(self) -> None:
        world, source, ids = a_world(*range(6))
        world.add_documents(2, 1, prefix="late")
        del source.documents["doc-4-0"]
        report = audit(world, ONE_DAY)
        assert (report.days, report.windows, report.replaced) == (1, 6, 2)
        assert report.changed == {"late_data": 1, "vanished_data": 1}
        assert source.histograms == [6]
        assert source.fingerprints == 0
        assert [world.row(i).is_invalidated_flag for i in ids] == [False, True, False, False, True, False]
        new = world.row(live(world)[1])
        assert (new.pipeline_final_status, new.is_replacement_run_flag, new.campaign_id) == (
            "PENDING",
            True,
            None,
        )
        load_what_waits(world)
        assert equal_ends(world)
        assert audit(world, ONE_DAY, NEXT_AUDIT).changed == {}

    def test_an_unchanged_day_replaces_nothing_and_writes_no_event(self) -> None:
        world, _, ids = a_world(0, 1)
        before = [world.events(i) for i in ids]
        report = audit(world, ONE_DAY)
        assert (report.windows, report.replaced, report.changed) == (2, 0, {})
        assert [world.events(i) for i in ids] == before
        assert live(world) == ids

    def test_the_events_say_what_was_found(self) -> None:
        world, _, (record_id,) = a_world(0)
        world.add_documents(1, 0, prefix="late")
        audit(world, {**ONE_DAY, "reason": "ticket 7"})
        marked, invalidated = world.store.events(record_id)[-3:-1]
        assert (marked["event"], invalidated["event"]) == ("revisited", "invalidated")
        assert marked["numbers"] == {"kind": "late_data", "was": 3, "now": 4, "days_after": 3.25}
        assert "the source has 4 rows, 3 were read (+1); ticket 7" in invalidated["reason"]

    def test_gaps_and_uneven_windows_are_counted_by_their_own_bounds(self) -> None:
        world, source, _ = a_world(0, 1, 5)
        (wide,) = world.plan(2)
        world.store.amend(wide, query_window_end_at=window(2).start + HOUR / 3)
        world.add_documents(3, 2)  # one in the short window, two after it: nobody's
        world.claim(RUN_2)
        world.move(wide, Phase.AUDIT, RUN_2)
        world.add_documents(4, 3, prefix="nobody's")
        assert audit(world, ONE_DAY).changed == {}
        assert source.histograms == [4]

    @pytest.mark.parametrize("status", ["PENDING", "IN_PROGRESS", "FAILED"])
    def test_rows_that_are_not_closed_are_left_alone(self, status: str) -> None:
        """Although they have numbers: of an attempt before."""
        world, source, (_, other) = a_world(0, 1)
        world.plan(2)
        world.add_documents(5, 1, prefix="late")
        world.store.amend(other, pipeline_final_status=status)
        report = audit(world, ONE_DAY)
        assert (report.windows, report.unknown, report.changed) == (1, 0, {})
        assert source.histograms == [1]

    def test_a_part_of_a_day_compares_windows_wholly_inside_and_is_no_revisit_of_the_day(self) -> None:
        world, _, _ = a_world(*range(4))
        conf = {"from": "2013-03-09T05:30:00Z", "to": "2013-03-09T08:00:00Z"}
        assert audit(world, conf).windows == 2
        assert world.store.revisits("flights", world.at - timedelta(days=1)) == []

    def test_a_skipped_window_is_compared_with_its_proof(self) -> None:
        world, _, (record_id,) = a_world(0)
        world.store.amend(
            record_id,
            pipeline_final_status="SKIPPED",
            staged_count=None,
            staged_fingerprint=None,
            target_fingerprint=None,
        )
        assert audit(world, {**ONE_DAY, "mode": "fingerprint", "check_target": True}).changed == {}
        world.add_documents(1, 0, prefix="late")
        assert audit(world, ONE_DAY).changed == {"late_data": 1}

    def test_rows_without_numbers_are_told_and_left_alone(self) -> None:
        world, _, (first, _) = a_world(0, 1)
        names = ("source_count", "target_count", "loaded_count", "staged_count")
        world.store.amend(first, **dict.fromkeys(names))
        report = audit(world, ONE_DAY)
        assert (report.unknown, report.windows, report.replaced) == (1, 1, 0)


YES = {"reason": "ticket 7"}


class TestVanished:
    """Loaded rows that the source does not show any more: a small share goes, the rest is a person's."""

    def hidden(self, **changes: Any) -> tuple[World, CountingSource, list[int]]:
        """Three of twelve rows are not shown any more, two of them of one window."""
        world, source, ids = a_world(0, 1, 2, 3, **changes)
        for name in ("doc-1-0", "doc-1-1", "doc-3-0"):
            del source.documents[name]
        return world, source, ids

    def test_more_than_the_limit_waits_for_a_person_and_the_alarm_has_the_numbers(self) -> None:
        world, _, ids = self.hidden(vanished_data_limit={"percent": 20})
        world.add_documents(1, 0, prefix="late")
        before = world.target_ids()
        with pytest.raises(ApprovalNeededError) as raised:
            audit(world, ONE_DAY)
        said = str(raised.value)
        assert "2 windows wait for a person, 3 rows are at stake" in said
        assert "the source has 1 rows, 3 were read (-2) (3 rows would be gone there, 2 may go" in said
        assert '"accept_vanished": 3} lets the rows go' in said
        assert [world.row(i).is_invalidated_flag for i in ids] == [True, False, False, False]  # late data goes on
        load_what_waits(world)
        assert set(world.target_ids()) == {*before, "late-0-0"}

    @pytest.mark.parametrize("limit", [{"percent": 25}, {"rows": 3, "percent": 0}])
    def test_a_small_share_goes_by_itself(self, limit: dict[str, Any]) -> None:
        world, _, _ = self.hidden(vanished_data_limit=limit)
        report = audit(world, ONE_DAY)
        assert (report.replaced, report.held) == (2, 0)
        load_what_waits(world)
        assert equal_ends(world)

    def test_more_that_vanishes_before_the_load_is_not_taken_away_either(self) -> None:
        """Between the revisit and its replacement's load the source hides the rest."""
        world, source, _ = self.hidden(vanished_data_limit={"rows": 3})
        audit(world, ONE_DAY)
        before = world.target_ids()
        source.documents.clear()
        for row in world.claim(RUN_2):
            with pytest.raises(RowsWouldVanishError, match=r"3 of the window's 3 rows would be gone, [12] may go"):
                world.move(row.id, Phase.AUDIT, RUN_2)
        assert world.target_ids() == before

    def test_a_yes_is_for_so_many_rows_and_no_more(self) -> None:
        world, _, _ = self.hidden(vanished_data_limit={"percent": 0})
        with pytest.raises(ApprovalNeededError, match="1 windows wait for a person, 1 rows"):
            audit(world, {**ONE_DAY, **YES, "accept_vanished": 2})
        load_what_waits(world)
        assert "doc-1-0" not in world.target_ids()
        assert "doc-3-0" in world.target_ids()
        assert audit(world, {**ONE_DAY, **YES, "accept_vanished": 1}, NEXT_AUDIT).replaced == 1
        load_what_waits(world, Actor("data_pipeline_main", "run-3"))
        assert equal_ends(world)

    def test_what_a_person_keeps_is_not_asked_again_until_it_changes(self) -> None:
        world, source, ids = self.hidden(vanished_data_limit={"percent": 0})
        report = audit(world, {**ONE_DAY, **YES, "keep_vanished": True})
        assert (report.kept, report.held, report.replaced) == (2, 0, 0)
        assert world.row(ids[1]).kept_source_count == 1
        assert "kept: ticket 7" in world.store.events(ids[1])[-1]["reason"]
        assert audit(world, ONE_DAY, NEXT_AUDIT).changed == {}
        assert not any(world.row(i).is_revisit_due_flag for i in ids)
        del source.documents["doc-1-2"]
        with pytest.raises(ApprovalNeededError, match="the source holds nothing of it any more"):
            audit(world, ONE_DAY, NEXT_AUDIT)

    def test_it_asks_every_day_and_writes_one_event(self) -> None:
        world, _, ids = self.hidden(vanished_data_limit={"percent": 0}, revisit_days=[])
        for conf, actor in ((ONE_DAY, AUDIT), ({}, NEXT_AUDIT)):
            with pytest.raises(ApprovalNeededError):
                audit(world, conf, actor)
            world.at += timedelta(days=1)
        events = [event for event in world.store.events(ids[1]) if event["event"] == "revisited"]
        assert len(events) == 1
        assert "waits for a person" in events[0]["reason"]

    def test_a_dry_run_only_shows_it(self) -> None:
        world, _, ids = self.hidden(vanished_data_limit={"percent": 0})
        report = audit(world, {**ONE_DAY, "dry_run": True})
        assert (report.held, report.held_rows, report.replaced) == (2, 3, 0)
        assert not any(world.row(i).is_revisit_due_flag for i in ids)

    def test_data_that_left_the_source_is_not_deleted_from_the_target_unasked(self) -> None:
        world, source, ids = a_world(0, 1)
        source.documents = {name: document for name, document in source.documents.items() if "-1-" in name}
        with pytest.raises(ApprovalNeededError, match=r"1 windows wait for a person, 3 rows .* holds nothing of it"):
            audit(world, ONE_DAY)
        assert live(world) == ids
        assert audit(world, {**ONE_DAY, "replace_emptied": True}).replaced == 1
        load_what_waits(world)
        assert equal_ends(world)

    def test_a_backfill_by_hand_is_a_yes(self) -> None:
        world, _, ids = self.hidden(vanished_data_limit={"percent": 0})
        again = parse_request({**ONE_DAY, "replace": True, "reason": "gone for good"}, world.config.horizon, "flights")
        populate_pipeline_batches(world.config, world.store, RUN_2, again)
        load_what_waits(world)
        assert equal_ends(world)
        assert all(world.row(i).is_invalidated_flag for i in ids)


class TestParts:
    """What a window was loaded from belongs to it: other rows from elsewhere are no late data."""

    def test_more_rows_from_another_index_wait_for_a_person(self) -> None:
        world, source, ids = a_world(0, 1)
        source.consists_of = {"memory": "2"}
        world.add_documents(2, 1, prefix="elsewhere")
        with pytest.raises(ApprovalNeededError, match=r"loaded from other parts: memory is another one now.*: 3\}"):
            audit(world, ONE_DAY)
        assert live(world) == ids
        report = audit(world, {**ONE_DAY, **YES, "accept_vanished": 3}, NEXT_AUDIT)
        assert (report.replaced, report.other_parts) == (1, 1)
        load_what_waits(world)
        assert equal_ends(world)

    def test_an_index_that_joins_the_pattern_is_none_of_that(self) -> None:
        world, source, _ = a_world(0)
        source.consists_of["another"] = "7"
        world.add_documents(2, 0, prefix="late")
        assert audit(world, ONE_DAY).replaced == 1

    def test_the_same_rows_elsewhere_are_told_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        world, source, _ = a_world(0)
        source.consists_of = {"restored": "1"}
        with caplog.at_level("INFO"):
            assert audit(world, ONE_DAY).other_parts == 1
        assert "unchanged, but loaded from memory is not there any more" in caplog.text


class TestUnexpectedlyEmpty:
    def days(self, rows: dict[int, int]) -> World:
        """Hour 5 of some days of March, each with so many rows."""
        world = World(revisit_days=[])
        for number, count in rows.items():
            day = LocalDay(date(2013, 3, number), ZONE)
            start = day.start + 5 * HOUR
            for n in range(count):
                world.source.add(Document(f"{number}-{n}", start, b"{}"))
            (record_id,) = world.plan(5, day=day)
            world.claim(RUN_2)
            world.move(record_id, Phase.AUDIT, RUN_2)
        return world

    @pytest.mark.parametrize(
        ("rows", "found"),
        [
            ({3: 5, 4: 2, 5: 0, 6: 9}, 1),
            ({3: 5, 4: 0, 5: 0, 6: 9}, 0),  # it is not always that there are some
            ({4: 5, 5: 0, 6: 9}, 0),  # too few to say anything
            ({3: 5, 4: 2, 5: 1, 6: 9}, 0),
        ],
    )
    def test_an_empty_window_among_neighbours_that_have_rows_is_reported(
        self, rows: dict[int, int], found: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        world = self.days(rows)
        report = audit(world, {"target_date": "2013-03-05"})
        assert report.unexpectedly_empty == found
        assert ("is empty, its 3 neighbours at the same time of day have 2 rows or more" in caplog.text) == bool(found)


class TestFingerprint:
    def swapped(self) -> tuple[World, CountingSource]:
        world, source, _ = a_world(0, 1, 2)
        world.add_documents(1, 0, prefix="late")
        document = source.documents.pop("doc-2-1")
        source.add(Document("other", document.event_at, b"{}"))
        return world, source

    def test_counting_cannot_see_one_in_one_out(self) -> None:
        world, _ = self.swapped()
        assert audit(world, ONE_DAY).changed == {"late_data": 1}

    def test_reading_ids_can_and_reads_only_windows_whose_count_is_the_same(self) -> None:
        world, source = self.swapped()
        report = audit(world, {**ONE_DAY, "mode": "fingerprint"})
        assert report.changed == {"late_data": 1, "changed_ids": 1}
        assert (source.histograms, source.fingerprints) == ([3], 2)
        load_what_waits(world)
        assert equal_ends(world)
        assert audit(world, {**ONE_DAY, "mode": "fingerprint"}, NEXT_AUDIT).changed == {}

    def test_quarantined_documents_are_in_no_hash_sum_so_ids_are_not_read(self) -> None:
        world, source, (record_id,) = a_world(0)
        source.add(Document("bad", window(0).start, b"{}"))
        world.store.amend(record_id, quarantined_count=1)
        report = audit(world, {**ONE_DAY, "mode": "fingerprint"})
        assert (report.changed, report.not_by_id, source.fingerprints) == ({}, 1, 0)


class TestTarget:
    def count_statements(self, world: World, monkeypatch: pytest.MonkeyPatch) -> list[TimeWindow]:
        asked: list[TimeWindow] = []
        original = world.target.fingerprint

        def fingerprint(source_object: str, asked_window: TimeWindow) -> Any:
            asked.append(asked_window)
            return original(source_object, asked_window)

        monkeypatch.setattr(world.target, "fingerprint", fingerprint)
        return asked

    def test_a_row_lost_in_the_target_is_found_with_few_statements(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, _, ids = a_world(*range(8))
        world.lose_target_rows()
        assert audit(world, {**ONE_DAY, "check_target": False}).changed == {}
        asked = self.count_statements(world, monkeypatch)
        with pytest.raises(ApprovalNeededError, match=r'1 windows wait for a person.*"reload_target": true'):
            audit(world, ONE_DAY, NEXT_AUDIT)
        assert len(asked) == 1 + 2 * 3  # halves of halves
        report = audit(world, {**ONE_DAY, **YES, "reload_target": True}, NEXT_AUDIT)
        assert (report.changed, report.replaced) == ({"target_differs": 1}, 1)
        assert world.row(ids[-1]).is_invalidated_flag
        load_what_waits(world)
        assert equal_ends(world)
        asked.clear()
        assert audit(world, ONE_DAY, NEXT_AUDIT).changed == {}
        assert len(asked) == 1

    def test_in_mode_fingerprint_every_window_is_one_statement(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, _, _ = a_world(*range(4))
        asked = self.count_statements(world, monkeypatch)
        assert audit(world, {**ONE_DAY, "check_target": True, "mode": "fingerprint"}).changed == {}
        assert asked == [window(hour) for hour in range(4)]


class TestMarkedWindows:
    def marked(self) -> tuple[World, int]:
        """One row came during the load, within the tolerance: PASSED, and the target lacks it."""
        world, source = World(late_data_tolerance={"rows": 5}, revisit_days=[]), CountingSource()
        world.source = source
        world.add_documents(3, 0)
        (record_id,) = world.plan_and_claim(0)
        world.move(record_id, Phase.STAGE_TO_TARGET)
        world.add_documents(1, 0, prefix="late")
        world.move(record_id)
        assert world.row(record_id).is_revisit_due_flag
        return world, record_id

    def test_it_rests_for_x_time_back_and_then_ends_equal_whatever_the_tolerance(self) -> None:
        world, _ = self.marked()
        assert days_due(world.config, world.store, world.at) == []
        assert audit(world).windows == 0
        world.pass_time(timedelta(days=1))
        assert days_due(world.config, world.store, world.at) == [DAY]
        assert audit(world).replaced == 1
        load_what_waits(world)
        assert equal_ends(world)
        world.pass_time(timedelta(days=1))
        assert audit(world, actor=NEXT_AUDIT).windows == 0

    def test_it_loses_its_mark_when_the_source_is_as_it_was_loaded(self) -> None:
        world, record_id = self.marked()
        del world.source.documents["late-0-0"]
        world.pass_time(timedelta(days=1))
        assert (audit(world).settled, world.row(record_id).is_revisit_due_flag) == (1, False)
        assert world.store.events(record_id)[-1]["numbers"]["kind"] == "equal"


class TestSchedule:
    def test_the_days_that_the_schedule_names_and_no_others(self) -> None:
        world, source, _ = a_world(0, start_date="2013-03-09", revisit_days=[3])
        world.at -= timedelta(days=1)
        assert days_due(world.config, world.store, world.at) == []
        world.at += timedelta(days=1)
        assert days_due(world.config, world.store, world.at) == [DAY]
        assert audit(world).windows == 1
        assert days_due(world.config, world.store, world.at) == []
        assert audit(world, actor=NEXT_AUDIT).windows == 0
        assert source.histograms == [1]

    def test_a_missed_revisit_is_made_up_for(self) -> None:
        world, _, _ = a_world(0, start_date="2013-03-09", end_date="2013-03-10", revisit_days=[1, 3])
        world.pass_time(timedelta(days=5))
        assert audit(world).windows == 1
        world.pass_time(timedelta(days=10))
        assert days_due(world.config, world.store, world.at) == []

    def test_every_step_of_the_schedule_looks_again(self) -> None:
        world, source, _ = a_world(0, start_date="2013-03-09", end_date="2013-03-10", revisit_days=[3, 5])
        for number in range(7):
            audit(world, actor=Actor("audit_windows", f"day-{number}"))
            world.pass_time(timedelta(days=1))
        assert source.histograms == [1, 1]
        assert [r["days_after"] for r in world.store.revisits("flights", window(0).start)] == [3, 5]


class TestAgain:
    def test_a_cleared_run_does_not_replace_or_record_twice(self) -> None:
        world, _, _ = a_world(0, 1)
        world.add_documents(1, 0, prefix="late")
        assert audit(world, ONE_DAY).replaced == 1
        rows = len(world.store._rows)
        again = audit(world, ONE_DAY)
        assert (again.windows, again.replaced, len(world.store._rows)) == (1, 0, rows)
        load_what_waits(world)
        assert audit(world, ONE_DAY).replaced == 0
        (revisit,) = world.store.revisits("flights", window(0).start)
        assert (revisit["windows"], revisit["changed"], revisit["rows_before"], revisit["rows_now"]) == (2, 1, 6, 7)

    @pytest.mark.parametrize("point", ["note_revisit", "replace"])
    def test_a_run_that_dies_in_the_middle_goes_on(self, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a conf: what is due must not be forgotten because the day is recorded already."""
        world, _, _ = a_world(0, 1, start_date="2013-03-09", end_date="2013-03-10", x_time_back="1h")
        for hour in (0, 1):
            world.add_documents(1, hour, prefix="late")
        world.pass_time(2 * HOUR)
        with monkeypatch.context() as patch:
            patch.setattr(world.store, point, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                audit(world)
        assert audit(world).replaced == 2
        (revisit,) = world.store.revisits("flights", window(0).start)
        assert revisit["late_rows"] == 2

    @pytest.mark.parametrize(("conf", "actor"), [({"dry_run": True}, AUDIT), ({}, TEMPORARY)])
    def test_a_dry_run_only_tells(self, conf: dict[str, Any], actor: Actor) -> None:
        world, _, ids = a_world(0)
        world.add_documents(1, 0, prefix="late")
        before = world.events(ids[0])
        report = audit(world, {**ONE_DAY, **conf}, actor)
        assert (report.replaced, report.changed, report.dry_run) == (1, {"late_data": 1}, True)
        assert (live(world), world.events(ids[0])) == (ids, before)
        assert world.store.revisits("flights", window(0).start) == []

    def test_two_audits_of_a_source_do_not_meet_and_a_repair_is_no_hindrance(self) -> None:
        world, source, _ = a_world(0)
        with world.store.source_lock("flights audit"):
            report = audit(world, ONE_DAY)
        assert "another audit" in report.note
        assert source.histograms == []
        with world.store.source_lock("flights"):
            assert audit(world, ONE_DAY).windows == 1

    def test_what_somebody_replaces_meanwhile_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, _, (record_id,) = a_world(0)
        world.add_documents(1, 0, prefix="late")
        original = world.store.note_revisit

        def meanwhile(*arguments: Any) -> bool:
            monkeypatch.undo()
            row = {
                key: getattr(world.row(record_id), key)
                for key in module.planned_row(_final(world), window(0), _nothing)
            }
            world.store.replace([record_id], [row], NEXT_AUDIT, "by hand")
            return original(*arguments)

        monkeypatch.setattr(world.store, "note_revisit", meanwhile)
        report = audit(world, ONE_DAY)
        assert (report.replaced, report.moved_on, len(live(world))) == (0, 1, 1)


def _final(world: World) -> dict[str, Any]:
    return world.config.final_config()


def _nothing(_config: Any) -> Any:
    return lambda _placed: dict.fromkeys(DERIVED_COLUMNS)


class TestFailures:
    def two_days(self) -> tuple[World, CountingSource]:
        world, source, _ = a_world(0)
        (other,) = world.plan(0, day=NEXT_DAY)
        world.claim(RUN_2)
        world.move(other, Phase.AUDIT, RUN_2)
        source.add(*(Document(f"late-{d}", d.start, b"{}") for d in (DAY, NEXT_DAY)))
        return world, source

    @pytest.mark.parametrize(
        ("error", "kind"),
        [(ServiceUnavailableError("down"), TransientError), (BadDocumentError("two times"), TerminalError)],
    )
    def test_a_day_that_fails_is_named_and_the_others_go_on(self, error: Exception, kind: type[Exception]) -> None:
        world, source = self.two_days()
        source.broken = {DAY.date: error}
        conf = {"from": "2013-03-09", "to": "2013-03-11"}
        with pytest.raises(kind, match=r"1 of 2 days could not be compared: 2013-03-09"):
            audit(world, conf)
        assert [row.is_replacement_run_flag for row in world.store.find()] == [False, True]
        assert [r["target_day"] for r in world.store.revisits("flights", window(0).start)] == [NEXT_DAY.date]
        source.broken = {}
        assert audit(world, conf).replaced == 1

    def test_a_source_that_is_down_is_not_asked_for_every_day(self) -> None:
        world, source = World(), CountingSource()
        world.source = source
        days = [LocalDay(date(2013, 3, n), ZONE) for n in range(1, 9)]
        ids = [world.plan(0, day=day)[0] for day in days]
        world.claim(RUN_2)
        for record_id in ids:
            world.move(record_id, Phase.AUDIT, RUN_2)
        source.fault = ServiceUnavailableError("down")
        with pytest.raises(TransientError, match="8 of 8 days"):
            audit(world, {"from": "2013-03-01", "to": "2013-03-09"})
        assert len(source.histograms) == 3


class TestConf:
    @pytest.mark.parametrize(
        ("conf", "text"),
        [
            ({"mode": "guess"}, "Choose from count, fingerprint"),
            ({"mode": ["count"]}, "Choose from count, fingerprint"),
            ({"check_target": "yes"}, "Write true or false"),
            ({"reload_target": 1}, "Write true or false"),
            ({"accept_vanished": True, "reason": "x"}, "as a whole number"),
            ({"accept_vanished": -1, "reason": "x"}, "as a whole number"),
            ({"accept_vanished": 40}, "accept_vanished needs a reason"),
            ({"keep_vanished": True}, "keep_vanished needs a reason"),
            ({"reload_target": True, "reason": " "}, "reload_target needs a reason"),
            ({"keep_vanished": True, "accept_vanished": 1, "reason": "x"}, "Give only one"),
            ({"keep_vanished": True, "replace_emptied": True, "reason": "x"}, "Give only one"),
            ({"replace": True}, "belong to a pipeline run"),
            ({"windows": [["2013-03-09T05:00:00Z", "2013-03-09T06:00:00Z"]]}, "belong to a pipeline run"),
            ({"target_day": "2013-03-09"}, "unknown keys"),
            ({"target_date": "2013-02-28"}, "horizon"),
            ({"reason": "a\0b"}, "can't be kept"),
            ({"from": "2013-03-09"}, "belong together"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, conf: dict[str, Any], text: str) -> None:
        with pytest.raises(InvalidInputError, match=text):
            parse_audit(conf, World().config)

    def test_what_the_trigger_form_sends(self) -> None:
        empty = dict.fromkeys(("pipelines", "from", "to", "target_date", "reason"))
        request = parse_audit({**empty, "mode": "count", "check_target": False, "dry_run": False}, World().config)
        assert (request.run.ranges, request.mode, request.run.dry_run) == (None, Mode.COUNT, False)


class TestArrivals:
    def test_the_recommendation_follows_from_the_recorded_revisits(self) -> None:
        world, _, _ = a_world(0, start_date="2013-03-09", end_date="2013-03-10", x_time_back="1h")
        world.add_documents(1, 0, prefix="late")
        report = audit(world)
        assert "x_time_back 78h instead of 1h" in report.recommendation  # 3 days and 6 hours after the window
        assert "25 % came after their window was loaded" in report.recommendation
