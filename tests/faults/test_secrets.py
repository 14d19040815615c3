"""Credentials stay in connections: no log line, error, traceback, ledger row, event, manifest or return value has one.

Every adapter is driven into failures with recognisable random credentials, wrong and right ones, at log level DEBUG.
"""

from __future__ import annotations

import json
import logging
import pickle
import secrets
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import structlog

from include.cli.__main__ import main
from include.pipeline_framework.config.models import AdapterSection
from include.pipeline_framework.errors import ConfigurationError, PipelineError
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.wiring import assembly
from tests.conftest import database
from tests.fake_elasticsearch import FakeElasticsearch, serve
from tests.faults.bad_input_cloud import Cloud
from tests.faults.bad_input_world import Row, World

pytestmark = pytest.mark.integration

ES = {"type": "elasticsearch", "connection_id": "secret", "index": "events", "time_field": "@timestamp"}
PG = {"type": "postgres", "connection_id": "secret", "table": "orders_source", "time_column": "at", "id_column": "id"}
S3 = {"type": "object_storage", "connection_id": "secret", "bucket": "stage", "prefix": "secret"}
SNOWFLAKE = {"type": "snowflake", "connection_id": "secret", "table": "ORDERS"}
PG_TARGET = {"type": "postgres", "connection_id": "secret", "table": "orders"}


@pytest.fixture(scope="module")
def world(
    stack_env: dict[str, str], _migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with database(stack_env["LEDGER_URL"], _migrated_template) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEDGER_URL", url)
        patch.setenv("AIRFLOW_CONN_LIFECYCLE_POSTGRES", url)
        yield World(url, tmp_path_factory.mktemp("world"))


class Secrets:
    """Random credentials, and every place where one could turn up."""

    def __init__(self, stack: Mapping[str, str], capture: pytest.LogCaptureFixture, output: Any) -> None:
        self.stack, self._capture, self._output, self._texts = stack, capture, output, list[str]()
        self.password, self.login = f"pw-{secrets.token_hex(12)}", f"login{secrets.token_hex(6)}"
        self.also: list[str] = []

    def see(self, *things: Any) -> None:
        """Add what a caller of the product gets to see."""
        for thing in things:
            if isinstance(thing, BaseException):
                self._texts += [*traceback.format_exception(thing), repr(thing), repr(vars(thing))]
                if isinstance(thing, PipelineError):
                    self._texts.append(repr(pickle.dumps(thing)))
            else:
                self._texts += [repr(thing), json.dumps(thing, default=str)]

    def assert_kept(self) -> None:
        """Look for them in everything seen, logged and printed so far."""
        captured = self._output.readouterr()
        logged = [self._capture.text, *(repr(vars(record)) for record in self._capture.records)]
        texts = [*self._texts, *logged, captured.out, captured.err]
        assert sum(map(len, texts)) > 500, "nothing was captured"
        for secret in (self.password, *self.also):
            assert [text[max(0, text.find(secret) - 200) :][:400] for text in texts if secret in text] == []


@pytest.fixture
def kept(
    stack_env: dict[str, str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Secrets]:
    caplog.set_level(logging.DEBUG)
    for name in ("botocore", "urllib3", "elastic_transport", "snowflake", "psycopg"):
        caplog.set_level(logging.DEBUG, name)
    kept = Secrets(stack_env, caplog, capfd)
    yield kept
    kept.assert_kept()


@pytest.mark.parametrize("place", ["cause", "log", "output", "row"])
def test_the_search_finds_one_wherever_it_is(kept: Secrets, place: str) -> None:
    kept.see(["something"] * 100)
    if place == "cause":
        error = ConfigurationError("refused")
        error.__cause__ = OSError(f"password {kept.password} is wrong")
        kept.see(error)
    elif place == "log":
        logging.getLogger("anybody").debug("connecting with %s", kept.password)
    elif place == "output":
        print(kept.password)
    else:
        kept.see({"last_error": f"x {kept.password}"})
    with pytest.raises(AssertionError):
        kept.assert_kept()
    kept.password = secrets.token_hex(12)  # what the fixture looks for at the end


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# --- connections that fail --------------------------------------------------------------------------------------------

Connection = dict[str, Any]


def stack_connection(kept: Secrets, name: str, **changes: Any) -> Connection:
    """The stack's own connection with the wrong credentials."""
    return {**json.loads(kept.stack[f"AIRFLOW_CONN_{name}"]), "password": kept.password, **changes}


def postgres(kept: Secrets) -> Connection:
    return stack_connection(kept, "LIFECYCLE_POSTGRES")


def postgres_gone(kept: Secrets) -> Connection:
    return stack_connection(kept, "LIFECYCLE_POSTGRES", port=free_port())


def s3(kept: Secrets) -> Connection:
    return stack_connection(kept, "STAGE_S3")


def s3_gone(kept: Secrets) -> Connection:
    connection = stack_connection(kept, "STAGE_S3")
    retries = {"retries": {"max_attempts": 1}, "s3": {"addressing_style": "path"}}
    extra = {"endpoint_url": f"http://127.0.0.1:{free_port()}", "region_name": "us-east-1", "config_kwargs": retries}
    return {**connection, "extra": extra}


def snowflake(kept: Secrets) -> Connection:
    return stack_connection(kept, "TARGET_SNOWFLAKE")


def snowflake_gone(kept: Secrets) -> Connection:
    connection = stack_connection(kept, "TARGET_SNOWFLAKE")
    extra = {**connection["extra"], "port": free_port(), "login_timeout": 2, "network_timeout": 2}
    return {**connection, "extra": extra}


def elasticsearch_gone(kept: Secrets) -> Connection:
    return {
        "conn_type": "elasticsearch", "schema": "http", "host": "127.0.0.1", "port": free_port(),
        "login": kept.login, "password": kept.password,
    }  # fmt: skip


FAILING: dict[str, tuple[str, dict[str, Any], Callable[[Secrets], Connection]]] = {
    "Postgres as a source, wrong password": ("source", PG, postgres),
    "Postgres as a source, nobody there": ("source", PG, postgres_gone),
    "Elasticsearch, nobody there": ("source", ES, elasticsearch_gone),
    "S3, wrong secret key": ("stage", S3, s3),
    "S3, nobody there": ("stage", S3, s3_gone),
    "Snowflake, wrong password": ("target", SNOWFLAKE, snowflake),
    "Snowflake, nobody there": ("target", SNOWFLAKE, snowflake_gone),
    "Postgres as a target, wrong password": ("target", PG_TARGET, postgres),
    "Postgres as a target, nobody there": ("target", PG_TARGET, postgres_gone),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_connection_keeps_its_password(
    world: World, kept: Secrets, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    role, section, connection = FAILING[name]
    monkeypatch.setenv("AIRFLOW_CONN_SECRET", json.dumps(connection(kept)))
    fails(world, kept, role, section)


def fails(world: World, kept: Secrets, role: str, section: dict[str, Any]) -> PipelineError:
    """Move a window with this adapter in its role: the error, and what the ledger says of it, hold no secret."""
    record_id = world.next_id()
    world.put(world.window(record_id), [Row(f"d-{record_id}", '{"n": 1}')])
    ours = world.pipeline
    adapters = {"source": ours.source, "stage": ours.stage, "target": ours.target}
    adapters[role] = assembly.adapter(role, AdapterSection.model_validate(section))
    pipeline = Pipeline(ours.config, ours.store, **adapters)
    with pytest.raises(PipelineError) as caught:
        world.move(record_id, pipeline=pipeline)
    row = ours.store.get(record_id)
    assert row.last_error.endswith(str(caught.value))
    kept.see(caught.value, row, *ours.store.events(record_id))
    return caught.value


ANSWERS = {
    "unknown user": (401, {"error": {"type": "security_exception", "reason": "unable to authenticate"}}),
    "no privilege": (403, {"error": {"type": "security_exception", "reason": "action is unauthorized"}}),
    "busy": (429, {"error": {"type": "circuit_breaking_exception", "reason": "too much"}}),
    "broken": (500, b"<html>oh no</html>"),
    "not an answer": (200, b"{"),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("is_key", [False, True], ids=["basic auth", "API key"])
def test_elasticsearchs_credentials_are_sent_and_nowhere_else(
    world: World, kept: Secrets, monkeypatch: pytest.MonkeyPatch, name: str, is_key: bool
) -> None:
    with serve(FakeElasticsearch(faults={"caps": lambda *_: ANSWERS[name]})) as fake:
        connection = {"conn_type": "elasticsearch", "schema": "http", "host": "127.0.0.1", "port": fake.port}
        if is_key:
            connection["extra"] = {"api_key": kept.password}
        else:
            connection |= {"login": kept.login, "password": kept.password}
            kept.also.append(basic(kept))
        monkeypatch.setenv("AIRFLOW_CONN_SECRET", json.dumps(connection))
        fails(world, kept, "source", ES)
        sent = {headers["authorization"] for headers in fake.headers if "authorization" in headers}
        assert sent == {f"ApiKey {kept.password}" if is_key else f"Basic {basic(kept)}"}


def basic(kept: Secrets) -> str:
    import base64

    return base64.b64encode(f"{kept.login}:{kept.password}".encode()).decode()


# --- the ledger's own connection, and the command line ----------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ledger:{password}@127.0.0.1:{port}/ledger",
        "postgresql://ledger:{password}@127.0.0.1:{gone}/ledger",
        "postgresql://ledger:{password}@[127.0.0.1/ledger",
        "postgresql://ledger:{password}%zz@127.0.0.1/ledger",
        "{password}",
        "host=127.0.0.1 port={gone} password='{password}",
        "postgresql://ledger@127.0.0.1:{gone}/ledger?passwrd={password}",
    ],
)
def test_the_ledgers_address_is_never_repeated(
    kept: Secrets, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], url: str
) -> None:
    port = json.loads(kept.stack["AIRFLOW_CONN_LIFECYCLE_POSTGRES"])["port"]
    monkeypatch.setenv("LEDGER_URL", url.format(password=kept.password, port=port, gone=free_port()))
    with pytest.raises(PipelineError) as caught:
        assembly.lifecycle_store().now()
    kept.see(caught.value)
    assert main(["ledger", "show"]) == 2
    printed = capfd.readouterr()
    assert "What to do:" in printed.err
    kept.see(printed.out, printed.err)
    with pytest.raises(PipelineError) as migrating:
        assembly.migrate_ledger()
    kept.see(migrating.value)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{{"conn_type": "postgres", "password": "{password}"', "it is no JSON: .*column"),
        ('{{"conn_type": "postgres", "port": "{password}"}}', "it is JSON, but has a field"),
        ('{{"conn_type": "postgres", "passwrd": "{password}"}}', "it is JSON, but has a field"),
        ("postgres://a:{password}@b://c://d", "it is no URI"),
        ("postgres://a:{password}@[b/d", "it is no URI"),
        ("postgres://a:b@c:{password}/d", "it is no URI"),
    ],
)
def test_an_airflow_connection_that_cant_be_read_is_not_repeated(
    kept: Secrets, monkeypatch: pytest.MonkeyPatch, talkative_logging: None, text: str, wrong: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SECRET", text.format(password=kept.password))
    with pytest.raises(ConfigurationError, match=rf"is there, but can't be read: {wrong}") as caught:
        assembly.adapter("target", AdapterSection.model_validate(PG_TARGET))
    kept.see(caught.value)


@pytest.fixture
def talkative_logging() -> Iterator[None]:
    """Logging as structlog has it where nobody configured it: every level, every traceback with its local variables."""
    before, was_configured = structlog.get_config(), structlog.is_configured()
    structlog.reset_defaults()
    yield
    if was_configured:
        structlog.configure(**before)


# --- a window that succeeds -------------------------------------------------------------------------------------------


@contextmanager
def right_secrets(kept: Secrets) -> Iterator[None]:
    """The stack's own credentials are the ones to look for."""
    connections = [json.loads(kept.stack[name]) for name in kept.stack if name.startswith("AIRFLOW_CONN_")]
    kept.also += [connection["password"] for connection in connections if connection.get("password")]
    assert len(kept.also) >= 3
    yield


def test_a_window_that_succeeds_leaves_none_behind(world: World, kept: Secrets, s3_bucket: str) -> None:
    with right_secrets(kept):
        cloud = Cloud(world, s3_bucket)
        with cloud.documents({"n": 1}, {"n": 2}) as record_id:
            kept.see(cloud.move(record_id))
        row = cloud.pipeline.store.get(record_id)
        assert row.pipeline_final_status == "COMPLETED"
        manifest = cloud.s3.get_object(Bucket=s3_bucket, Key=f"{cloud.name}/{row.stage_location}/manifest.json")[
            "Body"
        ].read()
        kept.see(row, cloud.pipeline.store.events(record_id), manifest.decode(), cloud.pipeline.config.final_config())
        kept.see(cloud.snowflake(f'SELECT * FROM "{cloud.name.upper()}_RECEIPTS"'))
        cloud.remove()


def test_the_store_and_the_adapters_do_not_show_them(world: World, kept: Secrets) -> None:
    """What a debugger, a log line with `%r`, or an error's context could show."""
    with right_secrets(kept):
        for thing in (world.pipeline, world.pipeline.store, world.pipeline.target, world.pipeline.source):
            kept.see(repr(thing) * 20)
        with psycopg.connect(world.url) as connection:
            kept.see(repr(connection) * 20)
