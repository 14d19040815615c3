"""Connections as people have them: what is understood, and how the rest is refused without a word of its secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.implementation_modules.elasticsearch.connecting import client_arguments
from include.implementation_modules.registry import ADAPTERS, CONNECTS, adapter_class, known_connect
from include.pipeline_framework.errors import ConfigurationError
from include.wiring import connections

airflow_sdk = pytest.importorskip("airflow.sdk")
SECRET = "hunter2-secret"


def connection(**fields: Any) -> Any:
    extra = fields.pop("extra", None)
    return airflow_sdk.Connection(
        conn_id="search", conn_type="elasticsearch", extra=json.dumps(extra) if extra else None, **fields
    )


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "es"}, "http://es:9200"),
        ({"host": "es", "port": 9201, "schema": "https"}, "https://es:9201"),
        ({"host": " es.example.com:9243 ", "schema": "https"}, "https://es.example.com:9243"),
        ({"host": "http://es:9200"}, "http://es:9200"),
        ({"host": "https://es.example.com"}, "https://es.example.com:443"),
        ({"host": "https://es.example.com", "port": 9243}, "https://es.example.com:9243"),
        ({"host": "https://es.example.com/es/"}, "https://es.example.com:443/es"),
        ({"host": "es.example.com/es", "port": 9200}, "http://es.example.com:9200/es"),
        ({"host": "es", "extra": {"path_prefix": "/a/b"}}, "http://es:9200/a/b"),
        ({"host": "es", "schema": "es"}, "http://es:9200/es"),
        ({"host": "es", "schema": "es", "extra": {"scheme": "https"}}, "https://es:9200/es"),
        ({"host": "::1"}, "http://[::1]:9200"),
        ({"host": "[::1]:9201"}, "http://[::1]:9201"),
    ],
)
def test_an_address_is_understood_however_it_is_written(fields: dict[str, Any], url: str) -> None:
    assert client_arguments(connection(**fields)) == (url, {})


def test_a_connection_uri_with_a_path_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEARCH", f"elasticsearch://reader:{SECRET}@proxy.example.com:8080/es")
    (node,) = connections.client("search").transport.node_pool.all()
    assert (node.base_url, node.path_prefix) == ("http://proxy.example.com:8080/es", "/es")


@pytest.mark.parametrize(
    ("fields", "login"),
    [
        ({"host": "es", "login": "a", "password": SECRET}, ("a", SECRET)),
        ({"host": f"https://b%40c:{SECRET}@es"}, ("b@c", SECRET)),
        ({"host": f"https://b:{SECRET}@es", "login": "a", "password": "other"}, ("a", "other")),
    ],
)
def test_a_login_may_stand_in_the_url(fields: dict[str, Any], login: tuple[str, str]) -> None:
    url, options = client_arguments(connection(**fields))
    assert SECRET not in url
    assert options == {"basic_auth": login}


@pytest.mark.parametrize("host", ["", None, "ftp://es", "http://", "es:port", "http://es:99999999", "http://[::1"])
def test_a_host_that_is_no_address_is_refused(host: str | None) -> None:
    with pytest.raises(ConfigurationError, match="'search' has no host that is an address") as raised:
        client_arguments(connection(host=host, login="a", password=SECRET))
    assert SECRET not in f"{raised.value}{raised.value.__cause__}{raised.value.__context__}"


BROKEN: dict[str, dict[str, Any]] = {
    "a certificate that is not there": {
        "conn_type": "elasticsearch", "host": "https://es", "extra": {"ca_certs": "/nowhere/ca.pem"},
    },
    "an option of another type": {
        "conn_type": "elasticsearch", "host": "https://es", "extra": {"verify_certs": {"a": SECRET}},
    },
    "a fingerprint of no known length": {
        "conn_type": "elasticsearch", "host": "https://es", "extra": {"ssl_assert_fingerprint": SECRET},
    },
    "an S3 endpoint that is no URL": {
        "conn_type": "aws", "login": "k", "password": SECRET, "extra": {"endpoint_url": "not a url"},
    },
}  # fmt: skip


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN)
def test_what_a_client_library_refuses_names_the_connection_only(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEARCH", json.dumps(fields))
    with pytest.raises(ConfigurationError, match="the connection 'search' can't be used") as raised:
        connections.client("search")
    assert SECRET not in f"{raised.value}{raised.value.__cause__}{raised.value.__context__}"


LATER: dict[str, dict[str, Any]] = {
    "a Snowflake time-out that is no number": {
        "conn_type": "snowflake", "login": "u", "password": SECRET, "extra": {"login_timeout": "soon", "account": "a"},
    },
}  # fmt: skip


@pytest.mark.parametrize("fields", LATER.values(), ids=LATER)
def test_so_does_what_it_refuses_when_it_connects(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEARCH", json.dumps(fields))
    connect = connections.client("search")
    with pytest.raises(ConfigurationError, match="the connection 'search' can't be used") as raised:
        connect()
    assert SECRET not in f"{raised.value}{raised.value.__cause__}{raised.value.__context__}"


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, names in ADAPTERS.items() for name in names])
def test_an_adapter_of_ours_makes_its_client_itself_and_refuses_another_system(
    role: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEARCH", json.dumps({"conn_type": "ftp", "host": "h", "password": SECRET}))
    with pytest.raises(ConfigurationError, match=r"connection 'search' has type 'ftp'.*needs one of type") as raised:
        connections.client("search", connect=adapter_class(role, name).connect)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("conn_type", CONNECTS)
def test_every_known_type_has_what_makes_a_client(conn_type: str, writes: bool) -> None:
    assert callable(known_connect(conn_type, writes=writes))
    assert known_connect("ftp", writes=writes) is None
