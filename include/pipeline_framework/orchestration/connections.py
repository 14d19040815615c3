"""Connection ids to ready clients, through the providers' hooks; credentials stay inside Airflow's connections."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from include.pipeline_framework.errors import ConfigurationError

LEDGER_CONNECTION_ID = "lifecycle_postgres"


def client(connection_id: str | None) -> Any:
    """What an adapter gets injected, by the connection's type.

    `postgres`, `snowflake`: a callable that opens a new DB-API connection. `aws`: a boto3 S3 client. `elasticsearch`:
    an Elasticsearch client. None (a local path as stage, say): None.

    Raises:
        ConfigurationError: No such connection, or a type that nothing here knows.
    """
    if connection_id is None:
        return None
    conn_type = _connection(connection_id).conn_type
    builders: dict[str, Callable[[str], Any]] = {
        "postgres": _postgres,
        "snowflake": _snowflake,
        "aws": _s3,
        "elasticsearch": _elasticsearch,
    }
    if conn_type not in builders:
        raise ConfigurationError(
            f"connection {connection_id!r} has type {conn_type!r}",
            remedy=f"Use one of {', '.join(sorted(builders))}, or teach connections.py another type.",
        )
    return builders[conn_type](connection_id)


def ledger_connect() -> Callable[[], Any]:
    """Opens connections to the ledger: `LEDGER_URL` where it is set, else Airflow's connection `lifecycle_postgres`.

    The URL is for the command line, which then needs no Airflow and starts in a fraction of the time.
    """
    url = os.environ.get("LEDGER_URL")
    if not url:
        return _postgres(_connection(LEDGER_CONNECTION_ID).conn_id)
    import psycopg

    return lambda: psycopg.connect(url)


def _connection(connection_id: str) -> Any:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

    try:
        return Connection.get(connection_id)
    except (AirflowNotFoundException, AirflowRuntimeError) as error:
        raise ConfigurationError(
            f"there is no Airflow connection {connection_id!r}",
            meaning="The pipeline's YAML file, or the ledger, names it",
            remedy=f"Create it in the UI, or set AIRFLOW_CONN_{connection_id.upper()}.",
        ) from error


def _postgres(connection_id: str) -> Callable[[], Any]:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    return lambda: PostgresHook(postgres_conn_id=connection_id).get_conn()


def _snowflake(connection_id: str) -> Callable[[], Any]:
    from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

    return lambda: SnowflakeHook(snowflake_conn_id=connection_id).get_conn()


def _s3(connection_id: str) -> Any:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return S3Hook(aws_conn_id=connection_id).get_conn()


def _elasticsearch(connection_id: str) -> Any:
    """The provider's Python hook takes no connection id, so the client is built from the connection itself."""
    from elasticsearch import Elasticsearch

    connection = _connection(connection_id)
    extra = connection.extra_dejson
    options: dict[str, Any] = {name: extra[name] for name in ("ca_certs", "verify_certs") if name in extra}
    if extra.get("api_key"):
        options["api_key"] = extra["api_key"]
    elif connection.login:
        options["basic_auth"] = (connection.login, connection.password or "")
    url = f"{connection.schema or 'http'}://{connection.host}:{connection.port or 9200}"
    return Elasticsearch(url, **options)
