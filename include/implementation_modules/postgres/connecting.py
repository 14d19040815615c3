"""Opens connections to a Postgres: from Airflow's connection, through the provider's hook, or from a URL.

The hook stays in between, because it knows more than libpq does: IAM logins, and which keys of the extra are Airflow's
own.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from typing import Any

from include.implementation_modules.clients import built, require_type
from include.pipeline_framework.errors import ConfigurationError
from include.postgres_server import session

POSTGRES_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 15,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""libpq waits for ever for a host that has vanished; the connection's extra, or the URL, may set another time.

libpq's own variable PGCONNECT_TIMEOUT also counts, if neither of them sets it.
"""

POSTGRES_PRIMARY: dict[str, Any] = {"target_session_attrs": "read-write"}
"""Of several hosts, connect to the one that accepts writes, and to no other; a source may be a standby.

`any` in the connection's extra or the URL lets a person read a standby's ledger; PGTARGETSESSIONATTRS also counts.
"""

_ALWAYS: dict[str, Any] = {"prepare_threshold": None, "client_encoding": "utf8"}
"""psycopg would prepare a statement that it runs for the sixth time.

Behind a pooler, the server of the next transaction doesn't know it, or knows the same name from another client. Here
hardly any statement runs that often in one process. Text is UTF-8, whatever the database's or the worker's own encoding
is.
"""


def connect(connection: Any) -> Callable[[], Any]:
    """Return what opens psycopg 3 connections, not in autocommit, for reading.

    Raises:
        ConfigurationError: It is a connection to something else.
    """
    require_type(connection, "postgres")
    return opener(connection, writes=False)


def connect_to_primary(connection: Any) -> Callable[[], Any]:
    """Return the same for writing: of several hosts, the primary is found.

    Raises:
        ConfigurationError: It is a connection to something else.
    """
    require_type(connection, "postgres")
    return opener(connection, writes=True)


def opener(connection: Any, *, writes: bool) -> Callable[[], Any]:
    """Return the same for either, whatever the connection's type is: a Postgres is expected behind it."""

    def open_it() -> Any:
        newest = copy.copy(connection.get(connection.conn_id))  # a password may have changed since the last time
        newest.conn_type = "postgres"
        newest.extra = json.dumps({**_defaults(writes=writes), **newest.extra_dejson})
        return newest.get_hook(hook_params={"connection": newest}).get_conn()

    def open_and_prepare() -> Any:
        import psycopg

        opened = built(connection.conn_id, open_it, known=(psycopg.Error,))
        return session.prepared(opened, writes=writes)

    return open_and_prepare


def connect_to_url(url: str, *, variable: str, what: str) -> Callable[[], Any]:
    """Return the same for writing by a URL, which needs no Airflow.

    Args:
        url: libpq's.
        variable: Where it stands, for messages.
        what: Begins the sentence "… can't be reached".

    Raises:
        ConfigurationError: It is no URL of a database; the message doesn't quote it.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        parameters: dict[str, Any] | None = {**_defaults(writes=True), **conninfo_to_dict(url)}
    except psycopg.ProgrammingError:
        parameters = None  # raised outside: the error, even as a context, would quote a part of the URL
    if parameters is None:
        raise ConfigurationError(
            f"{variable} is not the address of a Postgres database",
            meaning=f"{what} can't be reached",
            remedy="Write it as postgresql://user:password@host:port/database, special characters percent-encoded.",
        )
    return lambda: session.prepared(psycopg.connect(**parameters), writes=True)


def _defaults(*, writes: bool) -> dict[str, Any]:
    variables = {"PGCONNECT_TIMEOUT": "connect_timeout", "PGTARGETSESSIONATTRS": "target_session_attrs"}
    says_itself = {name for variable, name in variables.items() if os.environ.get(variable)}
    defaults = {**POSTGRES_DEFAULTS, **(POSTGRES_PRIMARY if writes else {}), **_ALWAYS}
    return {name: value for name, value in defaults.items() if name not in says_itself}
