"""Makes an Elasticsearch client from Airflow's connection, in its usual variants.

It reads the connection itself: the provider's Python hook takes no connection id.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from include.implementation_modules.clients import require_type
from include.pipeline_framework.errors import ConfigurationError

_SCHEMES = ("http", "https")
_DEFAULT_PORT = 9_200
_PASSED_ON: dict[str, type] = {
    "ca_certs": str,
    "verify_certs": bool,
    "ssl_assert_fingerprint": str,
    "ssl_show_warn": bool,
}


def connect(connection: Any) -> Any:
    """Return a client.

    Raises:
        ConfigurationError: It is a connection to something else, or one by which nothing can be reached.
    """
    from elasticsearch import Elasticsearch

    require_type(connection, "elasticsearch")
    url, options = client_arguments(connection)
    return Elasticsearch(url, **options)


def client_arguments(connection: Any) -> tuple[str, dict[str, Any]]:
    """Return URL and options.

    The host may be a name, `name:port`, or a whole URL with port, path and login; its parts have priority over the
    connection's own fields. `schema` is the scheme, or a path: Airflow puts the path of a connection's URI there. The
    extra may have `path_prefix`, `scheme`, `api_key` and the client's TLS options.

    Raises:
        ConfigurationError: There is no host, or it is no address.
    """
    extra = connection.extra_dejson
    schema = (connection.schema or "").strip("/ ")
    scheme = schema if schema in _SCHEMES else str(extra.get("scheme") or _SCHEMES[0])
    prefix = str(extra.get("path_prefix") or ("" if schema in _SCHEMES else schema)).strip("/")
    parts, port = _address(connection, scheme)
    path = "/".join(part for part in (parts.path.strip("/"), prefix) if part)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    options = _checked({name: extra[name] for name in _PASSED_ON if name in extra}, connection.conn_id)
    login, password = connection.login or unquote(parts.username or ""), connection.password
    if extra.get("api_key"):
        options["api_key"] = extra["api_key"]
    elif login:
        options["basic_auth"] = (login, password or unquote(parts.password or ""))
    return f"{parts.scheme}://{host}:{port}{f'/{path}' if path else ''}", options


def _checked(options: dict[str, Any], connection_id: str) -> dict[str, Any]:
    """Return checked TLS options; the client accepts any value, and later reports only that no server answers."""
    wrong = [name for name, value in options.items() if not isinstance(value, _PASSED_ON[name])]
    if not wrong and "ca_certs" in options and not Path(options["ca_certs"]).is_file():
        wrong = ["ca_certs"]
    if wrong:
        raise ConfigurationError(
            f"the connection {connection_id!r} can't be used: {wrong[0]} in its extra is wrong",
            meaning="No TLS connection can be made with it",
            remedy="ca_certs is the path of a file that the worker can read, ssl_assert_fingerprint is text; "
            "verify_certs and ssl_show_warn are true or false.",
        )
    return options


def _address(connection: Any, scheme: str) -> tuple[SplitResult, int]:
    """Return the host's parts, and the port: of the host, of the connection, or the usual one."""
    host = (connection.host or "").strip()
    is_url = "://" in host
    text = host if is_url else f"{scheme}://{f'[{host}]' if host.count(':') > 1 and '[' not in host else host}"
    try:
        parts = urlsplit(text)
        named, usual = parts.port, {"https": 443, "http": 80} if is_url else {}
    except ValueError:
        parts, named, usual = urlsplit(""), None, {}
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ConfigurationError(
            f"the connection {connection.conn_id!r} has no host that is an address",
            meaning="No Elasticsearch can be reached by it; the host is not shown, it may hold a login",
            remedy="Write a name, name:port, or a URL like https://search.example.com/es as its host.",
        )
    return parts, named or connection.port or usual.get(parts.scheme, _DEFAULT_PORT)
