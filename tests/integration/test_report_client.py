"""The report client and the local stack's CRM as Airflow's connections name them, and the stores in store_master."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import psycopg
import pytest

from include.orders_sync.adapters.http_report_client import HttpReportClient
from include.orders_sync.config import HttpSettings, load_config
from include.orders_sync.core.reports import REPORTS, check_report
from include.wiring.connections import http_settings
from local_stack.__main__ import main
from local_stack.crm.control import CrmControl
from local_stack.crm.stores import StoreRow
from local_stack.errors import LocalStackError
from local_stack.orders import seed_orders
from tests.orders_reports import whole_report

pytestmark = pytest.mark.integration

FROM, TO = date(2026, 2, 1), date(2026, 3, 15)
SELECT = "SELECT store_code, cost_center, sync_group, start_date, is_active FROM store_master ORDER BY store_code"


@pytest.fixture
def control(stack_env: dict[str, str]) -> Iterator[CrmControl]:
    """The CRM with its clock at noon of the last date, and its usual data afterwards."""
    control = CrmControl(stack_env["CRM_URL"], stack_env["CRM_CONTROL_TOKEN"])
    before = control.data()
    control.data(today=TO)
    control.clock("2026-03-15T12:00:00+05:30")
    yield control
    control.no_faults()
    control.clock(None)
    control.data(**{**before, "today": date.fromisoformat(before["today"])})


def store_row(row: dict[str, Any]) -> StoreRow:
    return StoreRow(**{**row, "start_date": date.fromisoformat(row["start_date"])})


@pytest.mark.parametrize("pipeline", REPORTS)
def test_every_report_of_a_pipeline_is_pulled_through_its_connection(pipeline: str, control: CrmControl) -> None:
    store_code = next(store["store_code"] for store in control.stores() if store["sync_group"] == "ALL")
    control.random_faults(rate=0.2, seed=11)
    dates: dict[str, Any] = {"store_code": store_code, "from_date": FROM, "to_date": TO}
    http = HttpSettings(page_size=100, timeout_seconds=0.5, max_tries=15)
    connection = http_settings(getattr(load_config().connections, pipeline))
    with HttpReportClient(
        **connection, reports=load_config().reports[pipeline], http=http, sleep=lambda _seconds: None
    ) as client:
        for schema in REPORTS[pipeline]:
            raw = whole_report(client, schema.name, **dates)
            wanted = control.truth(schema.name, store_code, FROM, TO)
            got = check_report(schema, raw.columns, raw.rows, **dates, timezone="Asia/Kolkata")
            assert got == check_report(schema, wanted["columns"], wanted["rows"], **dates, timezone="Asia/Kolkata")
            assert len(got) == wanted["count"] > 100


def test_clients_and_control_have_different_secrets(stack_env: dict[str, str]) -> None:
    connections = [json.loads(stack_env[f"AIRFLOW_CONN_CRM_{system}"]) for system in ("TD", "UC")]
    secrets = {*(connection["password"] for connection in connections), stack_env["CRM_CONTROL_TOKEN"]}
    assert len(secrets) == 3
    assert httpx.get(f"{stack_env['CRM_URL']}/control/log", trust_env=False).status_code == 401


def test_the_orders_role_owns_its_database(stack_env: dict[str, str]) -> None:
    with psycopg.connect(stack_env["ORDERS_URL"]) as connection:
        query = (
            "SELECT current_database(), current_user, pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'orders'"
        )
        assert connection.execute(query).fetchone() == ("orders", "orders", "orders")


def test_stores_of_the_crm_are_seeded_and_brought_up_to_date(orders_url: str, control: CrmControl) -> None:
    rows = sorted(map(store_row, control.stores()))
    with psycopg.connect(orders_url, autocommit=True) as connection:
        assert seed_orders(orders_url, rows) == 48
        assert connection.execute(SELECT).fetchall() == rows
        connection.execute("UPDATE store_master SET is_active = NOT is_active, start_date = '2020-01-01'")
        seed_orders(orders_url, rows)
        assert connection.execute(SELECT).fetchall() == rows


def test_the_command_seeds_the_stacks_own_database(stack_env: dict[str, str], control: CrmControl) -> None:
    assert main(["seed-stores"]) == 0
    with psycopg.connect(stack_env["ORDERS_URL"]) as connection:
        assert set(map(store_row, control.stores())) <= set(connection.execute(SELECT).fetchall())


def test_seeding_without_the_table_says_what_to_run(scratch_postgres_url: str) -> None:
    with pytest.raises(LocalStackError, match="orders migrate"):
        seed_orders(scratch_postgres_url, [StoreRow("S1", "C1", "TD", FROM, True)])
