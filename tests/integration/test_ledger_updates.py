"""Steps of a window that leave its status as it is change its row in place: no index gets an entry for them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import psycopg
import pytest

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.records.row import Actor
from tests.contract.ledger_rows import planned

pytestmark = pytest.mark.integration

RUN = Actor("data_pipeline_main", "run-1", "move", 0, 1)
WINDOWS, BEATS = 48, 5
UPDATES = """
SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'pipeline_lifecycle' AND n_tup_upd >= %s
"""


def test_starts_and_heartbeats_change_rows_in_place(ledger_url: str) -> None:
    store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    store.insert_planned([planned(hour) for hour in range(WINDOWS)], RUN)
    claimed = store.claim("flights", RUN, limit=WINDOWS, ended_before=datetime(2014, 1, 1, tzinfo=UTC))
    assert len(claimed) == WINDOWS
    for row in claimed:
        taken = store.take(row.id, RUN)
        for _ in range(BEATS):
            store.heartbeat(row.id, taken.fence)
    store.close()
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        while not (found := connection.execute(UPDATES.encode(), [WINDOWS * (2 + BEATS)]).fetchall()):
            time.sleep(0.1)  # a session counts what it did when it ends
    ((in_place,),) = found
    assert in_place > 0.7 * WINDOWS * (1 + BEATS)  # some rows leave a full page first, and the claim changes the status
