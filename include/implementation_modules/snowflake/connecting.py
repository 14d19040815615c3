"""Opens connections to Snowflake from Airflow's connection, with the parameters of the provider's hook.

The hook knows every way to log in: passwords, key pairs, OAuth, workload identities, access tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from include.implementation_modules.clients import built, require_type

SNOWFLAKE_DEFAULTS: dict[str, Any] = {"network_timeout": 3_600}
"""The connector repeats a request for ever. It also cancels a statement that runs longer than this, so it is long.

`network_timeout`, `login_timeout` and `socket_timeout` (seconds) may stand in the connection's extra.
"""


def connect(connection: Any) -> Callable[[], Any]:
    """Return what opens connections of the Snowflake connector.

    Raises:
        ConfigurationError: It is a connection to something else.
    """
    require_type(connection, "snowflake")
    return partial(_open, connection)


def _open(connection: Any) -> Any:
    from snowflake.connector import connect
    from snowflake.connector.errors import Error

    def open_it() -> Any:
        extra = connection.get(connection.conn_id).extra_dejson
        names = ("network_timeout", "login_timeout", "socket_timeout")
        timeouts = {**SNOWFLAKE_DEFAULTS, **{name: int(extra[name]) for name in names if name in extra}}
        # private: what is public opens the connection itself, and has no place for the connector's time-outs
        # (apache-airflow-providers-snowflake 6.20.0)
        parameters = connection.get_hook()._get_conn_params()  # noqa: SLF001
        return connect(**{**timeouts, **parameters})

    return built(connection.conn_id, open_it, known=(Error, OSError))
