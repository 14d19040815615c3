"""Many windows through their whole life, with vacuum as it goes: the ledger's size afterwards, beside a fresh copy.

Each step of a window is one new version of its row and an event, as the store writes them; here a statement writes the
step of 24 windows, as a claim does. A day of a busy ledger passes within a minute, too fast for the real autovacuum,
which looks once a minute and is done after a second. So rounds of 96 windows and vacuum take turns: after each round it
looks whether as many rows are dead as autovacuum's rule asks for.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg

from include.sql.text import SqlFragment, fill

_TOGETHER = 24
_WORKERS = 4
_STAGED = "source_to_stage_ingestion_end_time = CLOCK_TIMESTAMP(), source_to_stage_ingestion_status = 'COMPLETED'"
_LOADED = "stage_to_target_ingestion_end_time = CLOCK_TIMESTAMP(), stage_to_target_ingestion_status = 'COMPLETED'"
_AUDITED = "audit_end_time = CLOCK_TIMESTAMP(), audit_process_status = 'COMPLETED', audit_result_status = 'PASSED'"
_STEPS = {
    "claimed": "pipeline_final_status = 'IN_PROGRESS', dag_id = 'bench', dag_run_id = 'run-' || id / 24,"
    " pipeline_locked_at = CLOCK_TIMESTAMP(), pipeline_start_time = CLOCK_TIMESTAMP()",
    "taken": "fence = NEXTVAL('pipeline_lifecycle_fence'), heartbeat_at = CLOCK_TIMESTAMP()",
    "source_to_stage_started": "elt_process_status = 'IN_PROGRESS', source_to_stage_ingestion_status = 'IN_PROGRESS',"
    " source_to_stage_ingestion_start_time = CLOCK_TIMESTAMP()",
    "source_to_stage_completed": f"{_STAGED}, stage_location = key_x, staged_count = 1000, staged_fingerprint = 2e20,"
    " phase_completed = 'SOURCE_TO_STAGE'",
    "stage_to_target_started": "stage_to_target_ingestion_status = 'IN_PROGRESS',"
    " stage_to_target_ingestion_start_time = CLOCK_TIMESTAMP()",
    "stage_to_target_completed": f"{_LOADED}, elt_process_status = 'COMPLETED', loaded_count = 1000,"
    " loaded_fingerprint = 2e20, phase_completed = 'STAGE_TO_TARGET'",
    "audit_started": "audit_process_status = 'IN_PROGRESS', audit_start_time = CLOCK_TIMESTAMP()",
    "audit_passed": f"{_AUDITED}, phase_completed = 'AUDIT', pipeline_final_status = 'COMPLETED', source_count = 1000,"
    " target_count = 1000, pipeline_end_time = CLOCK_TIMESTAMP(), heartbeat_at = NULL",
}
_STEP = """
WITH changed AS (
    UPDATE pipeline_lifecycle
    SET record_last_updated_at = CLOCK_TIMESTAMP(), {columns}
    WHERE id = ANY(%(ids)s)
    RETURNING id, pipeline_final_status, fence
)
INSERT INTO pipeline_lifecycle_events (
    lifecycle_id, event, to_status, fence, dag_id, dag_run_id, task_id, map_index, try_number
)
SELECT id, %(event)s, pipeline_final_status, fence, 'bench', 'run-' || id / 24, 'move', 0, 1 FROM changed
"""
_IS_DUE = """
SELECT used.n_dead_tup > 50 + table_.reltuples * COALESCE(
    (
        SELECT option_value FROM PG_OPTIONS_TO_TABLE(table_.reloptions)
        WHERE option_name = 'autovacuum_vacuum_scale_factor'
    ),
    CURRENT_SETTING('autovacuum_vacuum_scale_factor')
)::float
FROM pg_stat_user_tables AS used
INNER JOIN pg_class AS table_ ON used.relid = table_.oid
WHERE used.relid = 'pipeline_lifecycle'::regclass
"""
_SIZES = "SELECT PG_TABLE_SIZE(%(table)s::regclass), PG_INDEXES_SIZE(%(table)s::regclass)"


def live(url: str) -> dict[str, dict[str, float]]:
    """Move every window of the ledger to COMPLETED; return the sizes of what `lived` and of a fresh `copy`."""
    with ExitStack() as open_until_here:
        enter = open_until_here.enter_context
        connection, *workers = (enter(psycopg.connect(url, autocommit=True)) for _ in range(1 + _WORKERS))
        pool = enter(ThreadPoolExecutor(_WORKERS))
        ids = [row[0] for row in connection.execute("SELECT id FROM pipeline_lifecycle ORDER BY id")]
        began = time.perf_counter()
        groups = [ids[first : first + _TOGETHER] for first in range(0, len(ids), _TOGETHER)]
        for first in range(0, len(groups), _WORKERS):
            list(pool.map(_move, workers, groups[first : first + _WORKERS]))
            if connection.execute(_IS_DUE.encode()).fetchall()[0][0]:
                connection.execute("VACUUM (ANALYZE) pipeline_lifecycle")
        seconds = time.perf_counter() - began
        lived = _sizes(connection, "pipeline_lifecycle")
        connection.execute("CREATE TABLE fresh_copy (LIKE pipeline_lifecycle INCLUDING ALL)")
        connection.execute(
            "INSERT INTO fresh_copy OVERRIDING SYSTEM VALUE SELECT * FROM pipeline_lifecycle ORDER BY id"
        )
        copy = _sizes(connection, "fresh_copy")
        connection.execute("DROP TABLE fresh_copy")
    return {"lived": {**lived, "wall s": seconds}, "copy": copy}


def _move(connection: psycopg.Connection[Any], ids: list[int]) -> None:
    for event, columns in _STEPS.items():
        text = fill(_STEP, {"columns": SqlFragment(columns)})
        connection.execute(text.encode(), {"ids": ids, "event": event})
    connection.execute("SELECT PG_STAT_FORCE_NEXT_FLUSH()")  # a session tells its counts once a second otherwise


def _sizes(connection: psycopg.Connection[Any], table: str) -> dict[str, float]:
    (rows, indexes), *_ = connection.execute(_SIZES.encode(), {"table": table}).fetchall()
    return {"MB": (rows + indexes) / 2**20, "rows MB": rows / 2**20, "indexes MB": indexes / 2**20}
