"""One seed, one schedule: runs, retries, clears, cleanups, replacements and late data, interleaved at every statement,
with processes frozen and killed anywhere; then normal operation, and what was broken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import PipelineError
from tests.faults.life import TASKS, Life, Run, broken_promises, clean_up, drain, hours
from tests.faults.puppets import Puppet, leave_transactions, run_out, wait_for_any

WHOLE = hours(0, 2)
CUTS: tuple[tuple[TimeWindow, ...], ...] = (
    (hours(0, 1), hours(1, 2)),
    (hours(0, 2),),
    (hours(0, 0.5), hours(0.5, 1)),
    (hours(0, 0.5), hours(0.5, 2)),
    (hours(1, 1.5), hours(1.5, 2)),
)
EVENTS = ("cleanup", "end run", "new run", "clear run", "clear task", "clear task", "replace", "late data", "late data")
MAX_PUPPETS = 7
MAX_STEPS = 2_500


@dataclass
class Schedule:
    """A play with its own dice; `story` says what happened, for whoever has to understand a failure."""

    life: Life
    seed: int
    story: list[str] = field(default_factory=list)
    puppets: list[Puppet] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    late_ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)  # noqa: S311 - dice, not keys
        self.ended: set[str] = set()
        self.runs: dict[str, list[Puppet]] = {}

    def play(self) -> list[str]:
        """Everything, and then the list of broken promises."""
        self.life.add(hours(0, 1))
        if self.dice.random() < 0.8:  # sometimes the second window is empty
            self.life.add(hours(1, 2))
        for number in range(self.dice.randint(1, 3)):
            self._run(f"run-{number}")
        for step in range(MAX_STEPS):
            alive = [puppet for puppet in self.puppets if puppet.is_alive]
            if not alive:
                break
            wait_for_any(alive)
            self._step(step, alive)
        # mostly, everything else is finished before the frozen ones wake up
        early = self._settle() if self.dice.random() < 0.6 else []
        run_out(self.puppets)
        return early + self._settle() + self._bugs()

    def _step(self, step: int, alive: list[Puppet]) -> None:
        waiting = [puppet for puppet in alive if puppet.state == "waiting"]
        ready = [puppet for puppet in waiting if puppet.frozen_until <= step]
        if not waiting:
            return
        puppet = self.dice.choice(ready or waiting)
        fate = self.dice.random()
        if fate < 0.012:
            self._note("kill -9", puppet)
            puppet.step(die=True)
            return
        if fate < 0.03:
            self._note("freeze", puppet)
            puppet.frozen_until = step + self.dice.randint(20, 2 * MAX_STEPS)
            if self.dice.random() < 0.5:  # its run is given up while it may still wake
                self.ended.update(name for name, own in self.runs.items() if puppet in own)
                self._start("cleanup", self._cleanup)
                self._run(f"run-{len(self.runs)}")
            return
        if fate < 0.05 and len(alive) < MAX_PUPPETS:
            self._something_happens()
            return
        for _ in range(self.dice.choice((1, 1, 2, 5, 15))):  # a process often does several steps in a row
            if puppet.state != "waiting":
                break
            puppet.step()

    def _something_happens(self) -> None:
        event = self.dice.choice(EVENTS)
        self.faults[event] += 1
        names = sorted(self.runs)
        if event == "cleanup":
            self._start("cleanup", self._cleanup)
        elif event == "end run":  # a time-out, or a person: Airflow says that it ended, its process doesn't know
            self.ended.add(self.dice.choice(names))
        elif event == "new run":
            self._run(f"run-{len(self.runs)}")
        elif event == "clear run":
            self._run(self.dice.choice(names))
        elif event == "clear task":
            self._clear_task(self.dice.choice(names))
        elif event == "replace":
            self._run(f"replace-{len(self.runs)}", self.dice.choice(CUTS))
        else:
            number, hour = len(self.late_ids), self.dice.choice((0.0, 1.0))
            self.life.add(hours(hour + 0.25, hour + 0.5), 1, prefix=f"late{number}-")
            self.late_ids.update(name for name in self.life.source.documents if name.startswith(f"late{number}-"))

    def _run(self, run_id: str, replacing: tuple[TimeWindow, ...] = ()) -> None:
        request = self.life.request(replacing, replace=True) if replacing else RunRequest((WHOLE,))
        self.ended.discard(run_id)

        def work(puppet: Puppet) -> None:
            pipeline = self.life.pipeline(puppet.reach, puppet.connections)
            try:
                Run(pipeline, run_id, request).all()
            finally:
                pipeline.store.close()

        self.runs.setdefault(run_id, []).append(self._start(run_id, work))

    def _clear_task(self, run_id: str) -> None:
        """One task of a window starts again, while whatever ran before may still be running."""
        ids = [row[0] for row in self.life.sql(
            "SELECT id FROM pipeline_lifecycle WHERE source_object = %s", self.life.source_object
        )]  # fmt: skip
        if not ids:
            return
        record_id, task = self.dice.choice(ids), self.dice.choice(sorted(TASKS))

        def work(puppet: Puppet) -> None:
            pipeline = self.life.pipeline(puppet.reach, puppet.connections)
            try:
                Run(pipeline, run_id, RunRequest((WHOLE,))).task(task, record_id, try_number=9)
            except PipelineError as error:
                self.story.append(f"cleared {task} of row {record_id}: {error.what}")
            finally:
                pipeline.store.close()

        self.runs[run_id].append(self._start(f"{run_id} {task} cleared", work))

    def _cleanup(self, puppet: Puppet) -> None:
        pipeline = self.life.pipeline(puppet.reach, puppet.connections)
        states = {
            name: RunState.ACTIVE
            for name, puppets in self.runs.items()
            if name not in self.ended and any(puppet.is_alive for puppet in puppets)
        }
        try:
            clean_up(pipeline, states)
        finally:
            pipeline.store.close()

    def _start(self, name: str, work: Any) -> Puppet:
        self.story.append(f"start {name}")
        puppet = Puppet(name, work)
        puppet.settle(1)
        self.puppets.append(puppet)
        return puppet

    def _note(self, what: str, puppet: Puppet) -> None:
        self.faults[what] += 1
        self.story.append(f"{what} {puppet.name} before {puppet.at}")

    def _settle(self) -> list[str]:
        """Normal operation to the end; what is broken before anybody looks for late data, and then."""
        leave_transactions(self.puppets)
        drain(self.life, [WHOLE])
        found = broken_promises(self.life, [WHOLE], self.late_ids)
        if self.late_ids - set(self.life.target_ids()):
            pipeline = self.life.pipeline()
            Run(pipeline, f"late-{len(self.story)}", RunRequest((WHOLE,), replace=True, reason="late data")).all()
            pipeline.store.close()
            drain(self.life, [WHOLE])
            found += broken_promises(self.life, [WHOLE])
        return found

    def _bugs(self) -> list[str]:
        errors = [puppet.error for puppet in self.puppets if puppet.error]
        return [f"{type(error).__name__}: {error}" for error in errors]
