"""Requirement 5's tables, and what the database keeps by itself."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.core.pipelines import TD, UC, Store, SyncStatus
from include.orders_sync.core.reports import TD_ORDERS, BadReportError
from include.orders_sync.core.runs import store_lock
from include.orders_sync.core.windows import LogRow
from include.orders_sync.ports import TypedPage
from include.pipeline_framework.errors import ConfigurationError, IncompleteExtractError
from tests.orders_world import query

pytestmark = pytest.mark.integration

STORE = Store("S001", date(2026, 1, 1), "ALL", "CC01")
RUN = "td_orders_sync-20260106T000000Z-0123456789ab"
DAY = date(2026, 1, 6)


@pytest.fixture
def orders(orders_url: str) -> Iterator[PostgresOrders]:
    session = PostgresOrders(lambda: psycopg.connect(orders_url), RUN)
    session.start_run(RUN, TD, "test", DAY)
    yield session
    session.close()


def begin(orders: PostgresOrders, pipeline: str = TD, first: date = DAY, last: date = DAY, run: str = RUN) -> int:
    return orders.start_window(pipeline, STORE, first, last, run_id=run, run_env="test")


# requirement 5, A -----------------------------------------------------------------------------------------------------


def test_orders_sync_log_has_exactly_the_columns_of_the_requirement(orders_url: str) -> None:
    found = query(
        orders_url,
        "SELECT column_name AS name, data_type AS type, character_maximum_length AS longest, is_nullable,"
        " column_default FROM information_schema.columns WHERE table_name = 'orders_sync_log'"
        " ORDER BY ordinal_position",
    )
    text, instant = "character varying", "timestamp with time zone"
    assert [(row["name"], row["type"], row["longest"], row["is_nullable"]) for row in found] == [
        ("id", "bigint", None, "NO"),
        ("pipeline_id", "bigint", None, "NO"),
        ("run_id", text, 64, "NO"),
        ("run_env", text, 32, "NO"),
        ("cost_center", text, 8, "YES"),
        ("store_code", text, 8, "NO"),
        ("from_date", "date", None, "NO"),
        ("to_date", "date", None, "NO"),
        ("orders_pulled_at", instant, None, "YES"),
        ("sales_pulled_at", instant, None, "YES"),
        ("status", text, 16, "NO"),
        ("attempt_no", "integer", None, "NO"),
        ("error_message", "text", None, "YES"),
        ("created_at", instant, None, "NO"),
        ("updated_at", instant, None, "NO"),
    ]
    defaults = {row["name"]: row["column_default"] for row in found if row["column_default"]}
    assert defaults["attempt_no"] == "1"
    assert defaults["created_at"] == defaults["updated_at"] == "now()"


def test_orders_sync_log_has_the_indexes_and_keys_of_the_requirement(orders_url: str) -> None:
    found = query(orders_url, "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'orders_sync_log'")
    shown = {row["indexname"]: row["indexdef"].partition(" USING btree ")[2] for row in found}
    assert shown == {
        "orders_sync_log_pkey": "(id)",
        "uq_orders_sync_log_window": "(pipeline_id, store_code, from_date, to_date, run_id)",
        "ix_orders_sync_log_lookup": "(pipeline_id, store_code, from_date, to_date, status)",
        "ix_orders_sync_log_store_recent": "(store_code, created_at DESC)",
        "ix_orders_sync_log_pipeline_recent": "(pipeline_id, created_at DESC)",
    }
    keys = query(
        orders_url,
        "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint"
        " WHERE conrelid = 'orders_sync_log'::regclass AND contype = 'f'",
    )
    assert {row["text"] for row in keys} == {
        "FOREIGN KEY (pipeline_id) REFERENCES pipelines(id)",
        "FOREIGN KEY (run_id) REFERENCES pipeline_run_summaries(run_id)",
    }


def test_updated_at_follows_every_update_whoever_makes_it(orders: PostgresOrders, orders_url: str) -> None:
    begin(orders)
    (before,) = query(orders_url, "SELECT created_at, updated_at FROM orders_sync_log")
    query(orders_url, "UPDATE orders_sync_log SET error_message = 'by hand', updated_at = '2000-01-01'")
    (after,) = query(orders_url, "SELECT created_at, updated_at FROM orders_sync_log")
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["updated_at"]


def test_the_pipelines_are_there_and_their_ids_are_looked_up_by_code(orders: PostgresOrders, orders_url: str) -> None:
    found = {row["code"]: row["id"] for row in query(orders_url, "SELECT id, code FROM pipelines")}
    assert set(found) == {TD, UC}
    begin(orders, UC)
    assert query(orders_url, "SELECT pipeline_id FROM orders_sync_log") == [{"pipeline_id": found[UC]}]


def test_a_missing_pipeline_is_told(orders: PostgresOrders, orders_url: str) -> None:
    query(orders_url, "DELETE FROM pipelines WHERE code = 'uc_orders_sync'")
    with pytest.raises(ConfigurationError, match=r"uc_orders_sync.*orders migrate"):
        orders.pipeline_ids()


# windows --------------------------------------------------------------------------------------------------------------


def test_the_same_window_in_the_same_run_is_one_row_and_counts_its_attempts(
    orders: PostgresOrders, orders_url: str
) -> None:
    first = begin(orders)
    orders.end_window(first, SyncStatus.FAILED, "no")
    assert begin(orders) == first
    (row,) = query(orders_url, "SELECT status, attempt_no, error_message FROM orders_sync_log")
    assert row == {"status": "running", "attempt_no": 2, "error_message": None}
    orders.start_run("another", TD, "test", DAY)
    assert begin(orders, run="another") != first
    assert begin(orders, UC, run="another") not in (first, None)
    found = query(orders_url, "SELECT attempt_no FROM orders_sync_log ORDER BY id")
    assert [row["attempt_no"] for row in found] == [2, 3, 1]


def report(*rows: tuple[str, str]) -> list[tuple[Any, ...]]:
    """Orders of the day: number and net amount."""
    at = datetime(2026, 1, 6, 9, tzinfo=UTC)
    return [
        (DAY, number, at, None, "open", 1, Decimal(amount), Decimal(0), Decimal(amount), None)
        for number, amount in rows
    ]


def save(orders: PostgresOrders, log_id: int, *rows: tuple[str, str], run: str = RUN) -> tuple[int, int, int]:
    saved = orders.save_report(
        TD_ORDERS,
        [TypedPage(1, report(*rows))],
        log_id=log_id,
        run_id=run,
        store_code="S001",
        from_date=DAY,
        to_date=DAY,
    )
    return saved.inserted, saved.updated, saved.vanished


def test_a_report_is_upserted_by_its_key_and_what_vanished_is_flagged(orders: PostgresOrders, orders_url: str) -> None:
    log_id = begin(orders)
    assert save(orders, log_id, ("A", "10"), ("B", "20")) == (2, 0, 0)
    before = query(orders_url, "SELECT * FROM td_orders ORDER BY order_number")
    orders.start_run("second", TD, "test", DAY)
    assert save(orders, log_id, ("B", "20.00"), ("A", "10"), run="second") == (0, 0, 0)
    assert query(orders_url, "SELECT * FROM td_orders ORDER BY order_number") == before  # nothing was touched
    assert save(orders, log_id, ("B", "25"), ("C", "5"), run="second") == (1, 1, 1)
    found = query(
        orders_url, "SELECT order_number, net_amount, is_vanished_flag, vanished_at, run_id FROM td_orders ORDER BY 1"
    )
    assert [(row["order_number"], row["net_amount"], row["is_vanished_flag"], row["run_id"]) for row in found] == [
        ("A", Decimal(10), True, "second"),
        ("B", Decimal(25), False, "second"),
        ("C", Decimal(5), False, "second"),
    ]
    assert [row["vanished_at"] is not None for row in found] == [True, False, False]
    assert save(orders, log_id, ("A", "10"), ("B", "25"), ("C", "5")) == (0, 1, 0)  # it is back
    assert not any(row["is_vanished_flag"] for row in query(orders_url, "SELECT is_vanished_flag FROM td_orders"))


def save_pages(orders: PostgresOrders, pages: Iterable[TypedPage]) -> tuple[int, int, int]:
    of: dict[str, Any] = {"run_id": RUN, "store_code": "S001", "from_date": DAY, "to_date": DAY}
    saved = orders.save_report(TD_ORDERS, pages, log_id=begin(orders), **of)
    return saved.rows, saved.inserted, saved.updated


def test_a_page_that_begins_the_report_again_makes_the_earlier_ones_void(
    orders: PostgresOrders, orders_url: str
) -> None:
    pages = [
        TypedPage(1, report(("A", "1"), ("B", "1"))),
        TypedPage(3, report(("C", "1"))),
        TypedPage(1, report(("B", "2"), ("D", "1"))),
        TypedPage(3, report(("E", "1"))),
    ]
    assert save_pages(orders, pages) == (3, 3, 0)
    found = query(orders_url, "SELECT order_number, net_amount FROM td_orders ORDER BY 1")
    assert [(row["order_number"], row["net_amount"]) for row in found] == [("B", 2), ("D", 1), ("E", 1)]


def test_a_report_that_turns_out_incomplete_after_its_pages_leaves_nothing(
    orders: PostgresOrders, orders_url: str
) -> None:
    assert save_pages(orders, [TypedPage(1, report(("A", "1")))]) == (1, 1, 0)

    def pages() -> Iterator[TypedPage]:
        yield TypedPage(1, report(("A", "9"), ("B", "9")))
        raise IncompleteExtractError("the pages have 2 rows together, and the CRM says that there are 3")

    with pytest.raises(IncompleteExtractError, match="2 rows together"):
        save_pages(orders, pages())
    found = query(orders_url, "SELECT order_number, net_amount, is_vanished_flag FROM td_orders")
    assert found == [{"order_number": "A", "net_amount": Decimal(1), "is_vanished_flag": False}]
    assert save_pages(orders, [TypedPage(1, report(("C", "1")))]) == (1, 1, 0)  # nothing of it is left behind
    kept = query(orders_url, "SELECT order_number FROM td_orders WHERE NOT is_vanished_flag")
    assert kept == [{"order_number": "C"}]


def test_a_row_twice_counts_once_and_one_key_with_two_contents_is_refused(
    orders: PostgresOrders, orders_url: str
) -> None:
    """On whichever pages they are."""
    twice = [TypedPage(1, report(("A", "1"), ("A", "1.00"))), TypedPage(3, report(("B", "1"), ("A", "1")))]
    assert save_pages(orders, twice)[1] == 2
    pages = [*twice, TypedPage(5, report(("B", "2"))), TypedPage(6, report(("A", "7")))]
    with pytest.raises(BadReportError, match="row 5, column 'order_number' is 'B' like row 3") as caught:
        save_pages(orders, pages)
    assert caught.value.where == f"store S001, report orders, {DAY} to {DAY}"
    assert [row["net_amount"] for row in query(orders_url, "SELECT net_amount FROM td_orders")] == [1, 1]


def test_only_the_days_and_the_store_of_the_report_lose_rows(orders: PostgresOrders, orders_url: str) -> None:
    log_id = begin(orders)
    save(orders, log_id, ("A", "10"))
    query(
        orders_url,
        "INSERT INTO td_orders (store_code, order_number, order_date, ordered_at, order_status, pieces, gross_amount,"
        " discount_amount, net_amount, run_id) SELECT c, n, d::date, d::timestamptz, 'open', 1, 1, 0, 1, 'x'"
        " FROM (VALUES ('S001', 'before', '2026-01-05'), ('S001', 'after', '2026-01-07'), ('S002', 'A', '2026-01-06'))"
        " AS v (c, n, d)",
    )
    assert save(orders, log_id) == (0, 0, 1)
    vanished = query(orders_url, "SELECT store_code, order_number FROM td_orders WHERE is_vanished_flag")
    assert vanished == [{"store_code": "S001", "order_number": "A"}]


def test_a_report_that_fails_half_way_leaves_nothing(orders: PostgresOrders, orders_url: str) -> None:
    log_id = begin(orders)
    rows = [*report(("A", "10")), (DAY, "B")]
    with pytest.raises(ConfigurationError, match="refuses a row"):
        orders.save_report(
            TD_ORDERS, [TypedPage(1, rows)], log_id=log_id, run_id=RUN, store_code="S001", from_date=DAY, to_date=DAY
        )
    assert query(orders_url, "SELECT 1 FROM td_orders") == []
    assert query(orders_url, "SELECT orders_pulled_at FROM orders_sync_log") == [{"orders_pulled_at": None}]
    assert save(orders, log_id, ("A", "10")) == (1, 0, 0)  # the session goes on
    assert query(orders_url, "SELECT orders_pulled_at FROM orders_sync_log")[0]["orders_pulled_at"] is not None


# locks ----------------------------------------------------------------------------------------------------------------


def test_a_table_that_refuses_a_row_is_told_without_the_row(orders: PostgresOrders, orders_url: str) -> None:
    """An adopted table may be narrower than the CRM's values, which are a customer's."""
    query(orders_url, "ALTER TABLE td_orders ADD tenant TEXT NOT NULL")
    with pytest.raises(ConfigurationError, match=r"td_orders refuses a row .*23502, column tenant"):
        save(orders, begin(orders), ("A", "10"))
    query(orders_url, "ALTER TABLE td_orders DROP tenant, ALTER order_number TYPE VARCHAR(3)")
    with pytest.raises(ConfigurationError, match="StringDataRightTruncation, 22001") as refused:
        save(orders, begin(orders), ("7" * 20, "10"))
    assert "7777" not in "".join(traceback.format_exception(refused.value))
    assert query(orders_url, "SELECT 1 FROM td_orders") == []


def test_a_lock_goes_with_its_connection_and_its_holder_has_a_name(orders: PostgresOrders, orders_url: str) -> None:
    other = PostgresOrders(lambda: psycopg.connect(orders_url), "another run")
    assert other.try_lock(store_lock("S001"))
    assert not orders.try_lock(store_lock("S001"))
    assert orders.try_lock(store_lock("S002"))
    assert str(orders.holder(store_lock("S001"))).startswith("another run (process ")
    assert orders.holder(store_lock("S003")) is None
    other.close()
    for _ in range(100):
        if orders.try_lock(store_lock("S001")):
            break
        threading.Event().wait(0.02)
    else:
        pytest.fail("the lock outlived its connection")


# what the log covers --------------------------------------------------------------------------------------------------

_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["insert", "insert", "update", "delete", "end"]),
        st.integers(1, 20),
        st.integers(0, 6),
        st.sampled_from(["success", "success", "failed", "running", "partial"]),
        st.sampled_from(["S001", "S002"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_CHANGES)
def test_coverage_is_always_the_union_of_the_successes(orders_url: str, changes: list[Any]) -> None:
    with psycopg.connect(orders_url, autocommit=True) as connection:
        connection.execute("TRUNCATE orders_sync_log")
        connection.execute(
            "INSERT INTO pipeline_run_summaries (run_id, pipeline_name, run_env, started_at, overall_status)"
            " SELECT 'r' || n, 'x', 'test', now(), 'running' FROM generate_series(0, 12) AS n ON CONFLICT DO NOTHING"
        )
        for number, (kind, first, length, status, store) in enumerate(changes):
            bounds = (f"2026-01-{first:02}", f"2026-01-{first + length:02}")
            if kind == "insert":
                connection.execute(
                    "INSERT INTO orders_sync_log (pipeline_id, run_id, run_env, store_code, from_date, to_date, status)"
                    " SELECT p.id, %s, 'test', %s, %s, %s, %s FROM pipelines AS p",
                    (f"r{number}", store, *bounds, status),
                )
            elif kind == "update":
                connection.execute(
                    "UPDATE orders_sync_log SET from_date = %s, to_date = %s, status = %s WHERE store_code = %s"
                    " AND id %% 2 = 0",
                    (*bounds, status, store),
                )
            elif kind == "end":
                connection.execute("UPDATE orders_sync_log SET status = %s WHERE store_code = %s", (status, store))
            else:
                connection.execute(
                    "DELETE FROM orders_sync_log WHERE store_code = %s AND from_date < %s", (store, bounds[0])
                )
        kept = connection.execute(
            "SELECT pipeline_id, store_code, covered::text FROM orders_sync_coverage WHERE NOT isempty(covered)"
            " ORDER BY 1, 2"
        ).fetchall()
        true = connection.execute(
            "SELECT pipeline_id, store_code, range_agg(daterange(from_date, to_date, '[]'))::text FROM orders_sync_log"
            " WHERE status = 'success' GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        assert kept == true


def test_a_lost_success_beside_a_new_one_in_another_transaction(orders_url: str) -> None:
    """The one who takes a success away must see the success that another has just committed."""
    query(
        orders_url,
        "INSERT INTO pipeline_run_summaries (run_id, pipeline_name, run_env, started_at, overall_status)"
        " VALUES ('a', 'x', 't', now(), 'x'), ('b', 'x', 't', now(), 'x')",
    )
    insert = (
        "INSERT INTO orders_sync_log (pipeline_id, run_id, run_env, store_code, from_date, to_date, status)"
        " SELECT id, %s, 't', 'S001', %s, %s, 'success' FROM pipelines WHERE code = 'td_orders_sync'"
    )
    query(orders_url, insert, "a", "2026-01-01", "2026-01-05")
    with psycopg.connect(orders_url) as adding, psycopg.connect(orders_url) as removing:
        adding.execute(insert.encode(), ("b", "2026-01-04", "2026-01-09"))
        waits = threading.Thread(
            target=lambda: removing.execute("UPDATE orders_sync_log SET status = 'failed' WHERE run_id = 'a'")
        )
        waits.start()
        threading.Event().wait(0.3)
        assert waits.is_alive()
        adding.commit()
        waits.join(10)
        removing.commit()
    covered = query(orders_url, "SELECT covered::text AS covered FROM orders_sync_coverage")
    assert covered == [{"covered": "{[2026-01-04,2026-01-10)}"}]


def test_coverage_reads_as_success_rows(orders: PostgresOrders) -> None:
    for pipeline, first, last in ((TD, 1, 3), (TD, 4, 6), (TD, 6, 6), (UC, 2, 2)):
        log_id = begin(orders, pipeline, date(2026, 1, first), date(2026, 1, last))
        orders.end_window(log_id, SyncStatus.SUCCESS, None)
    for zone in ("", "Asia/Kolkata", "America/New_York"):  # no zone is kept, the one that is asked for, another one
        if zone:
            orders.keep_zone(zone)
        found = orders.coverage(dict.fromkeys(["S001", "S002"], DAY), "Asia/Kolkata")
        first, second = date(2026, 1, 1), date(2026, 1, 2)
        assert found == {
            (TD, "S001"): [
                LogRow(first, DAY, "success", pulled_on=first),
                LogRow(DAY, DAY, "success", pulled_on=DAY),
                LogRow(first, DAY, "success"),
            ],
            (UC, "S001"): [LogRow(second, second, "success", pulled_on=second), LogRow(second, second, "success")],
        }
