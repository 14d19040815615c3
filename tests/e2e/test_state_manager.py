"""`state_manager` under a running scheduler: a dry run shows, an id executes, and a person decides about deletions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Bench, hours, wait_until

pytestmark = pytest.mark.e2e

DAG = "state_manager"
DAY = hours("2013-05-04T04:00Z", "2013-05-05T04:00Z")  # in New York
AFTER = hours("2013-05-05T03:00Z", "2013-05-05T05:00Z")


@pytest.fixture
def may(bench: Bench, alone: None) -> Iterator[Bench]:
    """Two days in May, planned by the planner; nothing claims."""
    bench.api.wait_for_dags([DAG])
    bench.api.set_paused(bench.dag_id, paused=True)
    bench.api.set_paused(DAG, paused=False)
    for day in ("2013-05-04", "2013-05-05"):
        assert bench.plan(day) == "success"
    yield bench
    bench.api.set_paused(DAG, paused=True)
    bench.api.set_paused(bench.dag_id, paused=False)


def change(bench: Bench, text: str) -> None:
    """A statement about rows of the lane."""
    bench.query(f"{text} AND source_object = %s", bench.source_object)


def conf(bench: Bench, **more: Any) -> dict[str, Any]:
    return {"pipelines": [bench.pipeline_id], **more}


def states(bench: Bench, run_id: str) -> dict[str, str]:
    return {instance["task_id"]: instance["state"] for instance in bench.api.task_instances(DAG, run_id)}


def result(bench: Bench, run_id: str, task: str) -> dict[str, Any]:
    answer = bench.api.call("GET", f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/{task}/xcomEntries/return_value")
    value: dict[str, Any] = answer["value"]
    return value


def log(bench: Bench, run_id: str, task: str) -> str:
    path = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/{task}/logs/1?full_content=true"
    return "\n".join(map(str, bench.api.call("GET", path)["content"]))


def plan_of_a_dry_run(bench: Bench) -> str:
    run_id, state = bench.run(conf(bench), dag_id=DAG)
    assert (state, states(bench, run_id)["apply_plan"]) == ("success", "skipped")
    return str(result(bench, run_id, "make_plan")["plan_id"])


def question(bench: Bench, run_id: str) -> dict[str, Any]:
    """What Airflow asks a person in this run, when the task has been put to rest.

    Two more seconds: an answer that comes while the executor still reports the resting task (apache-airflow 3.3.0 takes
    it for one that vanished) is lost, and the task asks again.
    """
    wait_until(bench, lambda: states(bench, run_id).get("approve") == "awaiting_input")
    time.sleep(2)
    return bench.api.call("GET", f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails")


def answer(bench: Bench, run_id: str, option: str) -> str:
    path = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    bench.api.call("PATCH", path, {"chosen_options": [option], "params_input": {}})
    return bench.api.wait(DAG, run_id)


def test_a_row_deleted_by_hand_is_found_shown_and_replaced_by_exactly_that_plan(may: Bench) -> None:
    change(may, "DELETE FROM pipeline_lifecycle WHERE query_window_start_at = '2013-05-04T11:00Z'")
    run_id, state = may.run(conf(may), dag_id=DAG)
    made = result(may, run_id, "make_plan")
    assert (state, made["items"], made["windows"], made["rows"], made["needs_approval"]) == ("success", 1, 1, 0, None)
    assert len(may.rows(DAY)) == 23
    shown = log(may, run_id, "make_plan")
    assert "gap_middle" in shown
    assert f'{{"plan_id": "{made["plan_id"]}", "apply": true}}' in shown
    assert plan_of_a_dry_run(may) == made["plan_id"]  # the same plan again is no second one

    change(may, "DELETE FROM pipeline_lifecycle WHERE query_window_start_at = '2013-05-04T13:00Z'")
    run_id, state = may.run({"plan_id": made["plan_id"], "apply": True}, dag_id=DAG)
    assert state == "success", states(may, run_id)
    assert (states(may, run_id)["approve"], states(may, run_id)["make_plan"]) == ("skipped", "skipped")
    assert result(may, run_id, "apply_plan")["inserted"] == 1
    starts = [row["query_window_start_at"].hour for row in may.rows(DAY)]
    assert (11 in starts, 13 in starts) == (True, False)  # what went missing later is not part of the plan

    may.api.clear(DAG, run_id, ["apply_plan"])
    assert may.api.wait(DAG, run_id) == "success"
    assert states(may, run_id)["apply_plan"] == "skipped"


def test_data_at_the_target_is_only_deleted_when_a_person_agrees(may: Bench) -> None:
    change(may, "DELETE FROM pipeline_lifecycle WHERE query_window_start_at = '2013-05-05T04:00Z'")
    change(
        may,
        "UPDATE pipeline_lifecycle SET query_window_end_at = '2013-05-05T05:00Z', pipeline_final_status = 'COMPLETED', "
        "audit_result_status = 'PASSED', "
        "phase_completed = 'AUDIT' WHERE query_window_start_at = '2013-05-05T03:00Z'",
    )
    (crossing,) = may.rows(AFTER)
    plan_id = plan_of_a_dry_run(may)

    rejected = may.api.trigger(DAG, {"plan_id": plan_id, "apply": True})
    asked = question(may, rejected)
    assert "may the target's data of 1 rows be deleted?" in asked["subject"]
    assert asked["body"].startswith("**Data at the target will be deleted: that of 1 rows of the ledger.**")
    assert "crosses\\_day" in asked["body"]
    assert answer(may, rejected, "Reject") == "success"
    assert states(may, rejected)["apply_plan"] == "skipped"
    assert may.rows(AFTER) == [crossing]

    approved = may.api.trigger(DAG, {"plan_id": plan_id, "apply": True})
    question(may, approved)
    assert may.rows(AFTER) == [crossing]
    assert answer(may, approved, "Approve") == "success", states(may, approved)
    done = result(may, approved, "apply_plan")
    assert (done["inserted"], done["invalidated"], done["changed"], done["approved_by"]) == (2, 1, 0, "admin")
    assert [row["pipeline_final_status"] for row in may.rows(AFTER)] == ["PENDING"] * 2
    (stored,) = may.query("SELECT * FROM state_manager_plans WHERE plan_id = %s", plan_id)
    assert (stored["approved_by"], stored["applied_by"]) == ("admin", f"{DAG}/{approved}")


def test_a_conf_that_makes_no_sense_fails_with_the_reason(bench: Bench) -> None:
    bench.api.wait_for_dags([DAG])
    bench.api.set_paused(DAG, paused=False)
    run_id, state = bench.run({"apply": True}, dag_id=DAG)
    bench.api.set_paused(DAG, paused=True)
    assert (state, states(bench, run_id)["check_conf"]) == ("failed", "failed")
    assert "apply without a plan_id" in log(bench, run_id, "check_conf")
