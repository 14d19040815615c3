"""Several windows in one task instance, under a running scheduler."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Bench, conf_of, hours
from tests.e2e.test_clearing import odd_documents

pytestmark = pytest.mark.e2e

WINDOW = hours("2013-03-10T11:00Z", "2013-03-10T14:00Z")
ODD = hours("2013-03-10T12:00Z", "2013-03-10T13:00Z")


def test_windows_of_one_task_are_finished_fail_and_are_cleared_one_by_one(batched: Bench) -> None:
    with odd_documents(batched, ODD):
        run_id, state = batched.run(conf_of(WINDOW))
        assert state == "failed"
        states = batched.states(run_id)
        assert {name: states[name] for name in ("source_to_stage", "stage_to_target", "audit")} == {
            "source_to_stage": ["failed"],
            "stage_to_target": ["success"],
            "audit": ["success"],
        }
        rows = batched.rows(WINDOW)
        assert [row["pipeline_final_status"] for row in rows] == ["COMPLETED", "PENDING", "COMPLETED"]
        assert "a comment" not in str(rows[1]["last_error"])
        assert "odd-" in rows[1]["last_error"]
        names = {i["rendered_map_index"] for i in batched.api.task_instances(batched.dag_id, run_id)}
        assert "2013-03-10 07:00-04:00 → 08:00-04:00 … 2013-03-10 09:00-04:00 → 10:00-04:00 (3)" in names
        assert announced(batched, run_id) == [f"2013-03-10T{hour}:00:00Z" for hour in (11, 13)]
        batched.assert_loaded(hours("2013-03-10T13:00Z", "2013-03-10T14:00Z"))
    batched.query("UPDATE pipeline_lifecycle SET not_before_at = NULL WHERE source_object = %s", batched.source_object)
    batched.api.clear(batched.dag_id, run_id, [["window.source_to_stage", 0]])
    assert batched.api.wait(batched.dag_id, run_id) == "success", batched.states(run_id)
    assert [row["pipeline_final_status"] for row in batched.rows(WINDOW)] == ["COMPLETED"] * 3
    batched.assert_loaded(WINDOW)


def announced(bench: Bench, run_id: str) -> list[str]:
    """The starts of the windows that a run has announced."""
    events = bench.api.call("GET", "/assets/events?limit=1000")["asset_events"]
    keys = [event["partition_key"] for event in events if event["source_run_id"] == run_id]
    return sorted(key.partition("/")[0] for key in keys)
