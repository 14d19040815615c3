"""DAG files of sources that share one YAML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.orchestration import pipeline_tasks
from include.pipeline_framework.config import loader
from include.pipeline_framework.config.scaffold import write_pipeline
from include.pipeline_framework.errors import ConfigurationError
from include.wiring import assembly

REPO = Path(__file__).resolve().parents[2]
SOURCES = """
timezone: UTC
granularity: 1h
x_time_back: 1h
start_date: 2025-01-01
source: {type: elasticsearch, connection_id: source_elasticsearch, time_field: "@timestamp"}
stage: {type: object_storage, connection_id: stage_s3, bucket: stage}
target: {type: snowflake, connection_id: target_snowflake, database: A, schema: B}
sources:
  - {source_object: clicks, source: {index: clicks}, target: {table: CLICKS}}
  - {source_object: lake, moved_by: external}
  - {source_object: views, source: {index: views}, target: {table: VIEWS}, granularity: 1 fortnight}
"""


def test_each_source_is_a_dag_and_a_wrong_one_is_one_import_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    directory = tmp_path / "include/pipelines"
    directory.mkdir(parents=True)
    (directory / "web.yaml").write_text(SOURCES)
    for name in ("clicks", "views"):
        write_pipeline(name, tmp_path)
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", directory)
    bag = DagBag(dag_folder=str(tmp_path / "dags"), bundle_path=tmp_path / "dags", load_op_links=False)
    assert set(bag.dags) == {"data_pipeline_clicks"}
    ((path, error),) = bag.import_errors.items()
    assert "data_pipeline_views.py" in path
    assert "sources[2].granularity: '1 fortnight'" in error


def test_what_another_system_moves_is_no_dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.dagbag import DagBag

    (tmp_path / "web.yaml").write_text(SOURCES)
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", tmp_path)
    text = Path(REPO / "dags/data_pipeline_main.py").read_text(encoding="utf-8")
    (tmp_path / "data_pipeline_lake.py").write_text(text.replace('("main")', '("lake")'))
    bag = DagBag(dag_folder=str(tmp_path), bundle_path=tmp_path, load_op_links=False)
    assert bag.dags == {}
    (error,) = bag.import_errors.values()
    assert "another system moves its data (moved_by: external) [pipeline lake]" in error
    assert "ledger report --pipeline lake" in error


def test_two_files_of_one_source_object_are_refused_before_anything_is_planned_or_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing reads one file only, so both have a DAG; no task of either gets as far as a connection to the ledger."""
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", tmp_path)
    text = (REPO / "include/pipelines/main.yaml").read_text(encoding="utf-8")
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(text)
    assert assembly.shape_config("one").source_object == assembly.shape_config("two").source_object
    for refuse in (pipeline_tasks.populate_pipeline_batches, pipeline_tasks.store_and_validate, assembly.pipeline):
        with pytest.raises(ConfigurationError, match=r"also in .*two\.yaml; two pipelines would claim"):
            refuse("one")
    assert set(assembly.all_configs().errors) == {"one", "two"}
