"""What every `LifecycleStore` promises about the state manager's plans, on the in-memory double and a real Postgres."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.continuity.state_plans import StatePlan, plan_hash
from include.pipeline_framework.errors import InvalidInputError, LedgerRefusedError
from include.pipeline_framework.ports.ledger import LifecycleStore

ITEM = {
    "action": "replace",
    "source_object": "flights",
    "windows": [["2013-03-09T05:00:00Z", "2013-03-09T06:00:00Z"]],
    "rows": [
        {"id": 2**40, "start": "2013-03-09T05:00:00Z", "end": "2013-03-09T07:00:00Z", "status": "PENDING", "fence": 3}
    ],
    "deletes_target_data": False,
    "reason": 'crosses_day: ümläut, "quotes" \\ and 100 %',
}


def plan(number: int = 0, **changes: Any) -> dict[str, Any]:
    items = [{**ITEM, "reason": f"{ITEM['reason']} {number}"}]
    return {
        "created_by": "state_manager/run-1",
        "sources": ["flights"],
        "items": items,
        "findings": {"flights": {"windows": 23}},
        "hash": plan_hash(items),
        "needs_approval": None,
        **changes,
    }


def note(store: LifecycleStore, plan_id: str, outcome: dict[str, Any], *, is_complete: bool = False) -> dict[str, Any]:
    return store.note_plan_outcome(
        plan_id, outcome, applied_by="state_manager/run-2", approved_by="Ada", is_complete=is_complete
    )


def test_a_plan_is_kept_as_it_was_made(store: LifecycleStore) -> None:
    made = plan(needs_approval="because")
    kept = store.keep_plan(made)
    assert {name: kept[name] for name in made} == made
    assert kept["plan_id"] == f"{kept['created_at']:%Y%m%d}-{made['hash'][:8]}"
    assert kept["created_at"] <= store.now()
    assert [kept[name] for name in ("approved_by", "applied_at", "applied_by", "outcome")] == [None] * 4
    assert store.stored_plan(kept["plan_id"]) == kept
    assert StatePlan.of(kept).items[0].as_dict() == made["items"][0]


def test_an_unknown_plan(store: LifecycleStore) -> None:
    with pytest.raises(InvalidInputError, match="there is no plan '20130309-00000000'"):
        store.stored_plan("20130309-00000000")


def test_the_same_open_plan_is_no_second_one(store: LifecycleStore) -> None:
    first = store.keep_plan(plan())
    assert store.keep_plan(plan(created_by="somebody else", findings={})) == first
    assert store.keep_plan(plan(1))["plan_id"] != first["plan_id"]


def test_an_applied_plan_made_again_gets_a_number(store: LifecycleStore) -> None:
    ids = []
    for _ in range(3):
        ids.append(store.keep_plan(plan())["plan_id"])
        note(store, ids[-1], {}, is_complete=True)
    assert ids == [ids[0], f"{ids[0]}-2", f"{ids[0]}-3"]


def test_outcomes_add_up_and_only_the_last_one_makes_it_applied(store: LifecycleStore) -> None:
    plan_id = store.keep_plan(plan())["plan_id"]
    half = note(store, plan_id, {"flights": {"inserted": 1}})
    assert (half["outcome"], half["applied_at"]) == ({"flights": {"inserted": 1}}, None)
    assert store.keep_plan(plan())["plan_id"] == plan_id
    note(store, plan_id, {"orders": {"inserted": 2}})
    done = note(store, plan_id, {}, is_complete=True)
    assert done["outcome"] == {"flights": {"inserted": 1}, "orders": {"inserted": 2}}
    assert (done["applied_by"], done["approved_by"]) == ("state_manager/run-2", "Ada")
    assert done["created_at"] <= done["applied_at"] <= store.now()


def test_an_applied_plan_stays_as_it_is(store: LifecycleStore) -> None:
    plan_id = store.keep_plan(plan())["plan_id"]
    done = note(store, plan_id, {}, is_complete=True)
    for is_complete in (False, True):
        with pytest.raises(LedgerRefusedError, match=r"was applied by state_manager/run-2 at \d{4}-"):
            note(store, plan_id, {"flights": {}}, is_complete=is_complete)
    assert store.stored_plan(plan_id) == done


@pytest.mark.integration
def test_several_makers_at_once_store_one_plan(ledger_url: str) -> None:
    found: list[str] = []

    def make() -> None:
        store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
        found.extend(store.keep_plan(plan(number))["plan_id"] for number in range(5))
        store.close()

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found))) == (30, 5)


@pytest.mark.integration
def test_the_database_refuses_a_plan_without_items_and_two_open_ones(ledger_url: str) -> None:
    insert = (
        "INSERT INTO state_manager_plans (plan_id, created_by, sources, items, hash) VALUES (%s, 'x', '{}', %s, 'h')"
    )
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(insert, ["a", "[]"])
        connection.execute(insert, ["a", "[1]"])
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(insert, ["b", "[1]"])
