"""Checks the ledger before any window is planned or claimed: reachable, migrated, writable, itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.restoring.ledger_identity import require_recorded
from include.pipeline_framework.core.watching.verdicts import Findings, Verdict
from include.pipeline_framework.errors import PipelineError
from include.postgres_server.checking import Server, looked, opened, require_writes
from include.postgres_server.pooler import is_pooled
from include.sql.migrations import newest

_NEEDED = {
    "pipeline_lifecycle": ("SELECT", "INSERT", "UPDATE"),
    "pipeline_lifecycle_events": ("SELECT", "INSERT"),
    "backfill_campaigns": ("SELECT", "INSERT"),
    "ledger_identity": ("SELECT",),
    "overdue_alerts": ("SELECT", "INSERT"),
    "settled_days": ("SELECT", "INSERT"),
    "state_manager_plans": ("SELECT", "INSERT"),
    "window_revisits": ("SELECT", "INSERT"),
}
_ROLES = "Run include/sql/roles/ledger_roles.sql as the tables' owner, and GRANT ledger_runtime TO the login."


def check(connect: Callable[[], Any], connection_id: str, clock: Callable[[], datetime]) -> Sequence[Verdict]:
    """Look at server, login, version and rights of the ledger; nothing is written.

    Args:
        connect: Opens a connection to the ledger.
        connection_id: Airflow's, or the variable that replaces it, for remedies.
        clock: Returns this machine's present instant, aware.
    """
    found = Findings("ledger")
    if (connection := opened(connect, connection_id, found)) is None:
        return found.verdicts
    with closing(connection):
        server = looked(connection, clock, found)
        if server is None:
            return found.verdicts
        require_writes(server, connection_id, found)
        _session(server, found)
        is_migrated = _version(server, found)
        _rights(server, found)
    if is_migrated:
        _identity(connect, found)
    return found.verdicts


def _session(server: Server, found: Findings) -> None:
    if is_pooled(server.connection, server.backend_pid):
        found.ok("pooler", "a pooler is in between, which the ledger works through in any mode")
    else:
        found.ok("pooler", "no pooler is in between")


def _version(server: Server, found: Findings) -> bool:
    """Return whether the tables are those of this build."""
    wanted = newest()
    try:
        ((present,),) = server.rows("versions")
    except (PipelineError, ValueError):
        said = f"the database {server.database} has no ledger that this login may read"
        found.wrong("migrated", said, "Run `python -m include.cli ledger migrate` as the owner of the tables.")
        return False
    if present == wanted:
        found.ok("migrated", f"version {present}")
        return True
    if present < wanted:
        remedy = "Run `python -m include.cli ledger migrate`, then include/sql/roles/ledger_roles.sql."
    else:
        remedy = "A newer build has migrated the ledger: bring this one up to date, wherever Airflow runs."
    found.wrong("migrated", f"the ledger has version {present}, this build needs {wanted}", remedy)
    return False


def _rights(server: Server, found: Findings) -> None:
    wanted = [(table, privilege) for table, privileges in _NEEDED.items() for privilege in privileges]
    asked = {"tables": [table for table, _ in wanted], "privileges": [privilege for _, privilege in wanted]}
    rows = found.attempt("may write", lambda: server.rows("missing_privileges", asked))
    if rows is None:
        return
    if missing := list(dict.fromkeys(text for (text,) in rows if not text.endswith(" exists"))):
        found.wrong("may write", f"{server.login} lacks: {', '.join(missing)}", _ROLES)
    elif not rows:
        found.ok("may write", f"{server.login} may read and write every table that a run needs")


def _identity(connect: Callable[[], Any], found: Findings) -> None:
    store = PostgresLifecycleStore(connect)
    try:
        require_recorded(store.identity())
    except PipelineError as error:
        found.refused("recorded", error)
    else:
        found.ok("recorded", "it is the database that was recorded: neither failed over, restored nor copied")
    finally:
        store.close()
