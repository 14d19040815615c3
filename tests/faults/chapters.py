"""The chapters of a window's life: what is there before, and what the process does that a test stops in the middle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks.planning import insert_windows
from tests.faults.life import Life, Run, clean_up, hours, nowhere
from tests.faults.points import Reach


@dataclass(frozen=True)
class Chapter:
    """A part of a window's life: what is there before, and what the process does that is killed in the middle of it."""

    name: str
    before: Callable[[Life], None]
    lived: Callable[[Life, Reach], None]
    windows: tuple[TimeWindow, ...] = (hours(0, 1),)


def nothing(_life: Life) -> None:
    """A new life."""


def loaded(life: Life) -> None:
    run(life, nowhere, "earlier", [hours(0, 1)])


def torn_at_target(life: Life) -> None:
    """Loaded, not audited, and then the target lost one row and got another twice: the counts agree."""
    pipeline = life.pipeline()
    one = Run(pipeline, "killed", life.request([hours(0, 1)]))
    one.plan()
    (claimed,) = one.claim()
    one.task("stage_to_target", claimed["id"])
    pipeline.store.close()
    tear(life, "d0.0")


def tear(life: Life, prefix: str) -> None:
    """The target loses the first row of a window, and gets the second one twice."""
    columns = "_source_object, _id, _id_hash, _event_at, _lifecycle_id, _fence, _file, doc, n"
    life.sql("DELETE FROM faults WHERE _source_object = %s AND _id = %s", life.source_object, f"{prefix}-0")
    life.sql(
        f"INSERT INTO faults ({columns}) SELECT {columns} FROM faults WHERE _source_object = %s AND _id = %s",
        life.source_object,
        f"{prefix}-1",
    )


def mend(life: Life, prefix: str) -> None:
    """What the target lost comes back by another hand, and the doubled row goes."""
    columns = "_source_object, _id, _id_hash, _event_at, _lifecycle_id, _fence, _file, doc, n"
    first, second = f"{prefix}-0", f"{prefix}-1"
    life.sql(
        "DELETE FROM faults WHERE ctid IN (SELECT MIN(ctid) FROM faults WHERE _source_object = %s AND _id = %s)",
        life.source_object,
        second,
    )
    life.sql(
        f"INSERT INTO faults ({columns}) SELECT _source_object, %s, %s, %s, _lifecycle_id, _fence, _file, "
        "'{\"n\": 0}', 0 FROM faults WHERE _source_object = %s AND _id = %s",
        first,
        Fingerprint.of([first]).hash_sum,
        life.source.documents[first].event_at,
        life.source_object,
        second,
    )


def held_by_a_dead_run(life: Life) -> None:
    pipeline = life.pipeline()
    insert_windows(pipeline.config, [hours(0, 1)], pipeline.store, Actor("daily_planner", "plan"))
    dead = Run(pipeline, "dead", life.request([hours(0, 1)]))
    (claimed,) = dead.claim()
    dead.task("source_to_stage", claimed["id"])
    pipeline.store.close()


def run(life: Life, reach: Reach, run_id: str, windows: list[TimeWindow], *, replace: bool = False) -> None:
    pipeline = life.pipeline(reach)
    Run(pipeline, run_id, life.request(windows, replace=replace)).all()
    pipeline.store.close()


def two_more_hours(life: Life) -> None:
    life.add(hours(1, 2))
    life.add(hours(2, 3))


def run_batched(life: Life, reach: Reach, windows: Sequence[TimeWindow], *, replace: bool = False) -> None:
    """One run that carries all windows in one task instance of each kind."""
    pipeline = life.pipeline(reach)
    Run(pipeline, "killed", life.request(windows, replace=replace)).all(is_batched=True)
    pipeline.store.close()


def cleanup(life: Life, reach: Reach) -> None:
    pipeline = life.pipeline(reach)
    clean_up(pipeline, {"killed": RunState.ACTIVE})
    pipeline.store.close()


HALVES = (hours(0, 0.5), hours(0.5, 1))
WIDE = (hours(0, 2),)
THREE = (hours(0, 1), hours(1, 2), hours(2, 3))
CHAPTERS = [
    Chapter("planned, claimed, moved, audited", nothing, lambda life, reach: run(life, reach, "killed", [hours(0, 1)])),
    Chapter("audit fails: delete, later full re-run", torn_at_target,
            lambda life, reach: run(life, reach, "killed", [hours(0, 1)])),
    Chapter("replaced as it is", loaded,
            lambda life, reach: run(life, reach, "killed", [hours(0, 1)], replace=True)),
    Chapter("replaced by narrower windows", loaded,
            lambda life, reach: run(life, reach, "killed", list(HALVES), replace=True), HALVES),
    Chapter("replaced by a wider window", loaded,
            lambda life, reach: run(life, reach, "killed", list(WIDE), replace=True), WIDE),
    Chapter("three windows of one batch", two_more_hours, lambda life, reach: run_batched(life, reach, THREE), THREE),
    Chapter("replaced by the windows of one batch", loaded,
            lambda life, reach: run_batched(life, reach, HALVES, replace=True), HALVES),
    Chapter("released by cleanup_stale_locks", held_by_a_dead_run, cleanup),
]  # fmt: skip


def life_of(chapter: Chapter, new_life: Callable[[], Life]) -> Life:
    life = new_life()
    life.add(hours(0, 1))
    if WIDE[0] in chapter.windows:
        life.add(hours(1, 2))
    chapter.before(life)
    return life
