"""The orders sync's migrations adopt what is there, or say why they can't."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from typing import Any

import psycopg
import pytest

from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.core.pipelines import TD, UC, Store
from include.orders_sync.core.windows import LogRow
from include.pipeline_framework.errors import ConfigurationError
from include.sql.migrations import ORDERS, migrate
from tests.orders_world import query

pytestmark = pytest.mark.integration

DAY = date(2026, 1, 6)


def test_migrating_twice_changes_nothing(scratch_postgres_url: str) -> None:
    def connect() -> Any:
        return psycopg.connect(scratch_postgres_url)

    assert migrate(connect, ORDERS) == migrate(connect, ORDERS) == "0002"
    assert query(scratch_postgres_url, "SELECT version_num FROM orders_sync_version") == [{"version_num": "0002"}]


THEIRS = """
CREATE TABLE pipelines (id SERIAL PRIMARY KEY, code TEXT UNIQUE, description TEXT);
INSERT INTO pipelines (code, description) VALUES ('other', 'x'), ('td_orders_sync', 'theirs');
CREATE TABLE pipeline_run_summaries (run_id VARCHAR(64) PRIMARY KEY, pipeline_name TEXT, metrics JSONB);
INSERT INTO pipeline_run_summaries VALUES ('old', 'td_orders_sync', '{}');
CREATE TABLE store_master (id SERIAL, store_code VARCHAR(8), is_active BOOLEAN, city TEXT);
INSERT INTO store_master (store_code, is_active, city) VALUES ('S001', TRUE, 'Pune');
CREATE TABLE orders_sync_log (
    id BIGSERIAL PRIMARY KEY, pipeline_id BIGINT NOT NULL, run_id VARCHAR(64) NOT NULL, run_env VARCHAR(32) NOT NULL,
    store_code VARCHAR(8) NOT NULL, from_date DATE NOT NULL, to_date DATE NOT NULL, status VARCHAR(16) NOT NULL
);
INSERT INTO orders_sync_log (pipeline_id, run_id, run_env, store_code, from_date, to_date, status)
VALUES (2, 'old', 'prod', 'S001', '2026-01-01', '2026-01-05', 'success');
"""


def test_tables_that_are_there_are_kept_with_their_rows(scratch_postgres_url: str) -> None:
    query(scratch_postgres_url, THEIRS)
    migrate(lambda: psycopg.connect(scratch_postgres_url), ORDERS)
    assert query(scratch_postgres_url, "SELECT city, sync_group FROM store_master") == [
        {"city": "Pune", "sync_group": None}
    ]
    codes = query(scratch_postgres_url, "SELECT code, description FROM pipelines ORDER BY id")
    assert [tuple(row.values()) for row in codes] == [("other", "x"), (TD, "theirs"), (UC, None)]
    with closing(PostgresOrders(lambda: psycopg.connect(scratch_postgres_url), "new")) as session:
        first, last = date(2026, 1, 1), date(2026, 1, 5)
        covered = [LogRow(first, last, "success", pulled_on=first), LogRow(first, last, "success")]
        assert session.coverage({"S001": DAY}, "Asia/Kolkata") == {(TD, "S001"): covered}
        session.start_run("new", TD, "test", DAY)
        session.start_window(TD, Store("S001", DAY), DAY, DAY, run_id="new", run_env="test")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        query(
            scratch_postgres_url,
            "INSERT INTO orders_sync_log (pipeline_id, run_id, run_env, store_code, from_date, to_date, status)"
            " VALUES (99, 'old', 'x', 'S001', '2026-01-01', '2026-01-01', 'failed')",
        )


def test_a_log_of_the_version_before_keeps_what_it_covers(scratch_postgres_url: str) -> None:
    """Days that were pulled only while they went on are known afterwards, whatever the zone."""
    first = (ORDERS / "versions" / "0001_orders_sync.sql").read_text()
    with psycopg.connect(scratch_postgres_url, autocommit=True) as connection:
        connection.execute(first.encode())
        connection.execute("CREATE TABLE orders_sync_version (version_num VARCHAR(32) PRIMARY KEY)")
        connection.execute("INSERT INTO orders_sync_version VALUES ('0001')")
        connection.execute(
            "INSERT INTO pipeline_run_summaries (run_id, pipeline_name, run_env, started_at, overall_status)"
            " VALUES ('old', 'x', 'x', now(), 'success')"
        )
        connection.execute(
            "INSERT INTO orders_sync_log"
            " (pipeline_id, run_id, run_env, store_code, from_date, to_date, status, created_at)"
            " SELECT id, 'old', 'x', 'S001', '2026-01-01', '2026-01-05', 'success', '2026-01-04T20:00:00Z'"
            " FROM pipelines WHERE code = 'td_orders_sync'"
        )

    def whole(timezone: str) -> list[Any]:
        with closing(PostgresOrders(lambda: psycopg.connect(scratch_postgres_url), "new")) as session:
            rows = session.coverage({"S001": DAY}, timezone)[TD, "S001"]
            return [row.to_date.day for row in rows if row.last_whole_day >= row.from_date]

    assert migrate(lambda: psycopg.connect(scratch_postgres_url), ORDERS) == "0002"
    for kept in ("", "Asia/Kolkata", "UTC"):
        if kept:
            with closing(PostgresOrders(lambda: psycopg.connect(scratch_postgres_url), "new")) as session:
                session.keep_zone(kept)
        assert (whole("Asia/Kolkata"), whole("UTC")) == ([4], [3])


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ("CREATE TABLE td_orders (store_code TEXT, order_number TEXT)", r"td_orders\.order_date.*rename your table"),
        (
            "CREATE TABLE pipelines (id SERIAL, code TEXT); INSERT INTO pipelines (code) VALUES ('a'), ('a')",
            r"rows of pipelines are not unique.*Remove the duplicates",
        ),
        (
            "CREATE TABLE pipelines (id SERIAL PRIMARY KEY, code TEXT UNIQUE, owner TEXT NOT NULL)",
            r"takes none with a code alone.*Insert both rows by hand",
        ),
        (
            "CREATE TABLE pipeline_run_summaries (run_id VARCHAR(36) PRIMARY KEY, created_by TEXT NOT NULL)",
            r"created_by \(NOT NULL, no default\), .*run_id \(shorter than 64 characters\).*Give these columns",
        ),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_changed(scratch_postgres_url: str, theirs: str, told: str) -> None:
    query(scratch_postgres_url, theirs)
    before = query(scratch_postgres_url, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    with pytest.raises(ConfigurationError, match=told):
        migrate(lambda: psycopg.connect(scratch_postgres_url), ORDERS)
    after = query(scratch_postgres_url, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    assert {row["relname"] for row in after} - {row["relname"] for row in before} <= {
        "orders_sync_version", "orders_sync_version_pkc"
    }  # fmt: skip
