"""Every guard is needed: the same story ends well with it and breaks a promise without it.

A guard that could be switched off here unnoticed would have to go, or be justified.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from include.implementation_modules import elasticsearch_answers, publishing
from include.implementation_modules.object_storage_stage import ObjectStorageStage
from include.implementation_modules.postgres_lifecycle_store import PostgresLifecycleStore
from include.implementation_modules.sql_target import SqlTarget
from include.pipeline_framework.core import audits, lifecycle
from include.pipeline_framework.core.lifecycle import Actor
from include.pipeline_framework.errors import (
    FenceLostError,
    IncompleteExtractError,
    PublishConflictError,
    TerminalError,
)
from include.pipeline_framework.tasks.planning import insert_windows
from tests.faults import life as life_module
from tests.faults.chapters import CHAPTERS, HALVES, life_of, torn_at_target
from tests.faults.life import Life, Run, broken_promises, drain, hours
from tests.faults.puppets import Puppet, run_out
from tests.faults.results import record

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600), pytest.mark.usefixtures("quiet")]

MOVED, AUDIT_FAILS, REPLACED = CHAPTERS[:3]
NewLife = Callable[[], Life]
PUBLISH = "BEGIN ISOLATION LEVEL READ COMMITTED"
Story = Callable[[NewLife], list[str]]
"""Tells a story and returns the promises that were broken."""


@dataclass(frozen=True)
class Guard:
    """What protects, against what, and how to switch it off."""

    name: str
    story: Story
    switch_off: Callable[[pytest.MonkeyPatch, Life], None]


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
    manifest = pipeline.stage.read_manifest(row["stage_location"])

    def publish(fence: int) -> Callable[[Puppet], None]:
        def work(puppet: Puppet) -> None:
            own = life.pipeline(puppet.reach)
            with suppress(PublishConflictError):
                own.target.publish(manifest, own.stage, fence=fence, lifecycle_id=row["id"])

        return work

    older = Puppet("older", publish(row["fence"] + 1))
    older.settle(5)
    while older.is_alive and not older.at.startswith("SELECT kind"):
        older.step()
    older.step()
    newer = Puppet("newer", publish(row["fence"] + 2))
    newer.settle(5)
    while newer.state == "waiting":
        newer.step()
    run_out([older, newer])
    receipt = pipeline.target.receipt(life.source_object, hours(0, 1))
    pipeline.store.close()
    has_published = newer.at == "COMMIT"  # else it lost against the lock, and comes again
    stands = receipt is not None and receipt.fence == row["fence"] + 2
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
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    lines[0]["doc"]["n"] = 7
    file.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
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
    zombie = Puppet("zombie", lambda puppet: AUDIT_FAILS.lived(life, puppet.reach))
    zombie.settle(5)
    while zombie.is_alive and not _has_failed_its_audit(life):
        zombie.step()
    while zombie.is_alive and zombie.at != PUBLISH:
        zombie.step()
    columns = "_source_object, _id, _id_hash, _event_at, _lifecycle_id, _fence, _file, doc, n"
    life.sql(
        "DELETE FROM faults WHERE ctid IN (SELECT MIN(ctid) FROM faults WHERE _source_object = %s AND _id = 'd0.0-1')",
        life.source_object,
    )
    life.sql(
        f"INSERT INTO faults ({columns}) SELECT _source_object, 'd0.0-0', %s, '2024-05-01Z', _lifecycle_id, _fence, "
        "_file, '{\"n\": 0}', 0 FROM faults WHERE _source_object = %s AND _id = 'd0.0-1'",
        audits.Fingerprint.of(["d0.0-0"]).hash_sum,
        life.source_object,
    )
    drain(life, [hours(0, 1)])
    while zombie.is_alive:
        zombie.step()
    lost = life.source_ids() - life.target_ids()
    return [f"{lost.total()} rows lost after the window was finished"] if lost else []


def _has_failed_its_audit(life: Life) -> bool:
    found = life.sql(
        "SELECT 1 FROM pipeline_lifecycle WHERE source_object = %s AND audit_result_status = 'FAILED'",
        life.source_object,
    )
    return bool(found)


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


def _without_lock(self: SqlTarget, session: Any, source_object: str, window: Any) -> Any:
    return self._read_receipts(session, source_object, window)


def _in_two_transactions(
    self: PostgresLifecycleStore, record_ids: Any, records: Any, actor: Actor, reason: str
) -> list[dict[str, Any]]:
    for record_id in record_ids:
        self.change(record_id, lambda row, now: lifecycle.invalidate(row, now, reason), actor)
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


GUARDS = [
    Guard("fence check in the ledger", two_tries_of_one_task, _patched(lifecycle, "_require_fence", lambda *_: None)),
    Guard("receipt check in the target's transaction", a_zombie_publishes_late,
          _patched(publishing, "require_fence", lambda *_: None)),
    Guard("guard row", two_publishes_at_once, _patched(SqlTarget, "_take_guard", _without_lock)),
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
    Guard("exclusion constraint on live windows", two_planners_on_two_grids, _without_constraint),
]  # fmt: skip


@pytest.mark.parametrize("guard", GUARDS, ids=[guard.name for guard in GUARDS])
def test_the_story_ends_well_with_the_guard_and_badly_without(
    guard: Guard, new_life: NewLife, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    assert guard.story(new_life) == []
    if guard.switch_off is _without_constraint:
        new_life = request.getfixturevalue("own_life")  # a database of its own loses its constraint
    guard.switch_off(monkeypatch, new_life())
    assert guard.story(new_life) != []
    record("guards", f"{guard.name} switched off", tried=1, survived=0, guard=guard.name)
