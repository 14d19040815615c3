"""`doctor` and Postgres as a source, a target and the ledger: logins, rights, tables, standbys, builds, zone rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.core.watching.verdicts import CheckState, Verdict
from include.pipeline_framework.errors import ConfigurationError
from include.pipeline_framework.tasks.planning import insert_windows
from include.wiring import assembly
from include.wiring.workspace import Workspace
from tests.integration.doctor_world import ledger, only_wrong, pipeline, shared, visit, wrong
from tests.postgres_servers import OwnPostgres, private_folder

pytestmark = pytest.mark.integration


@pytest.fixture
def config(s3_bucket: str, ledger_url: str) -> PipelineConfig:
    """A pipeline whose source or target a test replaces by the connection `scratch`."""
    return pipeline("doctor_of_postgres", s3_bucket)


# --- Postgres as source and target ------------------------------------------------------------------------------------


@pytest.fixture
def server(scratch_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[Any]]:
    """An empty database behind the connection `scratch`."""
    monkeypatch.setenv("AIRFLOW_CONN_SCRATCH", scratch_postgres_url)
    with psycopg.connect(scratch_postgres_url, autocommit=True) as connected:
        yield connected


@pytest.fixture
def guest(server: psycopg.Connection[Any], scratch_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A login behind the connection `scratch` that may connect, and nothing else."""
    with private_folder() as folder, OwnPostgres(folder / "own") as own:
        own.execute("CREATE ROLE guest LOGIN")
        monkeypatch.setenv("AIRFLOW_CONN_SCRATCH", own.url().replace("postgres@", "guest@"))
        yield own.url()


SOURCE = {
    "type": "postgres", "connection_id": "scratch", "table": "events", "time_column": "at", "id_column": "id",
    "index": None,
}  # fmt: skip


def postgres_source(config: PipelineConfig, **changes: Any) -> list[Verdict]:
    options = {name: value for name, value in {**SOURCE, **changes}.items() if value is not None}
    section = type(config.source).model_validate(options)
    return [one for one in visit(config.model_copy(update={"source": section})) if one.role == "source"]


def postgres_target(config: PipelineConfig, **changes: Any) -> list[Verdict]:
    options = {"type": "postgres", "connection_id": "scratch", "table": "loaded", "columns": {"n": "integer"}}
    section = type(config.target).model_validate({**options, **changes})
    return [one for one in visit(config.model_copy(update={"target": section})) if one.role == "target"]


def test_a_postgres_source_column_by_column(config: PipelineConfig, server: psycopg.Connection[Any]) -> None:
    assert only_wrong(postgres_source(config)).said == "there is no table or view public.events"
    server.execute("CREATE TABLE events (id BIGINT PRIMARY KEY, at TIMESTAMPTZ NOT NULL, told TEXT, again BIGINT)")
    assert wrong(postgres_source(config)) == []
    found = only_wrong(postgres_source(config, time_column="told"))
    assert found.check == "time field"
    assert "'told' is text" in found.said
    assert only_wrong(postgres_source(config, id_column="nothing")).check == "id column"
    (warned,) = [one for one in postgres_source(config, id_column="again") if one.state is CheckState.WARNING]
    assert "'again'" in warned.said


def test_a_source_that_hides_rows_or_may_not_be_read(config: PipelineConfig, guest: str) -> None:
    with psycopg.connect(guest, autocommit=True) as admin:
        admin.execute("CREATE TABLE events (id BIGINT PRIMARY KEY, at TIMESTAMPTZ NOT NULL)")
        found = only_wrong(postgres_source(config))
        assert (found.check, found.remedy) == ("may read", 'GRANT SELECT ON public.events TO "guest";')
        admin.execute("GRANT SELECT ON events TO guest")
        admin.execute("ALTER TABLE events ENABLE ROW LEVEL SECURITY")
        found = only_wrong(postgres_source(config))
        assert found.check == "sees every row"
        assert "BYPASSRLS" in found.remedy
        assert wrong(postgres_source(config, row_security="accept")) == []


def test_missing_grants_of_a_target_one_after_the_other(config: PipelineConfig, guest: str) -> None:
    found = only_wrong(postgres_target(config))
    assert (found.check, found.remedy) == ("may create", 'GRANT CREATE ON SCHEMA public TO "guest";')
    with psycopg.connect(guest, autocommit=True) as admin:
        admin.execute("GRANT CREATE ON SCHEMA public TO guest")
        assert wrong(postgres_target(config)) == []
        admin.execute("REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
        assert only_wrong(postgres_target(config)).remedy == 'GRANT TEMPORARY ON DATABASE postgres TO "guest";'
        admin.execute("GRANT TEMPORARY ON DATABASE postgres TO PUBLIC")
        admin.execute("CREATE TABLE loaded (n SMALLINT, other TEXT NOT NULL)")
        found_all = postgres_target(config)
    assert 'GRANT SELECT, INSERT, DELETE ON public.loaded TO "guest";' in [one.remedy for one in found_all]
    texts = [one.said for one in found_all]
    assert "column 'n' of public.loaded is smallint, NUMERIC(37, 0) is meant: longer or larger values fail" in str(
        texts
    )
    assert "column 'other' of public.loaded needs a value, and the pipeline loads none" in texts
    assert sum("has no column" in text for text in texts) == 8


def test_a_postgres_target_that_is_prepared_fits(config: PipelineConfig, server: psycopg.Connection[Any]) -> None:
    columns = {kind: kind for kind in ("text", "integer", "number", "boolean", "timestamp", "date")}
    options = {"type": "postgres", "connection_id": "scratch", "table": "loaded", "columns": columns}
    prepared = config.model_copy(update={"target": type(config.target).model_validate(options)})
    assembly.prepare_target(prepared)
    found = postgres_target(config, columns=columns)
    assert [one.said for one in found if one.state is not CheckState.OK] == []
    assert {"columns", "may load", "own session", "primary"} <= {one.check for one in found}
    missing = only_wrong(postgres_target(config, schema="nowhere"))
    assert (missing.check, "CREATE SCHEMA nowhere" in missing.remedy) == ("schema exists", True)


@pytest.mark.parametrize(
    ("changes", "check", "remedy"),
    [
        ({"password": "not-the-password"}, "authenticated", "Correct login and password of scratch"),
        ({"schema": "no_such_database"}, "database", "Correct the schema field of scratch"),
        ({"port": 1}, "reachable", "host and port of scratch"),
    ],
)
def test_a_wrong_password_is_not_a_server_that_does_not_answer(
    config: PipelineConfig,
    stack_env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    check: str,
    remedy: str,
) -> None:
    good = json.loads(stack_env["AIRFLOW_CONN_LIFECYCLE_POSTGRES"])
    monkeypatch.setenv("AIRFLOW_CONN_SCRATCH", json.dumps({**good, **changes}))
    for verdicts in (postgres_source(config), postgres_target(config)):
        found = only_wrong(verdicts)
        assert found.check == check
        assert remedy in found.remedy
        assert "not-the-password" not in str(found)


def test_a_postgres_target_names_what_is_wrong(
    config: PipelineConfig, guest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"type": "postgres", "connection_id": "scratch", "table": "loaded"}

    def refusal(**changes: Any) -> ConfigurationError:
        section = type(config.target).model_validate({**options, **changes})
        with pytest.raises(ConfigurationError) as caught:
            assembly.prepare_target(config.model_copy(update={"target": section}))
        return caught.value

    assert refusal().remedy == "GRANT USAGE, CREATE ON SCHEMA public TO <the login of the target's connection>;"
    assert "The schema does not exist" in refusal(schema="nowhere").what
    monkeypatch.setenv("AIRFLOW_CONN_SCRATCH", f"{guest.rpartition('/')[0]}/nowhere")
    assert "The database does not exist" in refusal().what
    assert "CREATE DATABASE" in refusal().remedy
    monkeypatch.setenv("AIRFLOW_CONN_SCRATCH", guest.replace("postgres@", "nobody@"))
    assert "refuses the login" in refusal().what


# --- the ledger -------------------------------------------------------------------------------------------------------


def test_a_ledger_that_is_well(config: PipelineConfig) -> None:
    found = ledger(shared(main=config))
    assert {verdict.state for verdict in found} == {CheckState.OK}
    assert {"migrated", "may write", "primary", "pooler", "recorded", "clock", "time zone rules"} <= {
        verdict.check for verdict in found
    }


def test_a_ledger_that_was_not_migrated(scratch_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_URL", scratch_postgres_url)
    found = only_wrong(ledger(shared()))
    assert (found.check, "ledger migrate" in found.remedy) == ("migrated", True)


@pytest.mark.parametrize(("version", "remedy"), [("0001", "ledger migrate"), ("9999", "bring this one up to date")])
def test_a_ledger_of_another_build(ledger_url: str, version: str, remedy: str) -> None:
    with psycopg.connect(ledger_url, autocommit=True) as admin:
        ((before,),) = admin.execute("SELECT version_num FROM pipeline_lifecycle_version").fetchall()
        admin.execute("UPDATE pipeline_lifecycle_version SET version_num = %s", [version])
        try:
            found = only_wrong(ledger(shared()))
        finally:
            admin.execute("UPDATE pipeline_lifecycle_version SET version_num = %s", [before])
    assert found.check == "migrated"
    assert remedy in found.remedy


def test_days_that_were_planned_with_newer_zone_rules(config: PipelineConfig, ledger_url: str) -> None:
    made = config.model_copy(update={"end_date": None})
    with Workspace(configs={"main": made}) as workspace:
        hour = workspace.store.now().replace(minute=0, second=0, microsecond=0)
        insert_windows(made, [TimeWindow(hour, hour + timedelta(hours=1))], workspace.store, Actor("tests", "plan"))
    with psycopg.connect(ledger_url, autocommit=True) as admin:
        admin.execute("UPDATE pipeline_lifecycle SET zone_rules = '2999a'")
    found = only_wrong(ledger(shared(main=made)))
    assert found.check == "time zone rules"
    assert "tzdata" in found.remedy


def test_a_ledger_on_a_standby(monkeypatch: pytest.MonkeyPatch) -> None:
    with private_folder() as folder, OwnPostgres(folder / "primary") as primary:
        standby = primary.standby(folder / "standby")
        with standby:
            monkeypatch.setenv("LEDGER_URL", standby.url())
            found = only_wrong(ledger(shared()))
            monkeypatch.setenv("LEDGER_URL", f"{standby.url()}?target_session_attrs=any")
            among = wrong(ledger(shared()))
    assert found.check == "primary"
    assert "standby" in found.said
    assert ("ledger", "primary") in among
