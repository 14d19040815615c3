"""No statement of the ledger reads all of its rows: the plan of every one, on a ledger of 24,000 windows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from include.sql import statement
from include.sql.text import SqlFragment, fill, quoted, sql_text
from tests.conftest import database, record_identity

pytestmark = pytest.mark.integration

FILL = """
INSERT INTO pipeline_lifecycle (
    pipeline_id, source_name, source_object, target_name, timezone, granularity, target_day, query_window_start_at,
    query_window_end_at, time_interval, source_query_window_duration_minutes, zone_rules, pipeline_final_status,
    phase_completed, audit_result_status, fence, static_metadata, last_error
)
SELECT
    'p', 's', 'source-' || s, 't', 'UTC', '1h', (t AT TIME ZONE 'UTC')::date, t, t + INTERVAL '1 hour', '1h', 60,
    '2026a',
    CASE WHEN EXTRACT(HOUR FROM t) < 23 THEN 'COMPLETED' ELSE 'PENDING' END,
    CASE WHEN EXTRACT(HOUR FROM t) < 23 THEN 'AUDIT' END, CASE WHEN EXTRACT(HOUR FROM t) < 23 THEN 'PASSED' END,
    ROW_NUMBER() OVER (), '{}', REPEAT('x', 400)
FROM GENERATE_SERIES(0, 19) AS s,
GENERATE_SERIES(TIMESTAMPTZ '2010-01-01Z', TIMESTAMPTZ '2010-02-20Z', INTERVAL '1 hour') AS t
"""

EVENTS = """
INSERT INTO pipeline_lifecycle_events (
    lifecycle_id, event, to_status, fence, dag_id, dag_run_id, task_id, map_index, try_number
)
SELECT id, 'claimed', 'PENDING', fence, 'd', 'run-' || id / 24, 't', -1, 1 FROM pipeline_lifecycle
"""

READS_ALL = {
    "mirror_rows": "a full mirror copies every row",
    "state_contested": "it reads a table that is being adopted; the ledger can hold no overlap",
}
NO_PLAN = {
    "copy_planned": "COPY has no plan",
    "lock_ledger": "LOCK has no plan",
    "audit_note_revisit": "it inserts into a table of its own",
}
SCAN = re.compile(r"Seq Scan on pipeline_lifecycle(_events)?\b")
PARAMETER = re.compile(r"%\((\w+)\)s")
AT = datetime(2010, 2, 10, tzinfo=UTC)
GIVEN: dict[str, Any] = {
    "source_object": "source-3",
    "source_objects": ["source-3"],
    "timezones": ["UTC"],
    "sources": ["source-3"],
    "days": ["2010-01-20"],
    "starts": ["2010-01-20T00:00Z"],
    "ends": ["2010-01-21T00:00Z"],
    "start": "2010-01-20T00:00Z",
    "end": "2010-01-21T00:00Z",
    "start_at": "2010-01-20T00:00Z",
    "end_at": "2010-01-21T00:00Z",
    "since": AT,
    "at": AT,
    "finished_before": AT,
    "ended_before": AT,
    "asked_before": AT,
    "alerted_after": AT,
    "steps": ["1 hour"],
    "windows": [24],
    "id": 5,
    "ids": [5, 6],
    "newest_id": 24_000,
    "limit": 24,
    "most": 5,
    "fence": 7,
    "dag_id": "d",
    "dag_run_id": "r",
    "settled_before": "2010-01-20",
    "terms": "t",
    "own_version": "2026a",
    "any_campaign": False,
    "campaign_id": None,
    "not_after": [],
    "within": None,
    "window_order": "oldest_planned_first",
    "include_invalidated": False,
    "is_oldest_first": False,
    "statuses": None,
    "deletion_done_ids": [],
    "transitions": '[{"id": 5, "changes": {"fence": 9}, "event": "e", "reason": "", "numbers": {}}]',
    "records": "[]",
    "rows": "[]",
}
LISTS = {"asked_before": ("overdue_windows",), "alerted_after": ("overdue_windows", "overdue_days")}


@pytest.fixture(scope="module")
def ledger(_migrated_template: str, stack_env: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    with database(stack_env["LEDGER_URL"], _migrated_template) as url:
        record_identity(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute(EVENTS.encode())
            connection.execute("VACUUM ANALYZE")
            yield connection


def names() -> list[str]:
    folder = Path(__file__).parents[2] / "include/sql/ledger"
    return sorted(path.stem for path in folder.glob("*.sql"))


def parameters(name: str, text: str) -> dict[str, Any]:
    found = {key: GIVEN.get(key) for key in PARAMETER.findall(text)}
    if name == "find_rows":
        found |= {"dag_id": None}
    return {key: [value] if name in LISTS.get(key, ()) else value for key, value in found.items()}


@pytest.mark.parametrize("name", [name for name in names() if name not in READS_ALL and name not in NO_PLAN])
def test_no_statement_reads_the_whole_ledger(ledger: psycopg.Connection[Any], name: str) -> None:
    fragments = {
        "state_table": quoted("pipeline_lifecycle"),
        "claimable_rows": SqlFragment(sql_text("ledger/claimable_rows")),
        "columns": SqlFragment(',\n    "fence"'),
        "new_values": SqlFragment(',\n    new."fence"'),
    }
    text = fill(statement(f"ledger/{name}"), fragments)
    with ledger.transaction(force_rollback=True):
        explain = sql.SQL("EXPLAIN ").as_string() + text
        plan = [row[0] for row in ledger.execute(explain.encode(), parameters(name, text))]
    assert not [line for line in plan if SCAN.search(line)], plan


@pytest.mark.parametrize("name", ["completeness", "state_groups"])
def test_some_days_of_all_sources_are_found_by_the_index_of_days(ledger: psycopg.Connection[Any], name: str) -> None:
    text = statement(f"ledger/{name}").replace("{state_table}", "pipeline_lifecycle")
    sources = [f"source-{number}" for number in range(20)]
    days = {key: [AT.date()] * 20 for key in ("days", "first_days", "last_days")}
    given = {"sources": sources, **days, "settled": [AT] * 20}
    explain = sql.SQL("EXPLAIN ").as_string() + text
    plan = [row[0] for row in ledger.execute(explain.encode(), {key: given[key] for key in PARAMETER.findall(text)})]
    assert [line for line in plan if "pipeline_lifecycle_day" in line], plan
    assert not [line for line in plan if SCAN.search(line)], plan


def test_a_cycle_of_the_mirror_reads_what_was_changed_since_the_last_one(ledger: psycopg.Connection[Any]) -> None:
    copy = fill(statement("ledger/mirror_rows"), {"texts": SqlFragment("id")})
    rows = copy[copy.index("COPY (") + len("COPY (") : copy.rindex(") TO STDOUT")]
    given = {"pipelines": ["p"], "next_transaction": str(2**40)}
    with ledger.transaction(force_rollback=True), psycopg.ClientCursor(ledger) as cursor:
        cursor.execute("UPDATE pipeline_lifecycle SET priority = 1 WHERE id = 5")
        (present,) = cursor.execute("SELECT PG_CURRENT_XACT_ID()::text").fetchall()[0]
        cursor.execute(f"EXPLAIN (ANALYZE) {rows}".encode(), {**given, "watermark": present})
        plan = [row[0] for row in cursor]
    assert not [line for line in plan if SCAN.search(line)], plan
    (recheck,) = [int(line.split()[-1]) for line in plan if "Rows Removed by Index Recheck" in line]
    assert recheck < 2_000, plan


def test_the_lists_name_statements_that_are_there() -> None:
    assert set(READS_ALL) | set(NO_PLAN) <= set(names())
