"""DAG files of sources that share one YAML file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from include.pipeline_framework.config import loader
from include.pipeline_framework.config.scaffold import new_pipeline

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
  - {source_object: views, source: {index: views}, target: {table: VIEWS}, granularity: 1 fortnight}
"""


def test_each_source_is_a_dag_and_a_wrong_one_is_one_import_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    directory = tmp_path / "include/pipelines"
    directory.mkdir(parents=True)
    (directory / "web.yaml").write_text(SOURCES)
    for source in yaml.safe_load(SOURCES)["sources"]:
        new_pipeline(source["source_object"], tmp_path)
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", directory)
    bag = DagBag(dag_folder=str(tmp_path / "dags"), bundle_path=tmp_path / "dags", load_op_links=False)
    assert set(bag.dags) == {"data_pipeline_clicks"}
    ((path, error),) = bag.import_errors.items()
    assert "data_pipeline_views.py" in path
    assert "sources[1].granularity: '1 fortnight'" in error
