"""Stories for `test_guards_matter.py` about loads, lost answers, claims and a rebuilt ledger.

Each is told on a new life and returns the promises that were broken.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from include.implementation_modules.postgres.target import PostgresTarget
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.errors import TerminalError
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.rebuild_ledger import rebuild_ledger
from tests.faults.chapters import CHAPTERS, life_of, mend, torn_at_target
from tests.faults.directed import HOUR, NEIGHBOUR, PERSON, PUBLISH, NewLife, claimed_and_done, one_task
from tests.faults.life import TABLE, Life, Run, broken_promises, clean_up, drain, hours
from tests.faults.puppets import Puppet, run_out
from tests.integration.lost_ledger import lose_ledger

MOVED, AUDIT_FAILS = CHAPTERS[:2]
BOTH = (hours(0, 2),)


# --- a staged file changes after its checksum was looked at, before its lines are copied ------------------------------


def a_line_is_lost_under_the_load(new_life: NewLife) -> list[str]:
    """The load has begun when a file loses a line: what stands at the target then has no receipt that says more."""
    return _loaded_while_changing(new_life, lambda lines: lines[:-1])


def an_event_leaves_the_window_under_the_load(new_life: NewLife) -> list[str]:
    """The load has begun when an event's time changes: the row would lie where no delete of this window finds it."""

    def later(lines: list[bytes]) -> list[bytes]:
        first = json.loads(lines[0])
        first["sort"][1] = int(datetime(2024, 5, 1, 7, tzinfo=UTC).timestamp()) * 1_000_000
        return [json.dumps(first).encode() + b"\n", *lines[1:]]

    return _loaded_while_changing(new_life, later)


def _loaded_while_changing(new_life: NewLife, change: Callable[[list[bytes]], list[bytes]]) -> list[str]:
    life = life_of(MOVED, new_life)
    claimed_and_done(life, "one", HOUR, "source_to_stage")
    loader = Puppet("loader", lambda puppet: one_task(life, puppet.reach, "one", HOUR, "stage_to_target"))
    loader.settle(5)
    while loader.is_alive and not loader.at.startswith("COPY"):
        loader.step()
    file = min(life.directory.rglob("*.ndjson.gz"))
    rewrite(file, change)
    run_out([loader])
    target = life.pipeline().target
    receipt, holds = target.receipt(life.source_object, HOUR), target.fingerprint(life.source_object, HOUR)
    is_true = receipt is None or receipt.fingerprint == holds
    untrue = [] if is_true else [f"until its audit the window holds {holds} under the receipt {receipt}"]
    drain(life, [HOUR])
    return untrue + broken_promises(life, [HOUR])


def rewrite(file: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Other lines in a staged file."""
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    file.write_bytes(gzip.compress(b"".join(change(lines))))


# --- the answers to COMMIT are lost -----------------------------------------------------------------------------------


class _Deaf(psycopg.Cursor[Any]):
    """The server does what COMMIT asks for; its answer never comes, and the connection is gone."""

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        answer = super().execute(query, *arguments, **options)
        if query == "COMMIT":
            self.connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return answer


def the_answer_to_every_commit_is_lost(new_life: NewLife) -> list[str]:
    """So bad a network to the target, and the window has two attempts: loaded is loaded."""
    life = life_of(MOVED, new_life)
    life.max_retry_task = 1
    deaf = _reaching_the_target_by(_Deaf, life.pipeline(), life)
    for number in range(3):
        life.let_rest_end()
        Run(deaf, f"run-{number}", RunRequest((HOUR,))).all()
    deaf.store.close()
    drain(life, [HOUR])
    return broken_promises(life, [HOUR])


class _Mute(psycopg.Cursor[Any]):
    """COMMIT never arrives at the server, which rolls back."""

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        if query == "COMMIT":
            self.connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return super().execute(query, *arguments, **options)


def a_confirmation_never_arrives(new_life: NewLife) -> list[str]:
    """An audit fails and freezes before its delete; the rows come back; what would end the window SKIPPED is lost."""
    life = new_life()
    life.add(HOUR)
    torn_at_target(life)
    zombie = frozen_before_its_delete(life)
    mend(life, "d0.0")
    mute = _reaching_the_target_by(_Mute, life.pipeline(), life)
    Run(mute, "other", RunRequest((HOUR,))).all()
    mute.store.close()
    drain(life, [HOUR])
    run_out([zombie])
    lost = life.source_ids() - life.target_ids()
    return [f"{lost.total()} rows lost after the window was finished"] if lost else []


def _reaching_the_target_by(cursor: type[psycopg.Cursor[Any]], pipeline: Pipeline, life: Life) -> Pipeline:
    options = PostgresTarget.Options(table=TABLE, columns={"n": "integer"})
    return replace(pipeline, target=PostgresTarget(lambda: psycopg.connect(life.url, cursor_factory=cursor), options))


# --- claims at once ---------------------------------------------------------------------------------------------------


class Claims:
    """Two pending hours, and processes that claim one window each."""

    def __init__(self, new_life: NewLife) -> None:
        self.life = new_life()
        self.life.add(HOUR)
        self.life.add(NEIGHBOUR)
        self.request = RunRequest(BOTH, max_windows=1)
        self.answers: dict[str, list[dict[str, Any]]] = {}
        pipeline = self.life.pipeline()
        Run(pipeline, "planning", self.request).plan()
        pipeline.store.close()

    def start(self, name: str, run_id: str) -> Puppet:
        """One try of `store_and_validate`."""

        def work(puppet: Puppet) -> None:
            pipeline = self.life.pipeline(puppet.reach)
            self.answers[name] = Run(pipeline, run_id, self.request).claim()
            pipeline.store.close()

        puppet = Puppet(name, work)
        puppet.settle(5)
        return puppet

    def until_it_has_claimed(self, name: str, run_id: str) -> Puppet:
        """It stands before the COMMIT of its claim."""
        puppet = self.start(name, run_id)
        while puppet.is_alive and not puppet.at.startswith("Write the transitions"):
            puppet.step()
        puppet.step()
        assert puppet.at == "COMMIT"
        return puppet

    @staticmethod
    def goes_on(puppet: Puppet) -> bool:
        """As far as it gets; whether it came to its end, with nobody else moving."""
        while puppet.state == "waiting":
            puppet.step()
            puppet.settle(0.5)
        return not puppet.is_alive

    def broken(self) -> list[str]:
        """Normal operation, and what was broken."""
        drain(self.life, BOTH)
        return broken_promises(self.life, BOTH)


def two_tries_of_one_claim(new_life: NewLife) -> list[str]:
    """The first try is slow, its answer is never heard: Airflow maps what the second one says, then the run ends."""
    claims = Claims(new_life)
    first = claims.until_it_has_claimed("first try", "one")
    second = claims.start("second try", "one")
    claims.goes_on(second)
    run_out([first, second])
    pipeline, found = claims.life.pipeline(), list[str]()
    run = Run(pipeline, "one", claims.request)
    for index, record in enumerate(claims.answers["second try"]):
        run.window(record, index)
    try:
        run.finish()
    except TerminalError as error:
        found.append(f"the run held windows that no task of it has: {error}")
    pipeline.store.close()
    return found + claims.broken()


def two_runs_claim_at_once(new_life: NewLife) -> list[str]:
    """Both look for the oldest pending window before either has committed."""
    claims = Claims(new_life)
    one = claims.until_it_has_claimed("one", "one")
    two = claims.start("two", "two")
    claims.goes_on(two)
    run_out([one, two])
    given = [record["id"] for records in claims.answers.values() for record in records]
    found = [] if len(given) == len(set(given)) else [f"two runs were given the same window: {claims.answers}"]
    return found + claims.broken()


# --- a start from before the ledger was rebuilt -----------------------------------------------------------------------


def a_late_delete_after_a_rebuild(new_life: NewLife) -> list[str]:
    """An audit fails and freezes before its delete; the rows come back; the ledger is lost, rebuilt, audited; it wakes.

    Nothing was published since, so no receipt is newer than the frozen start.
    """
    life = new_life()
    life.add(HOUR)
    torn_at_target(life)
    zombie = frozen_before_its_delete(life)
    mend(life, "d0.0")
    lose_ledger(life.url)
    pipeline = life.pipeline()
    rebuild_ledger(pipeline, PERSON, apply=True)
    clean_up(pipeline, {})
    pipeline.store.close()
    drain(life, [HOUR])
    run_out([zombie])
    return broken_promises(life, [HOUR])


def frozen_before_its_delete(life: Life) -> Puppet:
    """A run whose audit has failed in the ledger, and is about to delete at the target."""
    zombie = Puppet("zombie", lambda puppet: AUDIT_FAILS.lived(life, puppet.reach))
    zombie.settle(5)
    while zombie.is_alive and not _has_failed_its_audit(life):
        zombie.step()
    while zombie.is_alive and zombie.at != PUBLISH:
        zombie.step()
    return zombie


def _has_failed_its_audit(life: Life) -> bool:
    found = life.sql(
        "SELECT 1 FROM pipeline_lifecycle WHERE source_object = %s AND audit_result_status = 'FAILED'",
        life.source_object,
    )
    return bool(found)
