"""A window waits for its turn at the table without a worker, under a running scheduler."""

from __future__ import annotations

import psycopg
import pytest

from tests.e2e.conftest import Bench, conf_of, hours, wait_until

pytestmark = pytest.mark.e2e


def test_a_window_waits_without_a_worker_while_another_one_publishes(bench: Bench) -> None:
    window = hours("2013-06-05T10:00Z", "2013-06-05T11:00Z")  # empty, so pre_validation publishes it
    lock = f"SELECT PG_ADVISORY_LOCK(HASHTEXTEXTENDED('pipeline_lifecycle table snowflake {bench.table}', 0))"
    with psycopg.connect(bench.env["LEDGER_URL"], autocommit=True) as somebody_else:
        somebody_else.execute(lock.encode())
        run_id = bench.api.trigger(bench.dag_id, conf_of(window))
        wait_until(bench, lambda: ["up_for_reschedule"] in bench.states(run_id).values())
        (row,) = bench.rows(window)
        assert (row["pipeline_final_status"], row["dag_run_id"], row["retry_attempt"]) == ("IN_PROGRESS", run_id, 0)
        assert (row["phase_completed"], row["heartbeat_at"]) == ("SOURCE_TO_STAGE", None)
    assert bench.api.wait(bench.dag_id, run_id) == "success"
    (row,) = bench.rows(window)
    assert (row["pipeline_final_status"], row["retry_attempt"]) == ("COMPLETED", 0)
