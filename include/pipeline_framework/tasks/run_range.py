"""Load a range of a pipeline at a person's word: in this process, or by runs of its DAG that are followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from include.pipeline_framework.config.external import require_moved_here
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.ledger_row import LedgerRow, RowIdentity
from include.pipeline_framework.core.records.row import Actor, Phase, Status
from include.pipeline_framework.core.records.run_requests import MAX_WINDOWS, RunRequest
from include.pipeline_framework.core.records.validation import stable_until
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.core.watching.run_progress import RunProgress
from include.pipeline_framework.errors import InvalidInputError, TargetBusyError
from include.pipeline_framework.ports.airflow_runs import AirflowRuns
from include.pipeline_framework.ports.ledger import LedgerWindows
from include.pipeline_framework.tasks.cleanup_stale_locks import release_held
from include.pipeline_framework.tasks.move_window import move_all_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.planning import populate_pipeline_batches
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.store_and_validate import claim_options, store_and_validate, why_nothing
from include.pipeline_framework.tasks.window_attempt import WindowAttempt, each_alone, run_on_windows

Tell = Callable[[RunProgress], None]
"""A function that gets the progress again and again; its windows are those of all claims so far."""

_GO_ON = ("run", "resume")
_BUSY_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 1.0
_MOST_COUNTED = 100_000
_FINAL = ("success", "failed")


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a range was loaded.

    Attributes:
        progress: The windows that were claimed.
        note: Why no window was claimed, or what the last claim has left; else empty.
        run_ids: Airflow's runs, in order; of a local run its own names.
        states: Airflow's final state of each run; none of a local one.
    """

    progress: RunProgress
    note: str
    run_ids: tuple[str, ...] = ()
    states: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """True when every claimed window is finished, and no run failed for another reason."""
        return not self.progress.unfinished and "failed" not in self.states


def check_run(config: PipelineConfig, store: LedgerWindows, request: RunRequest) -> None:
    """Refuse what no run would load, before anything is planned.

    Raises:
        ConfigurationError: Another system moves the pipeline's data.
        InvalidInputError: The pipeline is disabled, or the range reaches beyond local tomorrow.
    """
    require_moved_here(config)
    if not config.enabled:
        raise InvalidInputError(
            "the pipeline is disabled",
            where=config.pipeline_id,
            meaning="Its windows rest; nothing was planned",
            remedy="Set enabled: true in its file.",
        )
    request.require_not_future(config.horizon, store.now(), config.source_object)


def run_locally(pipeline: Pipeline, actor: Actor, request: RunRequest, *, tell: Tell = lambda _: None) -> RunReport:
    """Plan, claim, move and audit the windows of a range in this process, claim after claim, until none is due.

    Windows share what they share in a task of Airflow: log-ins, and a publish. A failed window spends an attempt and
    rests, as after the last try of a task; it is not tried again here. Whatever ends the process, its windows are given
    back, by this function or by `cleanup_stale_locks`.

    Args:
        pipeline: The pipeline, wired.
        actor: Who runs it; its run id names no other run.
        request: The ranges that are loaded, up to the audit.
        tell: Called after every batch.

    Raises:
        PipelineError: As the first two tasks of a run: nothing was claimed.
    """
    config, store = pipeline.config, pipeline.store
    earlier, run_ids = list[LedgerRow](), list[str]()

    def now_at(one: Actor) -> RunProgress:
        return RunProgress.of([*earlier, *store.claimed_by(one.dag_id, one.dag_run_id)], waiting)

    waiting = 0
    check_run(config, store, request)
    populate_pipeline_batches(config, store, actor, request)
    while True:
        one = replace(actor, dag_run_id=f"{actor.dag_run_id}-{len(run_ids) + 1}")
        try:
            report = store_and_validate(
                config, store, one, request, prepare=lambda: pipeline.target.prepare(config.source_object)
            )
            claimed, size = report["claimed"], report["windows_per_task"]
            if not claimed:
                return RunReport(RunProgress.of(earlier), "" if run_ids else report["note"], tuple(run_ids))
            waiting = _due(config, store, request)
            for first in range(0, len(claimed), size):
                tell(now_at(one))
                _move(pipeline, one, claimed[first : first + size])
            run_ids.append(one.dag_run_id)
        finally:
            release_held(store, config, one)
        progress = now_at(one)
        tell(progress)
        earlier = list(progress.rows)


def run_in_airflow(
    config: PipelineConfig,
    store: LedgerWindows,
    airflow: AirflowRuns,
    conf: Mapping[str, Any],
    request: RunRequest,
    *,
    note: str,
    started: Callable[[str], None] = lambda _: None,
    tell: Tell | None = None,
) -> RunReport:
    """Trigger a run of the pipeline's DAG; with `tell`, follow it, and trigger the next while windows are due.

    A run takes up to 1,024 windows at once, whatever `max_windows_per_run` says. Only the first one replaces: what it
    has replaced waits for the next ones.

    Args:
        config: The pipeline.
        store: The ledger.
        airflow: Airflow's API; the DAG is not paused.
        conf: What the runs are asked for.
        request: The same, checked.
        note: What Airflow's UI shows at the runs.
        started: Called with the address of every run.
        tell: Called about every second while a run goes on; None: nobody waits for the end.

    Raises:
        PipelineError: Airflow refuses, or it or the ledger does not answer; a run that was started goes on.
    """
    check_run(config, store, request)
    run_ids, states, followed = list[str](), list[str](), _Followed(config, store, request.ranges or ())
    wanted = {**conf, "max_windows": MAX_WINDOWS}
    while True:
        before = len(followed.own)
        run_ids.append(airflow.trigger(config.dag_id, wanted, note))
        started(airflow.run_address(config.dag_id, run_ids[-1]))
        if tell is None:
            return RunReport(RunProgress(), "", tuple(run_ids))
        while True:
            state = airflow.run_state(config.dag_id, run_ids[-1])
            progress = followed.look(run_ids)
            tell(progress)
            if state in _FINAL and not progress.running:
                break
            time.sleep(_LOOK_EVERY_SECONDS)
        states.append(state)
        wanted = {name: value for name, value in wanted.items() if name not in ("replace", "reason")}
        due = _due(config, store, request)
        followed.waiting = max(0, due - MAX_WINDOWS)  # the next run takes the others
        if state == "failed" or len(followed.own) == before or not due:
            actor = Actor(config.dag_id, run_ids[-1])
            is_why = state == "success" and not progress.total
            told = why_nothing(config, store, actor, request) if is_why else ""
            return RunReport(progress, told, tuple(run_ids), tuple(states))


class _Followed:
    """The windows that runs have claimed, and those of their ranges that other runs were seen to carry meanwhile."""

    def __init__(self, config: PipelineConfig, store: LedgerWindows, ranges: Sequence[TimeWindow]) -> None:
        self._config, self._store, self._ranges = config, store, ranges
        self._others: set[int] = set()
        self.own: set[int] = set()
        self.waiting = 0

    def look(self, run_ids: Sequence[str]) -> RunProgress:
        """Return how far all of them are."""
        source_object = self._config.source_object
        rows = {row.id: row for one in run_ids for row in self._store.claimed_by(self._config.dag_id, one)}
        self.own = set(rows)
        found = self._store.find(source_object=source_object, within=self._ranges, statuses=[Status.IN_PROGRESS])
        self._others |= {row.id for row in found}
        if self._others - self.own:
            found = self._store.find(source_object=source_object, within=self._ranges)
        return RunProgress.of([*rows.values(), *(r for r in found if r.id in self._others - self.own)], self.waiting)


def count_both_ends(pipeline: Pipeline, ranges: Sequence[TimeWindow]) -> tuple[int, int]:
    """Return the rows that source and target have in the ranges now."""
    pipeline.target.prepare(pipeline.config.source_object)
    with pipeline.target.connected():
        target = sum(pipeline.target.fingerprint(pipeline.config.source_object, one).rows for one in ranges)
    return sum(pipeline.source.count(one) for one in ranges), target


def _due(config: PipelineConfig, store: LedgerWindows, request: RunRequest) -> int:
    """Return how many windows of the ranges another run could claim."""
    settled = stable_until(store.now(), config.x_time_back, config.timezone)
    options = claim_options(config, settled, request)
    return store.count_claimable(config.source_object, **{**options, "limit": _MOST_COUNTED})


def _move(pipeline: Pipeline, actor: Actor, records: Sequence[Mapping[str, Any]]) -> None:
    """Bring the windows of a batch to their end; while others publish into the table, they are tried again."""

    def work(attempts: Sequence[WindowAttempt]) -> list[Any]:
        with pipeline.target.connected():
            decided = each_alone(lambda attempt: pre_validate(pipeline, attempt, completes_empty=False))(attempts)
            going = [
                attempt
                for attempt, outcome in zip(attempts, decided, strict=True)
                if not isinstance(outcome, Exception) and outcome["decision"] in _GO_ON
            ]
            moved = dict(zip(going, move_all_until(pipeline, going, Phase.AUDIT), strict=True))
        return [moved.get(attempt, outcome) for attempt, outcome in zip(attempts, decided, strict=True)]

    left = {record["id"]: _identity(record) for record in records}
    while left:
        outcomes = run_on_windows(
            pipeline.store, left, actor, work, max_retry_task=pipeline.config.max_retry_task, is_last_try=True
        )
        ended = zip(left.items(), outcomes, strict=True)
        left = {record_id: meant for (record_id, meant), one in ended if isinstance(one, TargetBusyError)}
        if left:
            time.sleep(_BUSY_SECONDS)


def _identity(record: Mapping[str, Any]) -> RowIdentity:
    """Return which window a record of the claim means by its row's number."""
    start, end = (datetime.fromisoformat(record[name]) for name in ("start", "end"))
    return RowIdentity(record["source_object"], start, end)
