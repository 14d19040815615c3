"""When the owner of a window counts as gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.pipeline_framework.core.lifecycle.leases import RunState, stale_reason
from tests.doubles.rows import ledger_row

NOW = datetime(2013, 3, 9, 12, tzinfo=UTC)
LEASE = timedelta(hours=2)
TIMEOUT = timedelta(hours=12)
TICK = timedelta(microseconds=1)
ACTIVE, ENDED, MISSING, UNKNOWN = RunState.ACTIVE, RunState.ENDED, RunState.MISSING, RunState.UNKNOWN


@pytest.mark.parametrize(
    ("state", "silent_for", "locked_for", "reason"),
    [
        # a run that has ended, or never was, owns nothing, whatever its heartbeat says
        (ENDED, timedelta(0), timedelta(0), "has ended"),
        (ENDED, None, timedelta(0), "has ended"),
        (MISSING, timedelta(0), timedelta(0), "does not exist"),
        (MISSING, None, timedelta(days=9), "does not exist"),
        # a living run: only a running lease can expire
        (ACTIVE, timedelta(0), timedelta(days=9), None),
        (ACTIVE, LEASE, timedelta(days=9), None),
        (ACTIVE, LEASE + TICK, timedelta(hours=3), "has been silent since 2013-03-09T09:59:59.999999Z"),
        (ACTIVE, None, timedelta(days=9), None),
        # Airflow can't be asked: the lease, else the claim's age
        (UNKNOWN, LEASE, timedelta(hours=3), None),
        (UNKNOWN, LEASE + TICK, timedelta(hours=3), "has been silent since"),
        (UNKNOWN, None, TIMEOUT + LEASE, None),
        (UNKNOWN, None, TIMEOUT + LEASE + TICK, "claimed it at 2013-03-08T21:59:59.999999Z; Airflow can't be asked"),
        (UNKNOWN, timedelta(0), TIMEOUT + LEASE + TICK, "Airflow can't be asked"),
    ],
)
def test_stale_or_not(state: RunState, silent_for: timedelta | None, locked_for: timedelta, reason: str | None) -> None:
    row = ledger_row(
        dag_id="data_pipeline_main",
        dag_run_id="run-1",
        heartbeat_at=None if silent_for is None else NOW - silent_for,
        pipeline_locked_at=NOW - locked_for,
    )
    found = stale_reason(row, state, NOW, stale_threshold=LEASE, dagrun_timeout=TIMEOUT)
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith("run run-1 of data_pipeline_main ")
        assert reason in found
