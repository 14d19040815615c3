"""A lost ledger in memory: what is rebuilt from what, and that dying anywhere in between costs nothing."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.core.records.planning import planned_row
from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.core.restoring.ledger_identity import ID_MARGIN
from include.pipeline_framework.core.restoring.rebuild import FENCE_MARGIN
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import FenceLostError, ServiceUnavailableError
from include.pipeline_framework.ports.stage import StageRequest
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.planning import insert_windows
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.rebuild_ledger import RebuildReport, rebuild_ledger
from include.pipeline_framework.tasks.reconcile_ledger import reconcile_ledger
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore
from tests.publishing import publish_one
from tests.unit.tasks.world import RUN_2, World, config, window

PERSON = Actor("cli ledger rebuild", "ann", "ledger rebuild")


def lose_ledger(world: World) -> None:
    world.store = MemoryLifecycleStore(lambda: world.at)


def rebuild(world: World, *, apply: bool = True) -> RebuildReport:
    return rebuild_ledger(world.pipeline, PERSON, apply=apply)


def outcomes(report: RebuildReport) -> dict[str, str]:
    assert len({line.window for line in report.lines}) == len(report.lines)
    return {line.window: line.outcome for line in report.lines}


def replace(world: World, record_id: int) -> int:
    """A replacement of the third hour's row."""
    record = planned_row(world.config.final_config(), window(3), deriving)
    (row,) = world.store.replace([record_id], [record], PERSON, "the source was corrected")
    return int(row.id)


def drain(world: World, actor: Actor = RUN_2) -> list[str]:
    """One run; the decision for each window."""
    return [
        str(world.run(row.id, lambda attempt: _moved(world, attempt), actor)["decision"])
        for row in world.claim(actor, limit=50)
    ]


def _moved(world: World, attempt: Any) -> dict[str, Any]:
    decision = pre_validate(world.pipeline, attempt)
    if decision["decision"] in ("run", "resume"):
        move_until(world.pipeline, attempt, Phase.AUDIT)
    return decision


def loaded(*hours: int, **changes: Any) -> World:
    world = World(**changes)
    for hour in hours:
        world.add_documents(5, hour=hour)
    world.complete(*hours)
    return world


class TestWhatIsRebuilt:
    def test_a_loaded_window_is_audited_and_not_loaded_again(self) -> None:
        world = loaded(3)
        (receipt,) = world.target.receipts("flights")
        lose_ledger(world)
        report = rebuild(world)
        assert outcomes(report) == {str(window(3)): "rebuilt, resumes at its audit"}
        row = world.row(receipt.lifecycle_id)
        assert (row.pipeline_final_status, row.phase_completed) == ("PENDING", "STAGE_TO_TARGET")
        assert (row.stage_location, row.stage_file_count) == (receipt.manifest, 1)
        assert str(row.target_day) == "2013-03-09"
        (event,) = world.store.events(row.id)
        assert (event["event"], event["dag_id"]) == ("rebuilt", "cli ledger rebuild")
        assert (event["numbers"]["fence"], event["numbers"]["loaded_count"]) == (receipt.fence, 5)
        assert drain(world) == ["resume"]
        assert world.status(row.id) == "COMPLETED"
        assert world.target.receipts("flights") == [receipt]

    def test_without_the_manifest_the_receipts_numbers_stand_in_for_it(self) -> None:
        world = loaded(3)
        (receipt,) = world.target.receipts("flights")
        world.stage.delete(receipt.manifest)
        lose_ledger(world)
        rebuild(world)
        row = world.row(receipt.lifecycle_id)
        assert (row.staged_count, row.staged_fingerprint) == (5, receipt.fingerprint.hash_sum)
        assert row.stage_location is None
        assert "its manifest is gone" in world.store.events(row.id)[0]["reason"]
        assert drain(world) == ["resume"]
        assert world.target.receipts("flights") == [receipt]

    def test_a_target_that_lost_rows_fails_the_audit_of_its_rebuilt_window(self) -> None:
        world = loaded(3)
        lose_ledger(world)
        world.lose_target_rows()
        rebuild(world)
        (record_id,) = (row.id for row in world.store.find())
        with pytest.raises(Exception, match="disagree"):
            drain(world)
        assert (world.status(record_id), world.target.rows) == ("PENDING", [])

    def test_a_staged_window_resumes_at_its_load(self) -> None:
        world = World()
        world.add_documents(5, hour=3)
        (record_id,) = world.plan_and_claim(3)
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        location = world.row(record_id).stage_location
        lose_ledger(world)
        assert outcomes(rebuild(world)) == {str(window(3)): "rebuilt, resumes at its load"}
        assert drain(world) == ["resume"]
        assert [receipt.manifest for receipt in world.target.receipts("flights")] == [location]

    def test_a_replacement_that_was_staged_is_loaded_instead_of_auditing_the_old_load(self) -> None:
        world = loaded(3)
        (old,) = world.store.find()
        world.add_documents(7, hour=3, prefix="corrected")
        new = replace(world, old.id)
        world.claim(RUN_2)
        world.move(new, Phase.SOURCE_TO_STAGE, RUN_2)
        lose_ledger(world)
        assert [(line.origin, line.outcome) for line in rebuild(world).lines] == [
            ("manifest", "rebuilt, resumes at its load"),
            ("receipt", f"not: what was staged or loaded later for {window(3)} is used"),
        ]
        drain(world, Actor("data_pipeline_main", "run-3"))
        assert len(world.target_ids()) == 12
        assert world.status(new) == "COMPLETED"

    def test_a_delete_and_what_it_overtook_rebuild_nothing(self) -> None:
        world = loaded(3)
        world.target.delete("flights", window(3), fence=500, lifecycle_id=1)
        lose_ledger(world)
        report = rebuild(world)
        assert outcomes(report) == {str(window(3)): "not: a delete: nothing is loaded there"}
        assert (report.rebuilt, world.store.find(include_invalidated=True)) == (0, [])

    def test_a_window_of_another_granularity_is_rebuilt_as_it_was_loaded(self) -> None:
        world = loaded(3)
        world.config = config(granularity="30m")
        lose_ledger(world)
        rebuild(world)
        assert world.store.live_windows("flights", window(0, 24)) == [window(3)]

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"timezone": "Asia/Tokyo", "granularity": "1d"}, "it goes beyond the local day"),
            ({"start_date": "2013-03-10"}, "it lies before start_date"),
            ({"end_date": "2013-03-09"}, "it lies at or after end_date"),
            ({"enabled": False}, "the pipeline is disabled"),
        ],
    )
    def test_what_can_be_no_row_of_the_pipeline_is_reported(self, changes: Any, reason: str) -> None:
        world = World(granularity="1d")
        world.add_documents(5, hour=3)
        insert_windows(world.config, [window(0, 24)], world.store, PERSON)
        (row,) = world.claim()
        world.move(row.id)
        world.config = config(**({"granularity": "1d"} | changes))
        lose_ledger(world)
        report = rebuild(world)
        (outcome,) = outcomes(report).values()
        assert outcome.startswith(f"not: {reason}")
        assert (report.rebuilt, world.store.find()) == (0, [])
        assert world.store.last_fence() == report.floor, "its fences and its id are out of reach all the same"

    def test_a_torn_manifest_is_reported_by_its_place(self) -> None:
        world = World()
        world.add_documents(5, hour=3)
        (record_id,) = world.plan_and_claim(3)
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        location = world.row(record_id).stage_location
        world.stage.storage.objects[f"pipelines/{location}/manifest.json"] = b"{"
        lose_ledger(world)
        (line,) = rebuild(world).lines
        assert (line.window, line.rows) == (location, None)
        assert line.outcome.startswith("not: The manifest can't be read")

    def test_without_apply_nothing_changes(self) -> None:
        world = loaded(3, 4)
        lose_ledger(world)
        state = world.target._state
        report = rebuild(world, apply=False)
        assert set(outcomes(report).values()) == {"would be rebuilt, resumes at its audit"}
        assert (report.rebuilt, report.applied, world.store.find()) == (2, False, [])
        assert (world.target._state, world.store.last_fence()) == (state, 0)


class TestAgain:
    def test_a_second_run_inserts_nothing(self) -> None:
        world = loaded(3, 4)
        lose_ledger(world)
        rebuild(world)
        before = world.store.find()
        again = rebuild(world)
        assert (again.rebuilt, again.in_ledger, again.lines, world.store.find()) == (0, 2, [], before)

    def test_on_a_healthy_ledger_it_inserts_nothing(self) -> None:
        world = loaded(3, 4)
        world.plan(5)
        before = world.store.find()
        report = rebuild(world)
        assert (report.rebuilt, report.in_ledger, report.lines) == (0, 2, [])
        assert world.store.find() == before

    @pytest.mark.parametrize("is_done", [False, True], ids=["before it", "after it"])
    @pytest.mark.parametrize("step", ["prepare", "raise_floor", "receipts", "raise_sequences", "restore"])
    def test_it_may_die_before_or_after_each_step(
        self, step: str, is_done: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = loaded(3, 4)
        before = world.target.receipts("flights")
        lose_ledger(world)
        owner: Any = world.store if hasattr(world.store, step) else world.target
        method = getattr(owner, step)

        def die(*arguments: Any, **options: Any) -> None:
            if is_done:
                method(*arguments, **options)
            raise ServiceUnavailableError("the process died here")

        with monkeypatch.context() as patch:
            patch.setattr(owner, step, die)
            with pytest.raises(ServiceUnavailableError):
                rebuild(world)
        # In whatever state it died: what a run takes up now is never loaded twice, and nothing old gets in.
        assert world.store.last_fence() >= world.target.fence_floor("flights") or not world.store.find()
        report = rebuild(world)
        assert report.rebuilt + report.in_ledger == 2
        assert drain(world) == ["resume", "resume"]
        assert world.target.receipts("flights") == before
        assert [world.status(receipt.lifecycle_id) for receipt in before] == ["COMPLETED"] * 2
        assert reconcile_ledger(world.pipeline) == []


class TestFencesAndIds:
    def test_a_start_from_before_is_refused_and_a_new_one_is_not(self) -> None:
        world = World()
        world.add_documents(5, hour=3)
        (record_id,) = world.plan_and_claim(3)
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        manifest = world.stage.read_manifest(world.row(record_id).stage_location)
        lose_ledger(world)
        report = rebuild(world)
        assert report.floor == manifest.fence + FENCE_MARGIN
        for fence in (manifest.fence, report.floor - 1):
            with pytest.raises(FenceLostError, match="below the target's floor"):
                publish_one(world.target, manifest, world.stage, fence=fence, lifecycle_id=record_id)
        assert drain(world) == ["resume"]
        assert len(world.target_ids()) == 5

    @pytest.mark.parametrize("where", ["a receipt", "the floor", "a manifest", "the sequence"])
    def test_the_floor_is_above_whatever_fence_is_known(self, where: str) -> None:
        world = loaded(3)
        (row,) = world.store.find()
        manifest = world.stage.read_manifest(row.stage_location)
        lose_ledger(world)
        highest = 70_000_000
        if where == "a receipt":
            world.target.confirm("flights", window(3), fence=highest)
        elif where == "the floor":
            world.target.raise_floor("flights", highest)
        elif where == "the sequence":
            world.store.raise_sequences(fence=highest, record_id=1)
        else:
            request = StageRequest(row.id, "flights", "2013-03-09", manifest.window, highest)
            with world.source.extract(manifest.window) as extract:
                world.stage.write(request, extract)
        assert rebuild(world).floor == highest + FENCE_MARGIN
        assert world.store.last_fence() == world.target.fence_floor("flights") == highest + FENCE_MARGIN

    def test_ids_of_the_lost_ledger_are_never_given_away(self) -> None:
        world = loaded(3, 4)
        world.target.delete("flights", window(4), fence=500, lifecycle_id=4711)
        lose_ledger(world)
        rebuild(world)
        assert world.plan(5) == [4711 + ID_MARGIN + 1]

    def test_a_window_whose_id_was_given_away_is_loaded_again_under_its_own(self) -> None:
        """The planner was quicker than the person: else replacing its row would delete rows of another window."""
        world = loaded(3)
        lose_ledger(world)
        (planned,) = world.plan(9)
        (receipt,) = world.target.receipts("flights")
        assert planned == receipt.lifecycle_id
        assert outcomes(rebuild(world)) == {str(window(3)): "rebuilt, resumes from the start"}
        (row,) = world.store.find(within=[window(3)])
        assert row.id > planned
        assert sorted(drain(world)) == ["empty", "run"]
        assert {held["_lifecycle_id"] for held in world.target.rows} == {row.id}
        assert world.target_ids() == sorted(world.source.documents)
        assert reconcile_ledger(world.pipeline) == []

    def test_a_window_that_was_planned_meanwhile_is_skipped_with_proof(self) -> None:
        world = loaded(3)
        (receipt,) = world.target.receipts("flights")
        lose_ledger(world)
        world.plan(3)
        report = rebuild(world)
        assert (report.rebuilt, report.in_ledger) == (0, 1)
        assert drain(world) == ["skip"]
        assert [one.manifest for one in world.target.receipts("flights")] == [receipt.manifest]

    def test_a_publish_that_is_committed_before_the_floor_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It held the guard row while the rebuild had read the receipts for the first time."""
        world = World()
        world.add_documents(5, hour=3)
        (record_id,) = world.plan_and_claim(3)
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        row = world.row(record_id)
        manifest = world.stage.read_manifest(row.stage_location)
        lose_ledger(world)
        raise_floor = world.target.raise_floor

        def publish_first(source_object: str, floor: int) -> None:
            publish_one(world.target, manifest, world.stage, fence=row.fence, lifecycle_id=record_id)
            raise_floor(source_object, floor)

        monkeypatch.setattr(world.target, "raise_floor", publish_first)
        assert outcomes(rebuild(world)) == {str(window(3)): "rebuilt, resumes at its audit"}
        before = world.target.receipts("flights")
        assert drain(world) == ["resume"]
        assert world.target.receipts("flights") == before

    def test_a_row_that_is_planned_at_the_last_moment_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = loaded(3)
        lose_ledger(world)
        restore = world.store.restore

        def plan_first(*arguments: Any) -> Any:
            world.plan(3)
            return restore(*arguments)

        monkeypatch.setattr(world.store, "restore", plan_first)
        report = rebuild(world)
        (outcome,) = outcomes(report).values()
        assert outcome.startswith("not: a row was planned there")
        assert (report.rebuilt, len(world.store.find())) == (0, 1)


class TestReconcile:
    def test_a_healthy_pipeline_has_no_differences(self) -> None:
        world = loaded(3, 4)
        world.plan(5)
        assert reconcile_ledger(world.pipeline) == []
        world.target.delete("flights", window(8), fence=1, lifecycle_id=1)
        assert reconcile_ledger(world.pipeline) == []

    def test_a_pipeline_that_never_ran(self) -> None:
        assert reconcile_ledger(World().pipeline) == []

    def test_what_a_run_holds_is_not_compared(self) -> None:
        world = loaded(3)
        world.add_documents(5, hour=4)
        (record_id,) = world.plan_and_claim(4, actor=RUN_2)
        world.move(record_id, Phase.STAGE_TO_TARGET, RUN_2)
        world.lose_target_rows()
        assert reconcile_ledger(world.pipeline) == []

    def test_what_changed_while_it_was_read_is_not_compared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = loaded(3)
        world.lose_target_rows()
        assert [one.kind for one in reconcile_ledger(world.pipeline)] == ["numbers_differ"]
        held_rows = world.target.held_rows

        def meanwhile(source_object: str) -> Any:
            world.pass_time(timedelta(minutes=1))
            (row,) = world.store.find()
            replace(world, row.id)
            return held_rows(source_object)

        monkeypatch.setattr(world.target, "held_rows", meanwhile)
        assert reconcile_ledger(world.pipeline) == []

    def test_rows_that_nobody_loaded(self) -> None:
        world = loaded(3)
        row = world.target.rows[0] | {"_id": "by hand", "_event_at": window(9).start, "_lifecycle_id": 77}
        state = world.target._state
        world.target._state = dataclasses.replace(state, rows=(*state.rows, row))
        (found,) = reconcile_ledger(world.pipeline)
        assert (found.kind, found.ledger) == ("stray_rows", "row 77: unknown to the ledger")
        assert found.window is not None
        assert found.window.overlaps(TimeWindow(window(9).start, window(9).end))
