"""Makes an S3 client from Airflow's connection, with the session and settings of the provider's hook.

The hook knows every way to log in: keys, profiles, assumed roles, web identities.
"""

from __future__ import annotations

from typing import Any

from include.implementation_modules.clients import require_type


def connect(connection: Any) -> Any:
    """Return a boto3 S3 client, without the User-Agent of the hook's own client.

    To name the calling operator there, the hook (apache-airflow-providers-amazon 9.39.0) calls `inspect.stack()`, which
    searches every loaded module: a fifth of the CPU time of all tasks.

    Raises:
        ConfigurationError: It is a connection to something else.
    """
    require_type(connection, "aws")
    hook = connection.get_hook(hook_params={"client_type": "s3"})
    endpoint_url = hook.conn_config.get_service_endpoint_url(service_name="s3")
    return hook.get_session().client("s3", endpoint_url=endpoint_url, config=hook.config, verify=hook.verify)
