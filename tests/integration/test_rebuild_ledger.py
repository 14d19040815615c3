"""The whole ledger is lost and rebuilt from receipts and manifests; everything is drained, nothing is loaded twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.core.restoring.rebuild import FENCE_MARGIN
from include.pipeline_framework.errors import FenceLostError, InvalidInputError, RowMistakenError
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.rebuild_ledger import rebuild_ledger
from include.pipeline_framework.tasks.reconcile_ledger import reconcile_ledger
from include.pipeline_framework.tasks.window_attempt import run_on_window
from tests.integration.lost_ledger import (
    FAILED_AUDIT,
    HOURS,
    LOADED,
    LOADED_TOO,
    PLANNED,
    REPLACED,
    ROWS_PER_HOUR,
    SKIPPED,
    STAGED,
    Losable,
    losable,
)
from tests.integration.moving import actor
from tests.publishing import publish_one

pytestmark = pytest.mark.integration

PERSON = Actor("cli ledger rebuild", "ann", "ledger rebuild")


@pytest.fixture(params=["elasticsearch-snowflake", "postgres-postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path, ledger_url: str) -> Losable:
    del ledger_url  # its environment is set before anything connects
    return losable(request.param, request, tmp_path)


def test_a_lost_ledger_is_rebuilt_audited_and_drained_without_a_second_load(world: Losable) -> None:
    pipeline, source_object = world.pipeline, world.pipeline.config.source_object
    world.fill()
    before, old_ids = world.receipts(), {window: world.row(window).id for window in HOURS}
    zombie_row = world.row(STAGED)
    zombie_manifest = pipeline.stage.read_manifest(zombie_row.stage_location)

    world.lose_ledger()
    shown = rebuild_ledger(pipeline, PERSON)
    assert (shown.rebuilt, shown.applied, pipeline.store.find(), pipeline.target.fence_floor(source_object)) == (
        5,
        False,
        [],
        0,
    )
    report = rebuild_ledger(pipeline, PERSON, apply=True)
    outcomes = {line.window: (line.origin, line.rows, line.outcome) for line in report.lines}
    audited = ("receipt", ROWS_PER_HOUR, "rebuilt, resumes at its audit")
    assert outcomes == {
        **{str(window): audited for window in (LOADED, LOADED_TOO, SKIPPED, REPLACED)},
        str(STAGED): ("manifest", ROWS_PER_HOUR, "rebuilt, resumes at its load"),
        str(FAILED_AUDIT): ("receipt", 0, "not: a delete: nothing is loaded there"),
    }
    newest = max(zombie_row.fence, *(receipt.fence for receipt in before.values()))
    assert report.floor == pipeline.target.fence_floor(source_object) > newest + FENCE_MARGIN // 2
    for window in (LOADED, LOADED_TOO, STAGED):
        row = world.row(window)
        assert (row.id, row.staged_count) == (old_ids[window], ROWS_PER_HOUR)
        assert row.stage_location is not None
    assert world.row(SKIPPED).id == before[SKIPPED].lifecycle_id != old_ids[SKIPPED]

    again = rebuild_ledger(pipeline, PERSON, apply=True)
    assert (again.rebuilt, again.in_ledger, len(again.lines)) == (0, 5, 1)
    held = world.target_ids()
    with pytest.raises(FenceLostError, match="below the target's floor"):
        publish_one(
            pipeline.target, zombie_manifest, pipeline.stage, fence=zombie_row.fence, lifecycle_id=zombie_row.id
        )
    assert (world.target_ids(), world.receipts()) == (held, before)

    world.plan(*HOURS)  # what nothing proves is planned anew
    assert sorted(world.run()) == sorted(["resume"] * 5 + ["run"] * 2)
    assert {world.row(window).pipeline_final_status for window in HOURS} == {"COMPLETED"}
    assert world.target_ids() == world.ids_at_source()
    after = world.receipts()
    for window in (LOADED, LOADED_TOO, SKIPPED, REPLACED):
        assert after[window] == before[window], "audited, never loaded again"
    assert after[STAGED].manifest == zombie_row.stage_location, "loaded from what was staged"
    assert all(after[window].fence > report.floor for window in (STAGED, FAILED_AUDIT, PLANNED))
    assert reconcile_ledger(pipeline) == []
    assert world.run() == []


def test_a_ledger_from_an_old_backup_is_lifted_and_completed(world: Losable) -> None:
    """Its sequence is behind the target's fences: without the rebuild every publish of it would be refused."""
    pipeline, source_object = world.pipeline, world.pipeline.config.source_object
    world.plan(LOADED, SKIPPED)
    world.execute("CREATE TABLE backup AS SELECT * FROM pipeline_lifecycle")
    for window in (LOADED_TOO, STAGED):
        world.plan(window)
    assert world.run() == ["run"] * 4
    before = world.receipts()

    world.lose_ledger()
    world.execute("INSERT INTO pipeline_lifecycle OVERRIDING SYSTEM VALUE SELECT * FROM backup; DROP TABLE backup")
    kinds = [(one.kind.value, one.window) for one in reconcile_ledger(pipeline)]
    assert kinds == [
        ("fences_behind", None),
        ("load_not_recorded", LOADED),
        ("receipt_without_row", LOADED_TOO),
        ("load_not_recorded", SKIPPED),
        ("receipt_without_row", STAGED),
    ]
    report = rebuild_ledger(pipeline, PERSON, apply=True)
    assert (report.rebuilt, report.in_ledger) == (2, 2)
    assert sorted(world.run()) == ["resume", "resume", "skip", "skip"]
    after = world.receipts()
    assert {window: receipt.manifest for window, receipt in after.items()} == {
        window: receipt.manifest for window, receipt in before.items()
    }
    assert sum(world.target_ids().values()) == 4 * ROWS_PER_HOUR
    (new_id,) = world.plan(REPLACED)
    assert new_id > max(receipt.lifecycle_id for receipt in before.values())
    assert world.run() == ["run"]
    assert reconcile_ledger(pipeline) == []
    world.delete_at_target("d0")
    (difference,) = reconcile_ledger(pipeline)
    assert (difference.kind, difference.window) == ("numbers_differ", LOADED)
    assert f"receipt {before[LOADED].fingerprint}; table {ROWS_PER_HOUR - 1} rows" in difference.target
    assert source_object == difference.source_object


@pytest.mark.parametrize("is_rebuilt", [True, False])
def test_a_task_of_before_never_moves_its_data_into_the_window_that_has_its_number_now(
    world: Losable, is_rebuilt: bool
) -> None:
    """A window that was claimed, and neither staged nor loaded, leaves no trace: only its task knows its number."""
    store, who = world.pipeline.store, actor(1)
    world.plan(LOADED)
    assert store.claim(world.pipeline.config.source_object, who, limit=1, ended_before=store.now())
    meant = world.row(LOADED)

    world.lose_ledger()
    if is_rebuilt:
        rebuild_ledger(world.pipeline, PERSON, apply=True)
    world.plan(LOADED_TOO, LOADED)
    there = {row.id: row for row in store.find()}
    assert (meant.id in there) is not is_rebuilt
    assert store.claim(world.pipeline.config.source_object, who, limit=2, ended_before=store.now())
    with pytest.raises((RowMistakenError, InvalidInputError)):
        run_on_window(
            store,
            meant.id,
            who,
            lambda attempt: move_until(world.pipeline, attempt, Phase.AUDIT),
            expected=meant.identity,
            max_retry_task=3,
            is_last_try=True,
        )
    assert {row.pipeline_final_status for row in store.find()} == {"IN_PROGRESS"}
    assert not world.receipts() or all(receipt.kind != "load" for receipt in world.receipts().values())
