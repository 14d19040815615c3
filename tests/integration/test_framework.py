"""The requirement documents' functions with their own defaults: real ledger, source, stage and target."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import yaml
from elasticsearch import Elasticsearch
from psycopg.rows import dict_row

from include import framework
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import (
    InvalidInputError,
    LedgerRefusedError,
    WindowFinishedError,
    WindowHeldError,
)
from include.wiring import run_context

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("error::ResourceWarning:include")]

MIDNIGHT = datetime(2013, 3, 9, 5, tzinfo=UTC)  # in New York
NOW = datetime(2013, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OTHER_RUN = Actor("data_pipeline_main", "scheduled__2013-03-11", "source_to_stage", 0, 1)


@pytest.fixture
def final_config(
    ledger_url: str, elasticsearch_url: str, s3_bucket: str, snowflake_connect: Callable[[], Any], tmp_path: Path
) -> Iterator[dict[str, Any]]:
    """A pipeline of its own, as `load_final_config` gives it: four documents in the first hour, one in the second."""
    name = f"framework_{uuid.uuid4().hex[:12]}"
    with Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        client.indices.create(index=name, mappings={"properties": {"@timestamp": {"type": "date"}}})
        for number in range(5):
            at = MIDNIGHT + number * timedelta(minutes=15)
            client.index(index=name, id=f"d{number}", document={"@timestamp": at.isoformat(), "number": number})
        client.indices.refresh(index=name)
        (tmp_path / f"{name}.yaml").write_text(
            yaml.safe_dump(
                {
                    "source_object": name,
                    "timezone": "America/New_York",
                    "granularity": "1h",
                    "x_time_back": "1d",
                    "start_date": "2013-01-01",
                    "source": {"type": "elasticsearch", "connection_id": "source_elasticsearch", "index": "${INDEX}"},
                    "stage": {
                        "type": "object_storage",
                        "connection_id": "stage_s3",
                        "bucket": s3_bucket,
                        "prefix": name,
                    },
                    "target": {
                        "type": "snowflake",
                        "connection_id": "target_snowflake",
                        "table": name,
                        "stage_name": f"{name}_STAGE",
                        "columns": {"number": "integer"},
                    },
                }
            )
        )
        yield framework.load_final_config(name, directory=tmp_path, variables={"INDEX": name}.get)
        client.indices.delete(index=name)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


def stored(final_config: dict[str, Any]) -> dict[str, Any]:
    """The next generated record, stored."""
    record = framework.build_complete_pipeline_record(final_config, now=NOW)
    assert record is not None
    assert framework.upload_record_to_database(final_config, record)
    return record


def test_the_documents_flow_from_record_to_audit(
    final_config: dict[str, Any], ledger: psycopg.Connection[dict[str, Any]]
) -> None:
    first = stored(final_config)
    assert first["WINDOW_START_TIME"] == MIDNIGHT
    second = stored(final_config)
    assert second["WINDOW_START_TIME"] == MIDNIGHT + HOUR, "it continues where the ledger says"

    record = framework.download_oldest_pending_record()
    assert record is not None
    assert (record["window_start_time"], record["pipeline_status"]) == (MIDNIGHT, "PENDING")
    assert framework.get_source_count(final_config, record) == 4
    assert framework.get_target_count(final_config, record) == 0
    assert framework.transfer_source_to_stage(final_config, record)
    (held,) = framework.get_all_in_progress_records()
    assert (held["phase_completed"], held["dag_id"]) == ("SOURCE_TO_STAGE", run_context.PYTHON_SESSION)
    assert framework.transfer_stage_to_target(final_config, record)
    assert framework.get_target_count(final_config, record) == 4
    assert framework.audit(final_config, record)["pipeline_final_status"] == "COMPLETED"

    shown = ledger.execute("SELECT * FROM pipeline_records WHERE id = %s", [record["id"]]).fetchone()
    assert shown is not None
    assert (shown["pipeline_status"], shown["audit_result"], shown["target_count"]) == ("COMPLETED", "PASSED", 4)
    assert shown.keys() <= set(record), "a record has every name of the view"
    with pytest.raises(WindowFinishedError, match='"replace": true'):
        framework.transfer_source_to_stage(final_config, record)


def test_cleaning_makes_the_next_step_do_it_again(final_config: dict[str, Any], s3_client: Any, s3_bucket: str) -> None:
    record = stored(final_config)
    framework.transfer_stage_to_target(final_config, record)
    (before,) = framework.get_all_in_progress_records()

    assert framework.clean_target_location(final_config, record)
    assert framework.get_target_count(final_config, record) == 0
    assert framework.clean_stage_location(final_config, record)
    listed = s3_client.list_objects_v2(Bucket=s3_bucket, Prefix=final_config["stage"]["prefix"])
    assert listed["KeyCount"] == 0

    assert framework.audit(final_config, record)["loaded_count"] == 4
    row = framework.get_all_in_progress_records()
    assert row == []
    assert framework.get_target_count(final_config, record) == 4
    assert framework.clean_stage_location(final_config, before), "a finished window's stage may go"


def test_the_ledger_refuses_what_is_not_this_runs(final_config: dict[str, Any]) -> None:
    record = stored(final_config)
    framework.transfer_source_to_stage(final_config, record, actor=OTHER_RUN)
    (held,) = framework.get_all_in_progress_records()
    for function in (
        framework.transfer_source_to_stage,
        framework.clean_stage_location,
        framework.clean_target_location,
        framework.audit,
    ):
        with pytest.raises(WindowHeldError, match=r"scheduled__2013-03-11"):
            function(final_config, held)
    with pytest.raises(WindowHeldError, match="not known to be gone"):
        framework.update_record_in_database(held | {"pipeline_status": "PENDING"})
    with pytest.raises(InvalidInputError, match="source_count can't be written by hand"):
        framework.update_record_in_database(held | {"source_count": 0}, actor=OTHER_RUN)
    assert framework.update_record_in_database(held | {"pipeline_status": "PENDING"}, actor=OTHER_RUN)
    with pytest.raises(LedgerRefusedError, match="Read the record again"):
        framework.update_record_in_database(held, actor=OTHER_RUN)
    assert framework.get_all_in_progress_records() == []


def test_an_update_takes_a_pending_window(final_config: dict[str, Any]) -> None:
    stored(final_config)
    record = framework.download_oldest_pending_record(source_object=final_config["source_object"])
    assert record is not None
    taken = record | {"pipeline_status": "IN_PROGRESS"}
    assert framework.upload_record_to_database(final_config, taken, actor=OTHER_RUN)
    (held,) = framework.get_all_in_progress_records()
    assert (held["dag_run_id"], held["heartbeat_at"]) == (OTHER_RUN.dag_run_id, None)
    with pytest.raises(LedgerRefusedError):
        framework.upload_record_to_database(final_config, taken)


def test_planning_and_claiming_with_the_projects_own_pipelines(ledger_url: str) -> None:
    (report,) = framework.plan_target_date("2013-03-10", pipelines=["main"])
    assert (report["expected"], report["inserted"]) == (23, 23)  # the clocks go forward
    final_config = framework.load_final_config()
    claimed = framework.store_and_validate(final_config, conf={"target_date": "2013-03-10", "max_windows": 2})
    assert [record["start"] for record in claimed] == ["2013-03-10T05:00:00Z", "2013-03-10T06:00:00Z"]
    found = framework.latest_timestamp_available("flights", "2013-03-10")
    assert found == datetime(2013, 3, 11, 4, tzinfo=UTC)
    assert framework.build_complete_pipeline_record(final_config, target_day=claimed_day(claimed)) is None
    assert framework.cleanup_stale_locks() == [], "outside Airflow nobody can tell that this session is gone"


def claimed_day(claimed: list[dict[str, Any]]) -> Any:
    return datetime.fromisoformat(claimed[0]["target_day"]).date()


def test_inside_a_task_the_task_is_the_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time.context import set_current_context

    ti = SimpleNamespace(
        dag_id="data_pipeline_main", run_id="manual__1", task_id="mine", map_index=3, try_number=1, max_tries=3
    )
    ti.get_dagrun_state = lambda dag_id, run_id: "success"
    with set_current_context({"ti": ti}):  # type: ignore[typeddict-item]
        assert run_context.current_actor("audit") == Actor("data_pipeline_main", "manual__1", "mine", 3, 1)
        assert not run_context.is_last_try()
        assert run_context.run_state("d", "r").value == "ended"
    assert run_context.current_actor("audit").dag_id == run_context.PYTHON_SESSION
    assert json.dumps(run_context.current_actor("audit").dag_run_id)
