"""Makes clients from Airflow's connections; an error names the connection, and nothing of its content.

No adapter imports Airflow: a connection itself gives its provider's hook (`get_hook`) and its newest version (`get`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from include.pipeline_framework.errors import ConfigurationError, PipelineError

T = TypeVar("T")


def require_type(connection: Any, conn_type: str) -> None:
    """Refuse a connection to another kind of system.

    Raises:
        ConfigurationError: It has another type.
    """
    if connection.conn_type != conn_type:
        raise ConfigurationError(
            f"connection {connection.conn_id!r} has type {connection.conn_type!r}",
            meaning=f"The adapter that uses it needs one of type {conn_type!r}",
            remedy=f"Name a connection of type {conn_type} in the pipeline's YAML file, or another adapter.",
        )


def built(connection_id: str, build: Callable[[], T], *, known: tuple[type[Exception], ...] = ()) -> T:
    """Return what a client library makes of a connection.

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
