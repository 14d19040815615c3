"""Directed schedules: what the random ones seldom meet, at each point where it can happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    AuditFailedError,
    FenceLostError,
    PipelineError,
    TransientError,
    WindowFinishedError,
)
from include.pipeline_framework.tasks.rebuild_ledger import RebuildReport, rebuild_ledger
from tests.faults.chapters import HALVES, WIDE, Chapter, run, tear
from tests.faults.frozen import Other
from tests.faults.life import TASKS, Life, Run, broken_promises, clean_up, drain, hours, nowhere
from tests.faults.points import Reach
from tests.faults.puppets import Puppet, run_out
from tests.integration.lost_ledger import lose_ledger

PUBLISH = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""The point before a publish's, or a delete's, transaction at the target."""

HOUR, NEIGHBOUR = hours(0, 1), hours(1, 2)
CUTS = {"narrower windows": HALVES, "a wider window that covers both": WIDE}
PERSON = Actor("cli ledger rebuild", "ann", "ledger rebuild")

NewLife = Callable[[], Life]
Outcomes = Iterator[tuple[str, list[str]]]
"""Each point's name, and what was broken in the end."""


def row_of(life: Life, window: TimeWindow) -> dict[str, Any]:
    """The live row of exactly this window; read without coming to a point."""
    names = "id, fence, pipeline_final_status"
    (row,) = life.sql(
        f"SELECT {names} FROM pipeline_lifecycle WHERE source_object = %s AND NOT is_invalidated_flag "
        "AND query_window_start_at = %s AND query_window_end_at = %s",
        life.source_object,
        window.start,
        window.end,
    )
    return dict(zip(names.split(", "), row, strict=True))


def claimed_and_done(life: Life, run_id: str, window: TimeWindow, task: str = "") -> None:
    """A run has claimed the window and has got as far as `task`."""
    pipeline = life.pipeline()
    one = Run(pipeline, run_id, life.request([window]))
    one.plan()
    (claimed,) = one.claim()
    if task:
        one.task(task, claimed["id"])
    pipeline.store.close()


def one_task(life: Life, reach: Reach, run_id: str, window: TimeWindow, task: str) -> None:
    """What a worker does that has got this task of this run."""
    record = row_of(life, window)
    pipeline = life.pipeline(reach)
    try:
        Run(pipeline, run_id, life.request([window])).window(record, tasks=[task])
    finally:
        pipeline.store.close()


# --- a window is replaced beside one that is being moved --------------------------------------------------------------


def _neighbours(done: str, *, is_torn: bool = False) -> Callable[[Life], None]:
    """The hour is loaded; the next one belongs to a run that has done some of its tasks."""

    def before(life: Life) -> None:
        run(life, nowhere, "earlier", [HOUR])
        claimed_and_done(life, "neighbour", NEIGHBOUR, done)
        if is_torn:
            tear(life, "d1.0")

    return before


def _neighbours_task(task: str) -> Callable[[Life, Reach], None]:
    return lambda life, reach: one_task(life, reach, "neighbour", NEIGHBOUR, task)


NEIGHBOURS = [
    Chapter("in its publish", _neighbours("source_to_stage"), _neighbours_task("stage_to_target"), WIDE),
    Chapter("in its audit", _neighbours("stage_to_target"), _neighbours_task("audit"), WIDE),
    Chapter("in its audit, which fails", _neighbours("stage_to_target", is_torn=True), _neighbours_task("audit"), WIDE),
]


def replaced_beside(cut: tuple[TimeWindow, ...], *, lives: bool) -> Other:
    """The hour is replaced by `cut`, and everything else is finished.

    While the neighbour's run lives, no row of it at the target is touched, whatever the replacement does; a wider
    window is refused as long as the run holds the neighbour. A run that has ended is cleaned up before.
    """

    def other(life: Life, reach: Reach) -> None:
        neighbour, pipeline = row_of(life, NEIGHBOUR)["id"], life.pipeline(reach)
        states = {"neighbour": RunState.ACTIVE} if lives else {}
        try:
            clean_up(pipeline, states)
            before = _held(life)
            Run(pipeline, "replacing", life.request(cut, replace=True)).all()
            gone = before - _held(life)
            assert not gone or _is_given_up(life, neighbour), f"the live neighbour has lost {gone}"
            assert not _was_held(life, neighbour), "the neighbour was replaced while a run held it"
            clean_up(pipeline, states)
            Run(pipeline, "later", RunRequest(WIDE)).all()
        finally:
            pipeline.store.close()
        if not lives:
            drain(life, WIDE, reach)

    return other


def _held(life: Life) -> Counter[Any]:
    """What the target holds of the neighbour: every row with who has written it."""
    rows = life.sql(
        "SELECT _id, _lifecycle_id, _fence FROM faults "
        "WHERE _source_object = %s AND _event_at >= %s AND _event_at < %s",
        life.source_object,
        NEIGHBOUR.start,
        NEIGHBOUR.end,
    )
    return Counter(rows)


def _is_given_up(life: Life, neighbour: int) -> bool:
    """Whether its rows may go: it was replaced itself, or its own audit has deleted them."""
    return bool(
        life.sql("SELECT 1 FROM pipeline_lifecycle WHERE id = %s AND is_invalidated_flag", neighbour)
        or life.sql("SELECT 1 FROM faults_receipts WHERE lifecycle_id = %s AND kind = 'delete'", neighbour)
    )


def replaced_in_the_end(cut: tuple[TimeWindow, ...]) -> Callable[[Life], list[str]]:
    """Drain; a replacement that was refused is asked for again, as its message says; then it has to be there."""

    def in_the_end(life: Life) -> list[str]:
        drain(life, WIDE)
        found = broken_promises(life, WIDE)
        if not _has(life, cut):
            pipeline = life.pipeline()
            Run(pipeline, "again", life.request(cut, replace=True)).all()
            pipeline.store.close()
            drain(life, WIDE)
            found += broken_promises(life, WIDE)
        return found if _has(life, cut) else [*found, "the replacement was never made"]

    return in_the_end


def _has(life: Life, cut: tuple[TimeWindow, ...]) -> bool:
    rows = life.sql(
        "SELECT query_window_start_at, query_window_end_at FROM pipeline_lifecycle "
        "WHERE source_object = %s AND NOT is_invalidated_flag AND is_replacement_run_flag",
        life.source_object,
    )
    return set(cut) <= {TimeWindow(*row) for row in rows}


def _was_held(life: Life, neighbour: int) -> bool:
    return bool(
        life.sql(
            "SELECT 1 FROM pipeline_lifecycle "
            "WHERE id = %s AND is_invalidated_flag AND pipeline_final_status = 'IN_PROGRESS'",
            neighbour,
        )
    )


# --- a run is timed out, cleaned up, and its task is cleared ----------------------------------------------------------


def _of_the_timed_out_run(task: str) -> Callable[[Life, Reach], None]:
    return lambda life, reach: one_task(life, reach, "timed out", HOUR, task)


def _timed_out(done: str, *, is_torn: bool = False) -> Callable[[Life], None]:
    def before(life: Life) -> None:
        claimed_and_done(life, "timed out", HOUR, done)
        if is_torn:
            tear(life, "d0.0")

    return before


TIMED_OUT = {
    "source_to_stage": Chapter("source_to_stage", _timed_out(""), _of_the_timed_out_run("source_to_stage")),
    "stage_to_target": Chapter(
        "stage_to_target", _timed_out("source_to_stage"), _of_the_timed_out_run("stage_to_target")
    ),
    "audit": Chapter("audit", _timed_out("stage_to_target"), _of_the_timed_out_run("audit")),
    "audit, which fails": Chapter(
        "audit", _timed_out("stage_to_target", is_torn=True), _of_the_timed_out_run("audit")
    ),
}  # fmt: skip


def cleared_after_the_time_out(task: str) -> Other:
    """`dagrun_timeout` ends the run, no teardown runs; cleanup releases its window; a person clears the task."""

    def other(life: Life, reach: Reach) -> None:
        record, pipeline = row_of(life, HOUR), life.pipeline(reach)
        try:
            # the next cleanup, too: the first leaves a task alone that takes its fence while it waits for the row
            released = clean_up(pipeline, {}) or clean_up(pipeline, {})
            assert {row["id"] for row in released} <= {record["id"]}
            status = row_of(life, HOUR)["pipeline_final_status"]  # the task may have ended it while cleanup waited
            assert status != "IN_PROGRESS", "cleanup has left a window with a run that has ended"
            cleared = Run(pipeline, "timed out", life.request([HOUR]))
            is_alone = False not in [_goes_through(cleared, name, record["id"]) for name in _from(task)]
            status = row_of(life, HOUR)["pipeline_final_status"]
            assert not is_alone or status == "COMPLETED", f"the cleared run has left its window {status}"
        finally:
            pipeline.store.close()

    return other


def the_cleared_task_has_begun(life: Life) -> bool:
    """It has its fence, and nothing more."""
    return bool(
        life.sql(
            "SELECT 1 FROM pipeline_lifecycle_events WHERE event = 'taken' AND try_number = 2 AND dag_run_id = %s",
            f"{life.source_object}/timed out",
        )
    )


WAKES: dict[str, Callable[[Life], bool]] = {
    "afterwards": lambda _life: False,
    "while the cleared task runs": the_cleared_task_has_begun,
}


def _from(task: str) -> list[str]:
    names = list(TASKS)
    return names[names.index(task) :]


def _goes_through(cleared: Run, task: str, record_id: int) -> bool:
    """Clear a task until it has gone through, twice more at most.

    False: the frozen one's lock was in its way, or it had no fence yet when it woke: then its start is the newer one.
    """
    for try_number in (2, 3, 4):
        try:
            cleared.task(task, record_id, try_number=try_number)
        except WindowFinishedError:
            return True
        except FenceLostError:
            return False
        except (TransientError, AuditFailedError):
            continue
        return True
    return False


# --- the ledger is rebuilt while a publish is open --------------------------------------------------------------------

STAGED = {
    "what an earlier start has staged": "source_to_stage",
    "what it has staged itself": "",
}
LEDGERS = ("dropped", "kept")
MEANWHILE = ("nothing else", "its window claimed by another run", "everything finished")


def rebuilt_during_a_publish(new_life: NewLife, staged: str, ledger: str, meanwhile: str) -> Outcomes:
    """A start is frozen before each statement of its publish's transaction, and before the ledger learns of it.

    Before it has the guard row, it is overtaken by the floor and refused. Once it has it, the rebuild waits, and finds
    its receipt.
    """
    number = 0
    while True:
        life = new_life()
        life.add(HOUR)
        life.add(NEIGHBOUR)
        run(life, nowhere, "earlier", [NEIGHBOUR])
        claimed_and_done(life, "frozen", HOUR, staged)
        refusals: list[PipelineError] = []
        frozen = Puppet("frozen", _publishing(life, refusals))
        frozen.settle(5)
        while frozen.is_alive and frozen.at != PUBLISH:
            frozen.step()
        points = [frozen.at]
        for _ in range(number):
            frozen.step()
            points.append(frozen.at)
        has_guard, has_committed = _passed("UPDATE", points), _passed("COMMIT", points)
        if "COMMIT" in points[:-2]:
            run_out([frozen])
            return
        if meanwhile != MEANWHILE[0] and has_guard and not has_committed:  # it holds the rebuild up: nothing follows
            run_out([frozen])
            number += 1
            continue
        yield f"{number} {frozen.at}", _rebuilt(life, frozen, refusals, ledger, meanwhile, points)
        number += 1


def _passed(verb: str, points: list[str]) -> bool:
    """Whether a statement was executed; the last point comes right before its own."""
    return any(point.startswith(verb) for point in points[:-1])


def _publishing(life: Life, refusals: list[PipelineError]) -> Callable[[Puppet], None]:
    record = row_of(life, HOUR)

    def work(puppet: Puppet) -> None:
        pipeline = life.pipeline(puppet.reach, puppet.connections)
        try:
            Run(pipeline, "frozen", life.request([HOUR])).task("audit", record["id"])
        except PipelineError as error:
            refusals.append(error)
        finally:
            pipeline.store.close()

    return work


def _rebuilt(
    life: Life, frozen: Puppet, refusals: list[PipelineError], ledger: str, meanwhile: str, points: list[str]
) -> list[str]:
    record = row_of(life, HOUR)
    has_guard, has_committed = _passed("UPDATE", points), _passed("COMMIT", points)
    if ledger == "dropped":
        lose_ledger(life.url)
    reports: list[RebuildReport] = []
    rebuilding = Puppet("rebuild", _rebuilding(life, reports))
    rebuilding.settle(5)
    while rebuilding.state == "waiting":
        rebuilding.step()
        rebuilding.settle(0.5)
    found = []
    if rebuilding.is_alive != (has_guard and not has_committed):
        found.append(f"the rebuild {'waits' if rebuilding.is_alive else 'did not wait'} for the publish")
    if not rebuilding.is_alive:
        _meanwhile(life, meanwhile)
    run_out([frozen, rebuilding])
    found += [f"{puppet.name}: {puppet.error!r}" for puppet in (frozen, rebuilding) if puppet.error]
    pipeline = life.pipeline()
    receipt, floor = pipeline.target.receipt(life.source_object, HOUR), pipeline.target.fence_floor(life.source_object)
    pipeline.store.close()
    if not (reports and reports[0].floor == floor > record["fence"]):
        found.append(f"the floor is {floor}, the frozen start's fence {record['fence']}")
    is_refused = any(isinstance(error, FenceLostError) for error in refusals)
    if has_guard:
        if receipt is None or (meanwhile != "everything finished" and receipt.fence != record["fence"]):
            found.append(f"it had the guard row, its receipt is {receipt}")
    elif not is_refused:
        found.append(f"it wrote below the floor: {receipt}, {refusals}")
    if ledger == "dropped":
        phase = life.sql(
            "SELECT to_phase FROM pipeline_lifecycle_events WHERE event = 'rebuilt' AND lifecycle_id = %s", record["id"]
        )
        if phase != [("STAGE_TO_TARGET" if has_guard else "SOURCE_TO_STAGE",)]:
            found.append(f"the rebuilt row enters after {phase}")
    drain(life, WIDE)
    return found + broken_promises(life, WIDE)


def _rebuilding(life: Life, reports: list[RebuildReport]) -> Callable[[Puppet], None]:
    def work(puppet: Puppet) -> None:
        pipeline = replace(life, guard_wait_seconds=30).pipeline(puppet.reach, puppet.connections)
        try:
            reports.append(rebuild_ledger(pipeline, PERSON, apply=True))
        finally:
            pipeline.store.close()

    return work


def _meanwhile(life: Life, what: str) -> None:
    """What comes after the rebuild, before the frozen start goes on."""
    pipeline = life.pipeline()
    if what == MEANWHILE[1]:
        with suppress(PipelineError):
            clean_up(pipeline, {})
            Run(pipeline, "claiming", RunRequest(WIDE)).claim()
    elif what == MEANWHILE[2]:
        drain(life, WIDE)
    pipeline.store.close()
