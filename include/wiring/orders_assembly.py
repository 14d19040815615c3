"""Creates working ports from the orders sync's connections and settings, when a task or a command runs."""

from __future__ import annotations

from functools import partial

from include.orders_sync.config import OrdersConfig, load_config
from include.orders_sync.core.pipelines import TD, UC
from include.orders_sync.ports import OpenDatabase, ReportClient
from include.wiring import connections


def config() -> OrdersConfig:
    """Return the settings of `include/orders_sync/config.yaml`."""
    return load_config()


def open_database(settings: OrdersConfig) -> OpenDatabase:
    """Return what opens sessions with the orders database."""
    from include.orders_sync.adapters.postgres_orders import PostgresOrders

    return partial(PostgresOrders, connections.orders_connect(settings.connections.orders))


def clients(settings: OrdersConfig, pipelines: tuple[str, ...] = (TD, UC)) -> dict[str, ReportClient]:
    """Return one client per pipeline; several threads may use each."""
    from include.orders_sync.adapters.http_report_client import HttpReportClient

    ids = {TD: settings.connections.td_orders_sync, UC: settings.connections.uc_orders_sync}
    return {
        pipeline: HttpReportClient(
            **connections.http_settings(ids[pipeline]), reports=settings.reports[pipeline], http=settings.http
        )
        for pipeline in pipelines
    }


def migrate(settings: OrdersConfig) -> str:
    """Bring the orders database up to date; return its version."""
    from include.sql.migrations import ORDERS
    from include.sql.migrations import migrate as migrate_schema

    version = migrate_schema(connections.orders_connect(settings.connections.orders), ORDERS)
    database = open_database(settings)("orders migrate")
    try:
        database.keep_zone(settings.pipeline_timezone)
    finally:
        database.close()
    return version
