"""Sources in one file, one of which another system moves and reports, on a real ledger through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from include import framework
from include.cli.__main__ import main
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.config import loader
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor

pytestmark = pytest.mark.integration

FILE = """
timezone: America/New_York
granularity: 1h
x_time_back: 1h
start_date: 2013-03-01
end_date: 2013-04-01
fill_missing_days: false
sources:
  - source_object: lake_sales
    moved_by: external
    late_data_tolerance: {rows: 1}
  - source_object: clicks
    source: {type: elasticsearch, connection_id: source_elasticsearch, index: clicks, time_field: "@timestamp"}
    stage: {type: object_storage, connection_id: stage_s3, bucket: stage}
    target: {type: snowflake, connection_id: target_snowflake, table: CLICKS}
"""
WINDOW = ["--start", "2013-03-09T05:00Z", "--end", "2013-03-09T01:00"]  # the second is local time


@pytest.fixture
def store(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresLifecycleStore:
    """A file with two sources, and a planned day of both."""
    (tmp_path / "shop.yaml").write_text(FILE)
    (tmp_path / "defaults.yaml").write_text((loader.PIPELINES_DIRECTORY / "defaults.yaml").read_text())
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", tmp_path)
    assert main(["plan", "--target-date", "2013-03-09"]) == 0
    return PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))


def report(*arguments: str, pipeline: str = "lake_sales") -> int:
    return main(["ledger", "report", "--pipeline", pipeline, *WINDOW, *arguments])


def first(store: PostgresLifecycleStore) -> LedgerRow:
    return store.find(source_object="lake_sales", limit=1)[0]


def test_both_sources_of_the_file_are_planned(
    store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {row.source_object for row in store.find()} == {"lake_sales", "clicks"}
    assert len(store.find(source_object="lake_sales")) == 24
    row = first(store)
    assert (row.source_name, row.target_name, row.job_id) == ("external", "external", None)
    capsys.readouterr()
    (empty := loader.PIPELINES_DIRECTORY / "empty").mkdir()
    assert main(["config", "validate", "--directory", str(empty)]) == 0
    assert capsys.readouterr().out.startswith("0 pipelines in 0 files are valid\n")


def test_a_window_is_reported_as_its_system_moves_it(
    store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert report("--failed", "no disk", "--job-id", "spark-1") == 0
    assert "PENDING after 1 attempts: reported as failed: no disk" in capsys.readouterr().out
    assert report("--source-count", "9", "--target-count", "5", "--job-id", "spark-2") == 1
    assert "PENDING after 2 attempts: its system counted 9 rows" in capsys.readouterr().out
    assert report("--source-count", "9", "--target-count", "8", "--job-id", "spark-3") == 0
    done = capsys.readouterr().out
    row = first(store)
    assert done == (
        f"lake_sales 2013-03-09T05:00:00Z/2013-03-09T06:00:00Z (row {row.id}): COMPLETED, audited: 9 rows at the "
        "source, 8 at the target\n"
    )
    assert report("--source-count", "9", "--target-count", "8", "--job-id", "spark-3") == 0
    assert capsys.readouterr().out == done.rstrip("\n") + "; reported before, nothing was written\n"
    assert (row.pipeline_final_status, row.audit_result_status, row.job_id) == (
        "COMPLETED",
        "PASSED",
        "spark-3",
    )
    assert (row.source_count, row.target_count, row.count_difference) == (9, 8, 1)
    assert (row.heartbeat_at, row.last_error, row.dag_id) == (None, None, "cli ledger report")
    events = store.events(row.id)
    assert [event["event"] for event in events] == [
        "planned", "taken", "failed", "taken", "audit_failed", "taken", "completed",
    ]  # fmt: skip
    fences = [event["fence"] for event in events if event["event"] == "taken"]
    assert fences == sorted(set(fences))


def test_without_counts_it_is_skipped_and_as_json(
    store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert report("--format", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pipeline_final_status"], told["audit_process_status"], told["is_new"]) == ("SKIPPED", "SKIPPED", True)
    assert first(store).audit_result_status is None
    assert report("--source-count", "1", "--target-count", "1", "--replace", "counted now") == 0
    row = first(store)
    assert (row.pipeline_final_status, row.is_replacement_run_flag) == ("COMPLETED", True)
    (old,) = [each for each in store.find(include_invalidated=True) if each.is_invalidated_flag]
    assert (old.replaced_by_id, old.target_deletion_done_flag) == (row.id, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--source-count", "1"], "target_count is missing"),
        (["--source-count", "-1", "--target-count", "1"], "source_count is -1"),
        (["--failed", "x", "--source-count", "1", "--target-count", "1"], "failed and counts at once"),
        (["--job-id", " "], "job_id is ' '"),
        (["--end", "2013-03-09T07:30Z"], "no planned window has exactly these bounds"),
        (["--start", "2013-03-20", "--end", "2013-03-21"], "plan --pipeline lake_sales --target-date 2013-03-20"),
        (["--pipeline", "clicks"], "this bundle moves its data itself"),
        (["--pipeline", "lake_sale"], "did you mean lake_sales?"),
    ],
)
def test_what_is_refused_writes_nothing(
    store: PostgresLifecycleStore, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = store.find()
    assert report(*arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "What to do:" in error
    assert store.find() == before


def test_what_somebody_holds_is_theirs(store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]) -> None:
    row = store.take(first(store).id, Actor("other_system", "job-7"))
    assert report("--source-count", "1", "--target-count", "1") == 2
    assert "held by run job-7 of other_system" in capsys.readouterr().err
    assert first(store) == row


def test_from_python(store: PostgresLifecycleStore) -> None:
    config = framework.load_final_config("lake_sales")
    told = framework.report_external_window(
        config, "2013-03-09T00:00", "2013-03-09T01:00", source_count=0, target_count=0, job_id="airbyte-1"
    )
    assert (told["pipeline_final_status"], told["job_id"]) == ("COMPLETED", "airbyte-1")
    assert first(store).percentage_difference is None


def test_the_other_commands_leave_it_out_or_explain_it(
    store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store.find()
    assert main(["ledger", "reconcile", "--source", "lake_sales"]) == 2
    assert "another system moves its data" in capsys.readouterr().err
    assert main(["why", "lake_sales", "2013-03-09T00:30"]) == 0
    assert "ledger report --pipeline lake_sales" in capsys.readouterr().out
    assert main(["ledger", "show", "--source", "lake_sales"]) == 0
    assert main(["state", "analyse", "--source", "lake_sales"]) == 0


def test_a_rebuild_of_all_others_is_a_rebuild(
    store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]
) -> None:
    (loader.PIPELINES_DIRECTORY / "shop.yaml").write_text(FILE.split("  - source_object: clicks")[0])
    assert main(["ledger", "rebuild", "--apply"]) == 0
    assert "lake_sales: left out, another system moves its data" in capsys.readouterr().err
    assert store.identity().is_recorded
