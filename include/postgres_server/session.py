"""Sets what every session with a Postgres relies on, whatever the defaults of server, database or role."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from include.sql import statement

_NOTHING: Mapping[str, str] = {}


def set_up(connection: Any, *, is_local: bool = False, others: Mapping[str, str] = _NOTHING) -> None:
    """Set what `include/sql/postgres_session/set_up.sql` lists.

    Args:
        connection: A psycopg 3 connection.
        is_local: Set it for the running transaction only; else for the session.
        others: Further settings.
    """
    # a plain cursor: the connection's own kind may bind or return differently
    parameters = {"is_local": is_local, "others": json.dumps(dict(others))}
    connection.execute(statement("postgres_session/set_up").encode(), parameters)


def prepared(connection: Any, *, writes: bool) -> Any:
    """Return a new connection, ready to use, not in autocommit; writers see what others have committed meanwhile."""
    from psycopg import IsolationLevel

    connection.autocommit = True
    set_up(connection)
    connection.autocommit = False
    if writes:  # also for a pooler that gives each transaction to another session
        connection.isolation_level = IsolationLevel.READ_COMMITTED
    return connection
