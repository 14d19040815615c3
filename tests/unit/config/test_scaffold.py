"""A new pipeline and its DAG file, and pipelines that have only one of the two."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.pipeline_framework.config.loader import load_pipeline
from include.pipeline_framework.config.scaffold import new_pipeline, pipeline_mismatches
from include.pipeline_framework.errors import InvalidInputError

REPO = Path(__file__).parents[3]


def test_a_new_pipeline_is_valid_and_disabled(tmp_path: Path) -> None:
    path, dag = new_pipeline("web_orders", tmp_path)
    assert path == tmp_path / "include/pipelines/web_orders.yaml"
    assert dag == tmp_path / "dags/data_pipeline_web_orders.py"
    config = load_pipeline("web_orders", path.parent)
    assert (config.enabled, config.source_object, config.target_object) == (False, "web_orders", "WEB_ORDERS")
    assert path.read_text().startswith("# yaml-language-server: $schema=./pipeline.schema.json\n")
    assert pipeline_mismatches(tmp_path) == []


def test_the_dag_file_is_three_lines_that_airflow_reads(tmp_path: Path) -> None:
    text = new_pipeline("web_orders", tmp_path)[1].read_text()
    assert [line for line in text.splitlines() if line][1:] == [
        "from include.pipeline_framework.orchestration.data_pipeline import data_pipeline",
        'dag = data_pipeline("web_orders")',
    ]
    assert "airflow" in text.lower()
    assert "dag" in text
    compile(text, "dag.py", "exec")


@pytest.mark.parametrize("name", ["", "A", "1a", "a-b", "a/b", "../x", "defaults", "a" * 65, "a b", "é", "a\n"])
def test_bad_ids_write_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="can't be a pipeline's id"):
        new_pipeline(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("existing", ["include/pipelines/web.yaml", "dags/data_pipeline_web.py"])
def test_nothing_is_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).parent.mkdir(parents=True)
    (tmp_path / existing).write_text("mine")
    with pytest.raises(InvalidInputError, match="exists"):
        new_pipeline("web", tmp_path)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]


def test_mismatches_in_both_directions(tmp_path: Path) -> None:
    new_pipeline("both", tmp_path)
    new_pipeline("no_dag", tmp_path)[1].unlink()
    new_pipeline("no_yaml", tmp_path)[0].unlink()
    (tmp_path / "include/pipelines/defaults.yaml").write_text("")
    without_dag, without_yaml = pipeline_mismatches(tmp_path)
    assert "no_dag.yaml has no DAG file" in without_dag
    assert "data_pipeline_no_yaml.py has no pipeline file" in without_yaml
