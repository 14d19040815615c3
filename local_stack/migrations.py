"""Brings the tables of ledger and orders sync up to date, as `python -m include.cli ledger|orders migrate` does."""

from __future__ import annotations

import threading

from local_stack.environment import environment
from local_stack.errors import LocalStackError
from local_stack.home import Home

_ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps what it is working on in the module."""


def migrate(home: Home) -> None:
    """Migrate both databases of the stack's Postgres, in this process: two more would take longer to start than this.

    Raises:
        LocalStackError: A migration failed; its database is as it was.
    """
    import psycopg

    from include.pipeline_framework.errors import PipelineError
    from include.sql.migrations import LEDGER, ORDERS
    from include.sql.migrations import migrate as bring_up_to_date

    variables = environment(home)
    for name, scripts in (("LEDGER", LEDGER), ("ORDERS", ORDERS)):
        url = variables[f"{name}_URL"]
        try:
            with _ONE_AT_A_TIME:
                bring_up_to_date(lambda url=url: psycopg.connect(url), scripts)  # type: ignore[misc]
        except (PipelineError, psycopg.Error) as error:
            raise LocalStackError(
                f"`python -m include.cli {name.lower()} migrate` would fail: {error}",
                "Postgres runs; mend the migration and run `python -m local_stack up` again.",
            ) from error
