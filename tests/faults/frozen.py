"""A process is frozen at a point of its life, everything else is finished without it, then it wakes up and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.windows import TimeWindow, uncovered
from tests.faults.chapters import HALVES, WIDE, Chapter, life_of
from tests.faults.life import Life, Run, broken_promises, clean_up, drain, hours
from tests.faults.points import Reach
from tests.faults.puppets import Puppet, run_out

STUCK_AFTER_SECONDS = 0.5
LATE = "late"

Other = Callable[[Life, Reach], None]
"""What the others do while the first process is frozen."""


def frozen_at_each_point(
    chapter: Chapter,
    other: Other,
    new_life: Callable[[], Life],
    every: int = 1,
    in_the_end: Callable[[Life], list[str]] | None = None,
    until: Callable[[Life], bool] = lambda _life: False,
) -> Iterator[tuple[str, list[str]]]:
    """Freeze before every n-th point, in turn; yields each point's name and what was broken in the end.

    It wakes up when the others have finished, or as soon as `until` says so: then both go on, step by step.
    """
    number = 0
    while True:
        life = life_of(chapter, new_life)
        zombie = Puppet("zombie", lambda puppet, life=life: chapter.lived(life, puppet.reach))  # type: ignore[misc]
        zombie.settle(5)
        for _ in range(number):
            zombie.step()
        if not zombie.is_alive:
            return
        point = f"{number} {zombie.at}"
        rest = Puppet("other", lambda puppet, life=life: other(life, puppet.reach))  # type: ignore[misc]
        rest.settle(5)
        while rest.state == "waiting" and not until(life):
            rest.step()
            rest.settle(STUCK_AFTER_SECONDS)  # else it waits for a lock that only the frozen one can give back
        run_out([zombie, rest])
        bugs = [f"{puppet.name}: {puppet.error!r}" for puppet in (zombie, rest) if puppet.error]
        yield point, bugs + (in_the_end or promises_in_the_end)(life)
        number += every


def promises_in_the_end(life: Life) -> list[str]:
    """Drain; what arrived late is looked for afterwards, as a re-count of closed windows does."""
    rows = life.sql(
        "SELECT query_window_start_at, query_window_end_at FROM pipeline_lifecycle "
        "WHERE source_object = %s AND NOT is_invalidated_flag",
        life.source_object,
    )
    windows = [TimeWindow(*row) for row in rows] or [hours(0, 1)]
    windows += _refused_hours(life, windows)
    drain(life, windows)
    found = broken_promises(life, windows, late=[LATE])
    if LATE in life.source_ids() - life.target_ids():
        pipeline = life.pipeline()
        Run(pipeline, "late", RunRequest(tuple(windows), replace=True, reason="late data")).all()
        pipeline.store.close()
        drain(life, windows)
        found += broken_promises(life, windows)
    return found


def _refused_hours(life: Life, windows: list[TimeWindow]) -> list[TimeWindow]:
    """Hours with rows that nobody has planned: a conf whose windows overlap planned ones is refused as a whole."""
    starts = {
        document.event_at.replace(minute=0, second=0, microsecond=0) for document in life.source.documents.values()
    }
    asked = [TimeWindow(start, start + timedelta(hours=1)) for start in sorted(starts)]
    return [gap for hour in asked for gap in uncovered(hour, [one for one in windows if one.overlaps(hour)])]


def _given_up(life: Life, reach: Reach, run_id: str, request: RunRequest) -> None:
    """The frozen process's run has ended for Airflow: cleanup, then another run. Meanwhile the source has moved."""
    life.source.add(late_document(life))
    pipeline = life.pipeline(reach)
    try:
        clean_up(pipeline, {run_id: RunState.ACTIVE} if run_id != "killed" else {})
        Run(pipeline, run_id, request).all()
    finally:
        pipeline.store.close()


def late_document(life: Life) -> object:
    """One document more in the first half of the first window."""
    first = next(iter(life.source.documents.values()))
    return type(first)(LATE, hours(0.25, 0.5).start, b'{"n": 99}')


OTHERS: dict[str, Other] = {
    "another run takes over": lambda life, reach: _given_up(life, reach, "other", RunRequest((hours(0, 1),))),
    "its own run is cleared": lambda life, reach: _given_up(life, reach, "killed", RunRequest((hours(0, 1),))),
    "narrower windows replace it": lambda life, reach: _given_up(
        life, reach, "narrow", life.request(HALVES, replace=True)
    ),
    "a wider window replaces it": lambda life, reach: _given_up(life, reach, "wide", life.request(WIDE, replace=True)),
}
