"""The CRM's stores in the database of the orders sync."""

from __future__ import annotations

from collections.abc import Iterable

from local_stack.crm.stores import StoreRow
from local_stack.errors import LocalStackError

_UPSERT = """
INSERT INTO store_master (store_code, cost_center, sync_group, start_date, is_active)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (store_code) DO UPDATE SET
    cost_center = excluded.cost_center, sync_group = excluded.sync_group,
    start_date = excluded.start_date, is_active = excluded.is_active
"""


def seed_orders(url: str, rows: Iterable[StoreRow]) -> int:
    """Put stores into `store_master`, or bring those that are there up to date; returns how many.

    Args:
        url: libpq URL of the orders database (`ORDERS_URL`).
        rows: Such as `local_stack.crm.stores.store_master_rows` gives.

    Raises:
        LocalStackError: The table isn't there, or Postgres does not answer.
    """
    import psycopg

    stores = list(rows)
    try:
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            cursor.executemany(_UPSERT, stores)
    except psycopg.errors.UndefinedTable as error:
        raise LocalStackError(
            "The orders database has no table store_master.",
            "Run `python -m include.cli orders migrate`, then seed again.",
        ) from error
    except psycopg.OperationalError as error:
        raise LocalStackError(
            f"The orders database does not answer ({error}).", "Start it with `python -m local_stack up`."
        ) from error
    return len(stores)
