"""Gives adapters their clients, by the ids of Airflow's connections, in which the credentials stay."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlsplit

from include.implementation_modules.clients import built, require_type
from include.implementation_modules.postgres.connecting import connect_to_url, opener
from include.implementation_modules.registry import CONNECTS, known_connect
from include.pipeline_framework.errors import ConfigurationError, ConnectionMissingError
from include.postgres_server import pooler as postgres_pooler
from include.sql import statement

if TYPE_CHECKING:
    from include.pipeline_framework.core.watching.production import Exposure
    from include.pipeline_framework.ports.airflow_runs import AirflowRuns
    from include.pipeline_framework.ports.checking import AirflowState

LEDGER_CONNECTION_ID = "lifecycle_postgres"
AIRFLOW_CONNECTION_ID = "airflow_api"
OPERATOR_CONNECTION_ID = "airflow_operator"
"""Connections of type `http` to Airflow's own API: host, port, schema; login and password, or a token as password. The
first one's user looks, the second one's may also start runs.
"""


def client(connection_id: str | None, *, writes: bool = False, connect: Callable[[Any], Any] | None = None) -> Any:
    """Return what an adapter gets injected; None without a connection (for example, for a local path as stage).

    Args:
        connection_id: Airflow's.
        writes: A Postgres has to accept writes, so that of several hosts the primary is found.
        connect: Makes the client from Airflow's connection: the adapter's own `connect`. Without it the connection's
            type decides, see `registry.known_connect`.

    Raises:
        ConfigurationError: There is no such connection, it is another system's, or its type is unknown here and the
            adapter has no `connect`.
    """
    if connection_id is None:
        return None
    connection = _connection(connection_id)
    connect = connect or known_connect(connection.conn_type, writes=writes)
    if connect is None:
        raise ConfigurationError(
            f"connection {connection_id!r} has type {connection.conn_type!r}",
            remedy=f"Use one of {', '.join(sorted(CONNECTS))}, or give the adapter's class a function "
            "`connect(connection)` that makes its client.",
        )
    return built(connection_id, partial(connect, connection))


def connection_type(connection_id: str) -> str:
    """Return the type of an Airflow connection, as Airflow names it.

    Raises:
        ConfigurationError: There is no such connection, or it can't be read.
    """
    return str(_connection(connection_id).conn_type)


def ledger_connect() -> Callable[[], Any]:
    """Return what opens connections to the ledger: `LEDGER_URL` if it is set, else the connection `lifecycle_postgres`.

    The URL is for the command line, which then needs no Airflow and starts in a fraction of the time.
    """
    from psycopg.rows import tuple_row

    connect = _postgres_of("LEDGER_URL", LEDGER_CONNECTION_ID, "The ledger")

    def connect_and_set_up() -> Any:
        connection = connect()
        connection.autocommit = True
        with connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(statement("ledger/set_up_session"), {"backend_pid": connection.info.backend_pid})
            postgres_pooler.note(connection, cursor.fetchone()[-1])
        connection.autocommit = False
        return connection

    return connect_and_set_up


class HttpSettings(TypedDict):
    """The settings in a connection of type `http`."""

    base_url: str
    client_id: str
    client_secret: str


def orders_connect(connection_id: str) -> Callable[[], Any]:
    """Return what opens connections to the orders database: `ORDERS_URL` if it is set, else Airflow's connection."""
    return _postgres_of("ORDERS_URL", connection_id, "The orders database")


def http_settings(connection_id: str) -> HttpSettings:
    """Return `base_url`, `client_id` and `client_secret` of an `http` connection; its extra may have a `base_path`.

    Raises:
        ConfigurationError: There is no such connection, or it lacks host, login or password.
    """
    connection = _connection(connection_id)
    missing = [name for name in ("host", "login", "password") if not getattr(connection, name)]
    if missing:
        raise ConfigurationError(
            f"the connection {connection_id!r} has no {', '.join(missing)}",
            meaning="Login and password are the client id and secret that the CRM knows",
            remedy="Give them in the UI, or in AIRFLOW_CONN_" + connection_id.upper() + ".",
        )
    return {
        "base_url": _base_url(connection),
        "client_id": connection.login,
        "client_secret": connection.password,
    }


def airflow_api() -> AirflowState:
    """Return what asks Airflow of its DAGs, by the connection `airflow_api`.

    Raises:
        ConfigurationError: There is no such connection, or it lacks host or password.
    """
    from include.implementation_modules.airflow_api.state import AirflowApiState

    return AirflowApiState(*_api_login(AIRFLOW_CONNECTION_ID))


def airflow_runs() -> AirflowRuns:
    """Return what starts runs, by the connection `airflow_operator`, or where there is none by `airflow_api`.

    Raises:
        ConfigurationError: There is neither connection, or it lacks host or password.
    """
    from include.implementation_modules.airflow_api.runs import AirflowApiRuns

    try:
        return AirflowApiRuns(*_api_login(OPERATOR_CONNECTION_ID))
    except ConnectionMissingError:
        return AirflowApiRuns(*_api_login(AIRFLOW_CONNECTION_ID))


def _api_login(connection_id: str) -> tuple[str, str, str]:
    """Return address, login and password of Airflow's API."""
    connection = _connection(connection_id)
    require_type(connection, "http")
    if not connection.host or not connection.password:
        raise ConfigurationError(
            f"the connection {connection_id!r} has no host, or no password",
            remedy="Give it Airflow's host, port and schema, and login and password of a user, or a token as password.",
        )
    return _base_url(connection), connection.login or "", connection.password


def exposure(connection_id: str) -> Exposure:
    """Return what of a connection is not fit for production; nothing of its content.

    Raises:
        ConfigurationError: There is no such connection.
    """
    from include.pipeline_framework.core.watching.production import Exposure, is_guessable

    connection = _connection(connection_id)
    extra = connection.extra_dejson
    address = str(extra.get("endpoint_url") or extra.get("host") or connection.host or "")
    host = (urlsplit(address).hostname if "://" in address else address.rpartition("@")[2].split(":")[0]) or ""
    return Exposure(
        connection_id,
        is_here=host == "localhost" or host.startswith("127.") or address.strip("[]") == "::1",
        is_guessable=is_guessable(connection.login or "", connection.password or ""),
    )


def _base_url(connection: Any) -> str:
    port = f":{connection.port}" if connection.port else ""
    base_path = str(connection.extra_dejson.get("base_path", ""))
    return f"{connection.schema or 'https'}://{connection.host}{port}{base_path}"


def _postgres_of(variable: str, connection_id: str, what: str) -> Callable[[], Any]:
    url = os.environ.get(variable)
    if url:
        return connect_to_url(url, variable=variable, what=what)
    return opener(_connection(connection_id), writes=True)


def _connection(connection_id: str) -> Any:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

    variable = f"AIRFLOW_CONN_{connection_id.upper()}"
    # Airflow tries the next backend when it can't parse the variable, and logs the error; some log configurations print
    # it with every local variable.
    if wrong := _what_is_wrong(os.environ.get(variable, "").strip()):
        raise ConfigurationError(
            f"the Airflow connection {connection_id!r} is there, but can't be read: {wrong}",
            where=variable,
            meaning="A pipeline's YAML file, the ledger or the orders sync names it; "
            "its content is not shown, it holds secrets",
            remedy="Correct the variable: a JSON object of conn_type, host, port, login, password, schema, extra, "
            "or a URI with special characters percent-encoded.",
        )
    try:
        return Connection.get(connection_id)
    except (AirflowNotFoundException, AirflowRuntimeError) as error:
        raise ConnectionMissingError(
            f"there is no Airflow connection {connection_id!r}",
            meaning="A pipeline's YAML file, the ledger or the orders sync names it",
            remedy=f"Create it in the UI, or set {variable}.",
        ) from error


def _what_is_wrong(text: str) -> str | None:
    """Return why Airflow can't read a connection's text, without quoting it, as the parsers' errors would do."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowException

    try:
        if text.startswith("{"):
            Connection.from_json(text)
        elif text:
            Connection.from_uri(text, "any")
    except json.JSONDecodeError as error:
        return f"it is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except (ValueError, TypeError, AttributeError, AirflowException):  # these name the part, and its value
        what = "JSON, but has a field that a connection has not, or a port that is no number"
        return f"it is {what}" if text.startswith("{") else "it is no URI of a connection"
    return None
