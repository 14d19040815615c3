"""Every guard is needed: the same story ends well with it and breaks a promise without it.

A guard that could be switched off here unnoticed would have to go, or be justified. Two are justified: no promise needs
them, and a test shows what each of them buys.

- SKIP LOCKED in a claim: the row lock and the status are what keeps two runs apart; with SKIP LOCKED they don't wait.
- Rows and fingerprint of the loaded files, looked at before the transaction: the look inside it sees the same, and
  more; with the first one a torn file is refused without the guard row, so that it holds nobody up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.implementation_modules.elasticsearch import answers as elasticsearch_answers
from include.implementation_modules.object_storage.stage import ObjectStorageStage
from include.implementation_modules.postgres_ledger import store as postgres_lifecycle_store
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.implementation_modules.sql_warehouse import publishing, statements
from include.implementation_modules.sql_warehouse.target import SqlTarget
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.proof import audits
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import (
    FenceLostError,
    IncompleteExtractError,
    PublishConflictError,
    TerminalError,
    TornStageError,
)
from include.pipeline_framework.tasks.planning import insert_windows
from tests.faults import life as life_module
from tests.faults.chapters import CHAPTERS, HALVES, life_of, mend, torn_at_target
from tests.faults.directed import PUBLISH, claimed_and_done
from tests.faults.guard_stories import (
    Claims,
    a_confirmation_never_arrives,
    a_late_delete_after_a_rebuild,
    a_line_is_lost_under_the_load,
    an_event_leaves_the_window_under_the_load,
    frozen_before_its_delete,
    rewrite,
    the_answer_to_every_commit_is_lost,
    two_runs_claim_at_once,
    two_tries_of_one_claim,
)
from tests.faults.life import Life, Run, broken_promises, drain, hours
from tests.faults.puppets import Puppet, run_out
from tests.faults.results import record
from tests.publishing import publish_one

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quiet")]

MOVED, AUDIT_FAILS, REPLACED = CHAPTERS[:3]
NewLife = Callable[[], Life]
Story = Callable[[NewLife], list[str]]
"""Tells a story and returns the promises that were broken."""


@dataclass(frozen=True)
class Guard:
    """What protects, against what, and how to switch it off."""

    name: str
    story: Story
    switch_off: Callable[[pytest.MonkeyPatch, Life], None]
    needs_own_ledger: bool = False
    """The story, or switching off, spoils the ledger's tables."""


def a_zombie_publishes_late(new_life: NewLife) -> list[str]:
    """A process is frozen right before its publish; another run does the window; then it wakes up."""
    life = life_of(MOVED, new_life)
    zombie = Puppet("zombie", lambda puppet: MOVED.lived(life, puppet.reach))
    zombie.settle(5)
    while zombie.is_alive and zombie.at != PUBLISH:
        zombie.step()
    drain(life, [hours(0, 1)])
    run_out([zombie])
    return broken_promises(life, [hours(0, 1)])


def two_tries_of_one_task(new_life: NewLife) -> list[str]:
    """The first try stops before its manifest; the second one comes as far; then the first one wakes up."""
    life = life_of(MOVED, new_life)
    pipeline = life.pipeline()
    one = Run(pipeline, "one", life.request([hours(0, 1)]))
    one.plan()
    (claimed,) = one.claim()
    pipeline.store.close()

    def try_number(number: int) -> Callable[[Puppet], None]:
        def work(puppet: Puppet) -> None:
            own = life.pipeline(puppet.reach)
            with suppress(FenceLostError):
                Run(own, "one", one.request).task("source_to_stage", claimed["id"], try_number=number)
            own.store.close()

        return work

    tries = []
    for number in (1, 2):
        tries.append(Puppet(f"try {number}", try_number(number)))
        tries[-1].settle(5)
        while tries[-1].is_alive and tries[-1].at != "put manifest.json":
            tries[-1].step()
    run_out(tries)
    drain(life, [hours(0, 1)])
    return broken_promises(life, [hours(0, 1)])


def two_publishes_at_once(new_life: NewLife) -> list[str]:
    """The older start has read the receipts when the newer one publishes; then the older one goes on."""
    life = life_of(MOVED, new_life)
    pipeline = life.pipeline()
    one = Run(pipeline, "one", life.request([hours(0, 1)]))
    one.plan()
    (claimed,) = one.claim()
    one.task("stage_to_target", claimed["id"])
    row = pipeline.store.get(claimed["id"])
    manifest = pipeline.stage.read_manifest(row.stage_location)

    def publish(fence: int) -> Callable[[Puppet], None]:
        def work(puppet: Puppet) -> None:
            own = life.pipeline(puppet.reach)
            with suppress(PublishConflictError):
                publish_one(own.target, manifest, own.stage, fence=fence, lifecycle_id=row.id)

        return work

    older = Puppet("older", publish(row.fence + 1))
    older.settle(5)
    for statement in ("BEGIN", "SELECT kind"):  # the receipts are read before the transaction, too
        while older.is_alive and not older.at.startswith(statement):
            older.step()
    older.step()
    newer = Puppet("newer", publish(row.fence + 2))
    newer.settle(5)
    while newer.state == "waiting":
        newer.step()
    run_out([older, newer])
    receipt = pipeline.target.receipt(life.source_object, hours(0, 1))
    pipeline.store.close()
    has_published = newer.at == "COMMIT"  # else it lost against the lock, and comes again
    stands = receipt is not None and receipt.fence == row.fence + 2
    return [] if stands or not has_published else ["the older start has overwritten the newer one's receipt"]


def a_staged_document_is_changed(new_life: NewLife) -> list[str]:
    """Between stage and load somebody changes a value in a staged file; ids and counts stay."""
    life = life_of(MOVED, new_life)
    pipeline = life.pipeline()
    one = Run(pipeline, "one", life.request([hours(0, 1)]))
    one.plan()
    (claimed,) = one.claim()
    one.task("source_to_stage", claimed["id"])
    file = min(life.directory.rglob("*.ndjson.gz"))
    rewrite(file, lambda lines: [lines[0].replace(b'"n": 0', b'"n": 7'), *lines[1:]])
    _same_size_in_manifest(file)
    one.window(claimed, tasks=("stage_to_target", "audit"))
    pipeline.store.close()
    values = life.sql("SELECT n FROM faults WHERE _source_object = %s ORDER BY n", life.source_object)
    return [] if values == [(0,), (1,), (2,)] else [f"the target has {values}"]


def _same_size_in_manifest(file: Path) -> None:
    """The size is the cheap half of the check; the checksum is the half that is looked at here."""
    manifest = file.parent / "manifest.json"
    content = json.loads(manifest.read_text())
    for staged in content["files"]:
        if staged["key"].endswith(file.name):
            staged["bytes"] = file.stat().st_size
    manifest.write_text(json.dumps(content))


def the_target_lost_one_and_doubled_one(new_life: NewLife) -> list[str]:
    life = life_of(AUDIT_FAILS, new_life)
    drain(life, [hours(0, 1)])
    return broken_promises(life, [hours(0, 1)])


def killed_while_replacing(new_life: NewLife) -> list[str]:
    """Kill at each point of the ledger's replacement, then normal operation: asked for is asked for."""
    number = 0
    while True:
        life = life_of(REPLACED, new_life)
        puppet = Puppet("killed", lambda puppet, life=life: REPLACED.lived(life, puppet.reach))  # type: ignore[misc]
        puppet.settle(5)
        for _ in range(number):
            puppet.step()
        if "claim" in puppet.at or not puppet.is_alive or number > 25:
            puppet.step(die=True)
            return []
        puppet.step(die=True)
        drain(life, [hours(0, 1)])
        if problems := broken_promises(life, [hours(0, 1)]):
            return problems
        number += 1


def a_window_fails_in_a_run(new_life: NewLife) -> list[str]:
    """The source is down: the run must not end as a success."""
    life = life_of(MOVED, new_life)
    life.source.fault = IncompleteExtractError("a shard is down")
    pipeline = life.pipeline()
    one = Run(pipeline, "one", life.request([hours(0, 1)]))
    one.all()
    pipeline.store.close()
    told = [error for error in one.errors if isinstance(error, TerminalError)]
    return [] if told else ["the run ends green with an unfinished window"]


def two_planners_on_two_grids(new_life: NewLife) -> list[str]:
    """Both have looked at the empty ledger before either inserts."""
    life = new_life()

    def plan(windows: Any) -> Callable[[Puppet], None]:
        def work(puppet: Puppet) -> None:
            pipeline = life.pipeline(puppet.reach)
            insert_windows(pipeline.config, windows, pipeline.store, Actor("planner", puppet.name))
            pipeline.store.close()

        return work

    planners = [Puppet("hours", plan([hours(0, 1)])), Puppet("halves", plan(list(HALVES)))]
    for planner in planners:
        planner.settle(5)
    for planner in planners:
        while planner.is_alive:
            planner.step()
    life.add(hours(0, 1))
    drain(life, [hours(0, 1)])
    live = life.sql(
        "SELECT SUM(query_window_end_at - query_window_start_at) FROM pipeline_lifecycle WHERE source_object = %s",
        life.source_object,
    )
    return [] if str(live[0][0]) == "1:00:00" else [f"windows of {live[0][0]} in one hour"]


def a_late_delete_after_a_skip(new_life: NewLife) -> list[str]:
    """An audit fails and freezes before its delete; what was lost comes back; another run ends SKIPPED; it wakes."""
    life = new_life()
    life.add(hours(0, 1))
    torn_at_target(life)
    zombie = frozen_before_its_delete(life)
    mend(life, "d0.0")
    drain(life, [hours(0, 1)])
    run_out([zombie])
    lost = life.source_ids() - life.target_ids()
    return [f"{lost.total()} rows lost after the window was finished"] if lost else []


def half_of_the_shards_answer(_new_life: NewLife) -> list[str]:
    answer = elasticsearch_answers.decode(
        b'{"took":1,"timed_out":false,"_shards":{"total":2,"successful":1,"skipped":0,"failed":0},'
        b'"hits":{"total":{"value":5,"relation":"eq"},"hits":[]}}',
        elasticsearch_answers.SearchAnswer,
        "flights",
    )
    try:
        elasticsearch_answers.check_whole(answer, "flights")
    except IncompleteExtractError:
        return []
    return ["the surviving half counts as the whole"]


def _patched(owner: Any, name: str, value: Any) -> Callable[[pytest.MonkeyPatch, Life], None]:
    return lambda patch, _life: patch.setattr(owner, name, value)


def _without_lock(session: Any, source_object: str, windows: Any) -> Any:
    return statements.read_guarded(session, source_object, windows)


def _in_two_transactions(
    self: PostgresLifecycleStore, record_ids: Any, records: Any, actor: Actor, reason: str
) -> list[LedgerRow]:
    for record_id in record_ids:
        self.change(record_id, lambda row, now: transitions.invalidate(row, now, reason), actor)
    return self.insert_planned([{**row, "is_replacement_run_flag": True} for row in records], actor).inserted


def _counts_only(decide: Any) -> Any:
    def lenient(numbers: Any, *arguments: Any, **options: Any) -> Any:
        same = audits.Fingerprint(numbers.staged.rows, 0)
        rows = {"staged": same, "loaded": audits.Fingerprint(numbers.loaded.rows, 0)}
        return decide(
            type(numbers)(**rows, target=audits.Fingerprint(numbers.target.rows, 0), source_count=numbers.source_count),
            *arguments,
            **options,
        )

    return lenient


def _without_constraint(_patch: pytest.MonkeyPatch, life: Life) -> None:
    (name,) = life.sql("SELECT conname FROM pg_constraint WHERE contype = 'x'")[0]
    life.sql(f"ALTER TABLE pipeline_lifecycle DROP CONSTRAINT {name}")


def _unconfirmed(self: SqlTarget, source_object: str, window: Any, *, fence: int) -> Any:
    del fence
    return self.receipt(source_object, window)


def _ledger_statement(name: str, old: str, new: str) -> Callable[[pytest.MonkeyPatch, Life], None]:
    """One of the ledger's statements with a part of its text replaced."""
    real = postgres_lifecycle_store._text

    def changed(asked: str) -> str:
        text = real(asked)
        if asked != name:
            return text
        assert old in text
        return text.replace(old, new)

    return _patched(postgres_lifecycle_store, "_text", changed)


def _not_asking(what: str) -> Callable[..., None]:
    """`require_same` that leaves out one of its two places."""
    real = publishing.require_same

    def lenient(found: Any, manifest: Any, said: str, where: str) -> None:
        if not said.startswith(what):
            real(found, manifest, said, where)

    return lenient


def _without_floor(fence: int, _floor: int, overlapping: Any, where: str, real: Any = publishing.require_fence) -> None:
    real(fence, 0, overlapping, where)


BEFORE, INSIDE = "The staged files hold", "After the insert"
RUN_LOCK = "PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED(%(dag_id)s || '/' || %(dag_run_id)s, 0))"
GUARDS = [
    Guard("fence check in the ledger", two_tries_of_one_task, _patched(transitions, "_require_fence", lambda *_: None)),
    Guard("receipt check in the target's transaction", a_zombie_publishes_late,
          _patched(publishing, "require_fence", lambda *_: None)),
    Guard("guard row", two_publishes_at_once, _patched(statements, "take_guard", _without_lock)),
    Guard("checksum in the manifest", a_staged_document_is_changed,
          _patched(ObjectStorageStage, "_check", lambda *_: None)),
    Guard("shards of every answer", half_of_the_shards_answer,
          _patched(elasticsearch_answers, "check_shards", lambda *_, **__: None)),
    Guard("fingerprints in the audit", the_target_lost_one_and_doubled_one,
          _patched(audits, "decide", _counts_only(audits.decide))),
    Guard("one transaction for a replacement", killed_while_replacing,
          _patched(PostgresLifecycleStore, "replace", _in_two_transactions)),
    Guard("the teardown's rule", a_window_fails_in_a_run, _patched(life_module, "finish_run", lambda *_: {})),
    Guard("a SKIPPED window's confirmed receipt", a_late_delete_after_a_skip,
          _patched(SqlTarget, "confirm", _unconfirmed)),
    Guard("exclusion constraint on live windows", two_planners_on_two_grids,
          _without_constraint, needs_own_ledger=True),
    Guard("rows and fingerprint after the load", a_line_is_lost_under_the_load,
          _patched(publishing, "require_same", lambda *_: None)),
    Guard("rows and fingerprint of the window, before the COMMIT", an_event_leaves_the_window_under_the_load,
          _patched(publishing, "require_same", _not_asking(INSIDE))),
    Guard("the receipt is read when the answer to a COMMIT is lost", the_answer_to_every_commit_is_lost,
          _patched(SqlTarget, "_is_written", lambda *_: False)),
    Guard("a COMMIT without an answer is believed by its receipt only", a_confirmation_never_arrives,
          _patched(SqlTarget, "_is_written", lambda *_: True)),
    Guard("one claim of a run at a time", two_tries_of_one_claim,
          _ledger_statement("lock_run", RUN_LOCK, "%(dag_id)s || %(dag_run_id)s")),
    Guard("row locks of a claim", two_runs_claim_at_once,
          _ledger_statement("lock_claimable_rows", "FOR UPDATE SKIP LOCKED", "")),
    Guard("fence floor", a_late_delete_after_a_rebuild,
          _patched(publishing, "require_fence", _without_floor), needs_own_ledger=True),
]  # fmt: skip


@pytest.mark.parametrize("guard", GUARDS, ids=[guard.name for guard in GUARDS])
def test_the_story_ends_well_with_the_guard_and_badly_without(
    guard: Guard, new_life: NewLife, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if guard.needs_own_ledger:
        new_life = request.getfixturevalue("own_life")
    assert guard.story(new_life) == []
    guard.switch_off(monkeypatch, new_life())
    assert guard.story(new_life) != []
    record("guards", f"{guard.name} switched off", tried=1, survived=0, guard=guard.name)


def test_skip_locked_buys_that_two_claims_do_not_wait_for_each_other(
    new_life: NewLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second_claim_is_through(claims: Claims) -> bool:
        """While the first one is frozen before its COMMIT."""
        one = claims.until_it_has_claimed("one", "one")
        two = claims.start("two", "two")
        is_through = claims.goes_on(two)
        run_out([one, two])
        return is_through

    with_it = Claims(new_life)
    assert second_claim_is_through(with_it)
    assert [len(records) for records in with_it.answers.values()] == [1, 1]
    assert with_it.broken() == []
    _ledger_statement("lock_claimable_rows", "FOR UPDATE SKIP LOCKED", "FOR UPDATE")(monkeypatch, with_it.life)
    without = Claims(new_life)
    assert not second_claim_is_through(without)
    assert without.broken() == [], "no promise needs it"
    buys = "two claims at once don't wait for each other; the row locks are what keeps them apart"
    record("justified guards", buys, tried=1, survived=1, guard="SKIP LOCKED in a claim")


def test_the_look_before_the_transaction_buys_that_a_torn_file_holds_nobody_up(
    new_life: NewLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A torn file is published while another publish has the guard row."""
    life = life_of(MOVED, new_life)
    claimed_and_done(life, "one", hours(0, 1), "source_to_stage")
    pipeline = life.pipeline()
    (row,) = pipeline.store.find(source_object=life.source_object)
    manifest = pipeline.stage.read_manifest(row.stage_location)
    pipeline.store.close()
    rewrite(min(life.directory.rglob("*.ndjson.gz")), lambda lines: lines[:-1])

    def publish_beside_another() -> None:
        with psycopg.connect(life.url) as other:
            other.execute("SELECT 1 FROM faults_receipts WHERE source_object = %s FOR UPDATE", [life.source_object])
            publish_one(pipeline.target, manifest, pipeline.stage, fence=row.fence, lifecycle_id=row.id)

    with pytest.raises(TornStageError, match=BEFORE):
        publish_beside_another()
    monkeypatch.setattr(publishing, "require_same", _not_asking(BEFORE))
    with pytest.raises(PublishConflictError):
        publish_beside_another()
    with pytest.raises(TornStageError, match=INSIDE):
        publish_one(pipeline.target, manifest, pipeline.stage, fence=row.fence, lifecycle_id=row.id)
    assert a_line_is_lost_under_the_load(new_life) == [], "no promise needs it"
    buys = "a torn file is refused without the guard row, and holds up no other publish; the look inside sees it, too"
    record(
        "justified guards", buys, tried=1, survived=1, guard="rows and fingerprint of the files, before the transaction"
    )
