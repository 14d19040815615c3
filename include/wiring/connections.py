"""Creates clients from connection ids, through the providers' hooks; credentials stay in Airflow's connections."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict, TypeVar

from include.implementation_modules.elasticsearch.connecting import client_arguments
from include.pipeline_framework.errors import ConfigurationError, PipelineError
from include.postgres_server import pooler as postgres_pooler
from include.postgres_server import session as postgres_session
from include.sql import statement

T = TypeVar("T")

LEDGER_CONNECTION_ID = "lifecycle_postgres"

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

SNOWFLAKE_DEFAULTS: dict[str, Any] = {"network_timeout": 3_600}
"""The connector repeats a request for ever. It also cancels a statement that runs longer than this, so it is long.

`network_timeout`, `login_timeout` and `socket_timeout` (seconds) may stand in the connection's extra.
"""


def client(connection_id: str | None, *, writes: bool = False, connect: Callable[[Any], Any] | None = None) -> Any:
    """Return what an adapter gets injected, by the connection's type.

    `postgres`, `snowflake`: a callable that opens a new DB-API connection. `aws`: a boto3 S3 client. `elasticsearch`:
    an Elasticsearch client. None (for example, for a local path as stage): None.

    Args:
        connection_id: Airflow's.
        writes: A Postgres has to accept writes, so that of several hosts the primary is found.
        connect: Makes the client from Airflow's connection: an adapter's own `connect`, whatever the type.

    Raises:
        ConfigurationError: There is no such connection, or its type is unknown here and the adapter has no `connect`.
    """
    if connection_id is None:
        return None
    connection = _connection(connection_id)
    if connect is not None:
        return _built(connection_id, partial(connect, connection))
    conn_type = connection.conn_type
    builders: dict[str, Callable[[str], Any]] = {
        "postgres": partial(_postgres, writes=writes),
        "snowflake": _snowflake,
        "aws": _s3,
        "elasticsearch": _elasticsearch,
    }
    if conn_type not in builders:
        raise ConfigurationError(
            f"connection {connection_id!r} has type {conn_type!r}",
            remedy=f"Use one of {', '.join(sorted(builders))}, or give the adapter's class a function "
            "`connect(connection)` that makes its client.",
        )
    return _built(connection_id, lambda: builders[conn_type](connection_id))


def _built(connection_id: str, build: Callable[[], T], *, known: tuple[type[Exception], ...] = ()) -> T:
    """Return what a client library makes of a connection; errors name the connection, and nothing of its content.

    Args:
        connection_id: Airflow's.
        build: Calls the library.
        known: The library's errors that the adapter translates itself.

    Raises:
        ConfigurationError: The library refused it.
    """
    kind = ""
    known_errors: tuple[type[Exception], ...] = (PipelineError, *known)
    try:
        return build()
    except known_errors:
        raise
    except Exception as error:  # noqa: BLE001 - every library has its own, and plain ValueErrors
        kind = type(error).__name__
    # raised outside: the error, even as a context, could quote a password
    raise ConfigurationError(
        f"the connection {connection_id!r} can't be used: its client library raised {kind}",
        meaning="A host, a port, an option in its extra or a file that it names is wrong; it is not shown, it may "
        "stand beside a secret",
        remedy="Compare its fields with the provider's documentation: host without spaces, port a number, extra a "
        "JSON object of the library's own options, certificate files that the worker can read.",
    )


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
    port = f":{connection.port}" if connection.port else ""
    base_path = str(connection.extra_dejson.get("base_path", ""))
    return {
        "base_url": f"{connection.schema or 'https'}://{connection.host}{port}{base_path}",
        "client_id": connection.login,
        "client_secret": connection.password,
    }


def _postgres_defaults(*, writes: bool) -> dict[str, Any]:
    variables = {"PGCONNECT_TIMEOUT": "connect_timeout", "PGTARGETSESSIONATTRS": "target_session_attrs"}
    says_itself = {name for variable, name in variables.items() if os.environ.get(variable)}
    defaults = {**POSTGRES_DEFAULTS, **(POSTGRES_PRIMARY if writes else {}), **_ALWAYS}
    return {name: value for name, value in defaults.items() if name not in says_itself}


def _postgres_of(variable: str, connection_id: str, what: str) -> Callable[[], Any]:
    url = os.environ.get(variable)
    return _postgres_url(url, variable, what) if url else _postgres(_connection(connection_id).conn_id, writes=True)


def _postgres_url(url: str, variable: str, what: str) -> Callable[[], Any]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        parameters: dict[str, Any] | None = {**_postgres_defaults(writes=True), **conninfo_to_dict(url)}
    except psycopg.ProgrammingError:
        parameters = None  # raised outside: the error, even as a context, would quote a part of the URL
    if parameters is None:
        raise ConfigurationError(
            f"{variable} is not the address of a Postgres database",
            meaning=f"{what} can't be reached",
            remedy="Write it as postgresql://user:password@host:port/database, special characters percent-encoded.",
        )
    return lambda: postgres_session.prepared(psycopg.connect(**parameters), writes=True)


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
        raise ConfigurationError(
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


def _postgres(connection_id: str, *, writes: bool) -> Callable[[], Any]:
    import psycopg
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    def connect() -> Any:
        connection = copy.copy(_connection(connection_id))
        connection.extra = json.dumps({**_postgres_defaults(writes=writes), **connection.extra_dejson})
        hook = PostgresHook(postgres_conn_id=connection_id, connection=connection)
        return postgres_session.prepared(_built(connection_id, hook.get_conn, known=(psycopg.Error,)), writes=writes)

    return connect


def _snowflake(connection_id: str) -> Callable[[], Any]:
    """Connect with the parameters of the provider's hook, which has no place for the connector's time-outs.

    They are private there (apache-airflow-providers-snowflake 6.20.0); its public ways open the connection themselves.
    """
    from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

    def connect() -> Any:
        from snowflake.connector import connect
        from snowflake.connector.errors import Error

        def open_it() -> Any:
            extra = _connection(connection_id).extra_dejson
            names = ("network_timeout", "login_timeout", "socket_timeout")
            timeouts = {**SNOWFLAKE_DEFAULTS, **{name: int(extra[name]) for name in names if name in extra}}
            parameters = SnowflakeHook(snowflake_conn_id=connection_id)._get_conn_params()  # noqa: SLF001
            return connect(**{**timeouts, **parameters})

        return _built(connection_id, open_it, known=(Error, OSError))

    return connect


def _s3(connection_id: str) -> Any:
    """Create the client with the hook's session and settings, without the User-Agent of the hook's own client.

    To name the calling operator there, the hook (apache-airflow-providers-amazon 9.39.0) calls `inspect.stack()`, which
    searches every loaded module: a fifth of the CPU time of all tasks.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook(aws_conn_id=connection_id)
    endpoint_url = hook.conn_config.get_service_endpoint_url(service_name="s3")
    return hook.get_session().client("s3", endpoint_url=endpoint_url, config=hook.config, verify=hook.verify)


def _elasticsearch(connection_id: str) -> Any:
    """Build the client from the connection itself: the provider's Python hook takes no connection id."""
    from elasticsearch import Elasticsearch

    url, options = client_arguments(_connection(connection_id))
    return Elasticsearch(url, **options)
