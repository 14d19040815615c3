"""A new pipeline and its DAG file, and pipelines that have only one of the two."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from include.pipeline_framework.config.loader import load_pipeline
from include.pipeline_framework.config.scaffold import pipeline_mismatches, write_pipeline
from include.pipeline_framework.errors import InvalidInputError
from tests.unit.config.doubles import good, write

REPO = Path(__file__).parents[3]


def new(pipeline_id: str, root: Path) -> list[Path]:
    return write_pipeline(pipeline_id, root, yaml.safe_dump(good(source_object=pipeline_id)))


def test_a_new_pipeline_is_two_files_that_belong_together(tmp_path: Path) -> None:
    path, dag = new("web_orders", tmp_path)
    assert path == tmp_path / "include/pipelines/web_orders.yaml"
    assert dag == tmp_path / "dags/data_pipeline_web_orders.py"
    assert load_pipeline("web_orders", path.parent).source_object == "web_orders"
    assert pipeline_mismatches(tmp_path) == []


def test_a_source_object_has_one_pipeline(tmp_path: Path) -> None:
    new("web", tmp_path)[0].rename(tmp_path / "include/pipelines/other.yaml")
    (tmp_path / "dags/data_pipeline_web.py").unlink()
    with pytest.raises(InvalidInputError, match=r"other\.yaml has the source_object 'web'"):
        new("web", tmp_path)
    assert not (tmp_path / "include/pipelines/web.yaml").exists()


def test_the_dag_file_is_three_lines_that_airflow_reads(tmp_path: Path) -> None:
    text = new("web_orders", tmp_path)[1].read_text()
    assert [line for line in text.splitlines() if line][1:] == [
        "from include.orchestration.data_pipeline import data_pipeline",
        'dag = data_pipeline("web_orders")',
    ]
    assert "airflow" in text.lower()
    assert "dag" in text
    compile(text, "dag.py", "exec")


@pytest.mark.parametrize("name", ["", "A", "1a", "a-b", "a/b", "../x", "defaults", "a" * 65, "a b", "é", "a\n"])
def test_bad_ids_write_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="can't be a pipeline's id"):
        new(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("existing", ["include/pipelines/web.yaml", "dags/data_pipeline_web.py"])
def test_nothing_is_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).parent.mkdir(parents=True)
    (tmp_path / existing).write_text("mine")
    with pytest.raises(InvalidInputError, match="exists"):
        new("web", tmp_path)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]


def test_mismatches_in_both_directions(tmp_path: Path) -> None:
    new("both", tmp_path)
    new("no_dag", tmp_path)[1].unlink()
    new("no_yaml", tmp_path)[0].unlink()
    (tmp_path / "include/pipelines/defaults.yaml").write_text("")
    without_dag, without_yaml = pipeline_mismatches(tmp_path)
    assert "no_dag.yaml has no DAG file" in without_dag
    assert "data_pipeline_no_yaml.py has no pipeline file" in without_yaml


def many(root: Path) -> Path:
    """A file with two sources, one of which has its DAG file."""
    directory = root / "include/pipelines"
    directory.mkdir(parents=True)
    write(
        directory, "many", {**good(source_object=None), "sources": [{"source_object": "one"}, {"source_object": "two"}]}
    )
    new("one", root)
    return directory


def test_a_source_of_a_list_gets_its_dag_file_only(tmp_path: Path) -> None:
    directory = many(tmp_path)
    (dag,) = new("two", tmp_path)
    assert dag == tmp_path / "dags/data_pipeline_two.py"
    assert "Airflow DAG of the source two in include/pipelines/many.yaml;" in dag.read_text()
    assert 'dag = data_pipeline("two")' in dag.read_text()
    assert [path.name for path in directory.iterdir()] == ["many.yaml"]
    assert pipeline_mismatches(tmp_path) == []
    with pytest.raises(InvalidInputError, match=r"data_pipeline_two\.py exists, and .*many\.yaml:\d+ \(sources\[1\]\)"):
        new("two", tmp_path)


def test_mismatches_of_a_list(tmp_path: Path) -> None:
    many(tmp_path)
    (missing,) = pipeline_mismatches(tmp_path)
    assert "many.yaml:" in missing
    assert "(sources[1]) has no DAG file" in missing
    assert missing.endswith("; python -m include.cli new two writes it")
    new("two", tmp_path)
    (tmp_path / "dags/data_pipeline_three.py").write_text("")
    (without,) = pipeline_mismatches(tmp_path)
    assert without.endswith("three.yaml, and no file's list has the source three")
