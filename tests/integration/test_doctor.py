"""`doctor` against real servers: each wrong configuration is found before any window is claimed, with its remedy."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from include.cli.__main__ import main
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.watching.verdicts import CheckState
from include.pipeline_framework.errors import ConfigurationError
from include.pipeline_framework.tasks.planning import insert_windows
from include.wiring import assembly
from include.wiring.workspace import Workspace
from tests.integration.doctor_world import only_wrong, pipeline, visit, wrong
from tests.unit.tasks.world import window

pytestmark = pytest.mark.integration

NAME = f"doctor_{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def index(stack_env: dict[str, str]) -> Iterator[str]:
    """One document, with a date and a text."""
    client = Elasticsearch(stack_env["ELASTICSEARCH_URL"], request_timeout=120)
    types = {"@timestamp": {"type": "date"}, "said": {"type": "keyword"}}
    client.indices.create(index=NAME, mappings={"properties": types}, settings={"number_of_replicas": 0})
    client.index(index=NAME, document={"@timestamp": "2013-03-09T12:00:00Z", "said": "noon"}, refresh=True)
    yield NAME
    client.indices.delete(index=NAME)
    client.close()


@pytest.fixture
def config(index: str, s3_bucket: str, ledger_url: str) -> Callable[..., PipelineConfig]:
    """Makes a pipeline on the stack's servers, see `doctor_world.pipeline`."""
    return partial(pipeline, index, s3_bucket)


def connection(monkeypatch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    variable = f"AIRFLOW_CONN_{name.upper()}"
    monkeypatch.setenv(variable, json.dumps({**json.loads(os.environ[variable]), **changes}))


def test_all_is_well_and_the_stage_is_left_as_it_was(
    config: Callable[..., PipelineConfig], s3_client: Any, s3_bucket: str
) -> None:
    found = visit(config())
    assert wrong(found) == []
    checked = {(verdict.role, verdict.check) for verdict in found if verdict.state is CheckState.OK}
    assert {
        *(("source", check) for check in ("reachable", "indices open", "refresh_interval", "time field", "may read")),
        *(("source", "clock"), ("target", "clock")),
        *(("stage", check) for check in ("may write", "may list", "may read", "may delete")),
        *(("target", check) for check in ("reachable", "database", "schema", "warehouse", "tables")),
    } <= checked
    assert s3_client.list_objects_v2(Bucket=s3_bucket, Prefix=f"{NAME}/").get("KeyCount") == 0


def test_a_wrong_index(config: Callable[..., PipelineConfig]) -> None:
    found = only_wrong(visit(config(source={"index": "no_such_index"})))
    assert (found.role, found.check) == ("source", "index exists")
    assert "no_such_index" in found.said
    assert "nothing of that name exists" in found.remedy


def test_a_time_field_that_is_text_or_not_there(config: Callable[..., PipelineConfig]) -> None:
    found = only_wrong(visit(config(source={"time_field": "said"})))
    assert (found.role, found.check) == ("source", "time field")
    assert "'said' is mapped as keyword" in found.said
    assert "not mapped" in only_wrong(visit(config(source={"time_field": "when"}))).said


def test_documents_without_a_time_are_told(config: Callable[..., PipelineConfig]) -> None:
    url = assembly.connections.client("source_elasticsearch").transport.node_pool.get().base_url
    with Elasticsearch(url) as client:
        client.index(index=NAME, id="undated", document={"said": "never"}, refresh=True)
        try:
            found = [one for one in visit(config()) if one.check == "time field filled"]
        finally:
            client.delete(index=NAME, id="undated", refresh=True)
    assert [(one.state, one.said.split()[0]) for one in found] == [(CheckState.WARNING, "1")]


def test_a_refresh_interval_that_is_too_long(config: Callable[..., PipelineConfig]) -> None:
    url = assembly.connections.client("source_elasticsearch").transport.node_pool.get().base_url
    with Elasticsearch(url) as client:
        client.indices.put_settings(index=NAME, settings={"refresh_interval": "2d"})
        try:
            found = only_wrong(visit(config()))
        finally:
            client.indices.put_settings(index=NAME, settings={"refresh_interval": None})
    assert (found.role, found.check) == ("source", "refresh_interval")
    assert "x_time_back" in found.remedy


def test_a_server_that_is_not_there(config: Callable[..., PipelineConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, "source_elasticsearch", port=1)
    found = only_wrong(visit(config()))
    assert (found.role, found.check) == ("source", "reachable")
    assert "did not answer" in found.said
    assert "host, port and network to it (source_elasticsearch)" in found.remedy


def test_a_wrong_bucket(config: Callable[..., PipelineConfig]) -> None:
    found = only_wrong(visit(config(stage={"bucket": NAME.replace("_", "-")})))
    assert (found.role, found.check) == ("stage", "bucket exists")
    assert "Create the bucket" in found.remedy


def test_a_wrong_key_of_the_stage(config: Callable[..., PipelineConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, "stage_s3", password="not-the-key")
    found = only_wrong(visit(config()))
    assert (found.role, found.check) == ("stage", "authenticated")
    assert "secret key" in found.remedy
    assert "not-the-key" not in str(found)


def test_a_wrong_database(config: Callable[..., PipelineConfig]) -> None:
    found = only_wrong(visit(config(target={"database": "NO_SUCH_DATABASE", "schema": "PUBLIC"})))
    assert (found.role, found.check) == ("target", "database")
    assert "NO_SUCH_DATABASE does not exist" in found.said
    assert "GRANT USAGE ON DATABASE NO_SUCH_DATABASE TO ROLE" in found.remedy


def test_a_wrong_schema(config: Callable[..., PipelineConfig], snowflake_connect: Callable[[], Any]) -> None:
    with snowflake_connect() as connected:
        ((database,),) = connected.cursor().execute("SELECT CURRENT_DATABASE()").fetchall()
    found = only_wrong(visit(config(target={"database": database, "schema": "NO_SUCH_SCHEMA"})))
    assert (found.role, found.check) == ("target", "schema")
    assert "GRANT USAGE, CREATE TABLE, CREATE STAGE ON SCHEMA" in found.remedy


def test_columns_of_an_existing_table_that_differ(
    config: Callable[..., PipelineConfig], snowflake_connect: Callable[[], Any]
) -> None:
    table = f"{NAME}_ALTERED".upper()
    own = (
        "_SOURCE_OBJECT TEXT, _ID TEXT, _ID_HASH NUMBER(19, 0), _EVENT_AT TIMESTAMP_NTZ(6), "
        "_LIFECYCLE_ID NUMBER(38, 0), _FENCE NUMBER(38, 0), _FILE TEXT, DOC VARIANT"
    )
    with snowflake_connect() as connected:
        connected.cursor().execute(f"CREATE TABLE {table} ({own}, SAID FLOAT)")
        try:
            found = visit(config(target={"table": table}))
        finally:
            connected.cursor().execute(f"DROP TABLE {table}")
    columns = [verdict for verdict in found if verdict.check == "columns"]
    assert [verdict.state for verdict in columns] == [CheckState.WRONG, CheckState.WARNING]
    ((differs, _), (missing, add)) = [(verdict.said, verdict.remedy) for verdict in columns]
    assert "'said'" in differs and "is FLOAT, TEXT is meant" in differs
    assert "no column 'delay': the next run adds it" in missing
    assert "ADD COLUMN delay NUMBER(37, 0)" in add


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_tells_remedies_and_its_exit_status(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_AIRFLOW_API")
    connection(monkeypatch, "stage_s3", password="not-the-key")
    assert main(["doctor", "main"]) == 1
    shown = capsys.readouterr().out
    assert "wrong           stage       authenticated" in shown
    assert "→ Check the secret key" in shown
    assert "could not look  Airflow" in shown
    assert "not-the-key" not in shown
    assert main(["doctor", "main", "--format", "json"]) == 1
    records = json.loads(capsys.readouterr().out)
    assert {"role": "stage", "check": "authenticated", "state": "wrong", "pipeline_id": "main"}.items() <= next(
        record for record in records if record["state"] == "wrong" and record["role"] == "stage"
    ).items()
    assert main(["doctor", "mian"]) == 2
    assert "did you mean main?" in capsys.readouterr().err.casefold()


# --- before the claim -------------------------------------------------------------------------------------------------


def test_a_run_with_a_wrong_database_claims_no_window(
    config: Callable[..., PipelineConfig], ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = config(target={"database": "NO_SUCH_DATABASE", "schema": "PUBLIC"})
    hours = [window(hour) for hour in (3, 4)]
    with Workspace(configs={"main": made}) as workspace:
        insert_windows(made, hours, workspace.store, Actor("tests", "plan"))
        with pytest.raises(ConfigurationError, match=r"NO_SUCH_DATABASE\.PUBLIC does not exist") as caught:
            workspace.claim(made, {})
        assert "CREATE DATABASE NO_SUCH_DATABASE;" in caught.value.remedy
        rows = workspace.store.find(source_object="flights")
        assert {(row.pipeline_final_status, row.retry_attempt, row.dag_run_id) for row in rows} == {
            ("PENDING", 0, None)
        }
        assert len(workspace.claim(config(), {})["claimed"]) == 2
