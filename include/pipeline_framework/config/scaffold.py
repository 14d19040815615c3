"""Write a new pipeline's YAML file (unless a list has it) and DAG file; check that every pipeline has both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from include.pipeline_framework.config.file_sources import DEFAULTS, FileSource, all_sources, is_id
from include.pipeline_framework.config.models import EXTERNAL
from include.pipeline_framework.config.yaml_file import read_yaml
from include.pipeline_framework.errors import InvalidInputError

DAG_FILE = '''"""Airflow DAG of {said}; its manual is the DAG's documentation page."""

from include.orchestration.data_pipeline import data_pipeline

dag = data_pipeline("{pipeline_id}")
'''


def listed_source(pipeline_id: str, root: Path) -> FileSource | None:
    """Return the source of a file's list that lacks only its DAG file; None: the pipeline is to be new.

    Raises:
        InvalidInputError: It is not an id, or a file to write exists already.
    """
    if not is_id(pipeline_id):
        raise InvalidInputError(
            f"{pipeline_id!r} can't be a pipeline's id",
            remedy=f"Use a small letter, then up to 63 small letters, digits and '_'; {DEFAULTS!r} is taken.",
        )
    pipeline, dag = _files(pipeline_id, root)
    listed = next((one for one in _listed(root) if one.pipeline_id == pipeline_id), None)
    if listed and listed.merged(defaults_of(root)).get("moved_by") == EXTERNAL:
        raise InvalidInputError(
            f"{listed.place} has moved_by: external",
            meaning="Another system moves its data, so it has no DAG; nothing was written",
            remedy="Remove moved_by to have this bundle move it.",
        )
    existing = [str(path) for path in ((dag,) if listed else (pipeline, dag)) if path.exists()]
    if existing:
        raise InvalidInputError(
            f"{' and '.join(existing)} exists"
            + (f", and {listed.place} is the pipeline {pipeline_id}" if listed else ""),
            meaning="Nothing was written",
            remedy="Take another id, or edit it.",
        )
    owner = next((one for one in all_sources(_directory(root)) if one.source_object == pipeline_id), None)
    if owner and not listed:
        raise InvalidInputError(
            f"{owner.place} has the source_object {pipeline_id!r}",
            meaning="Two pipelines would claim each other's windows; nothing was written",
            remedy="Take another id.",
        )
    return listed


def write_pipeline(pipeline_id: str, root: Path, text: str = "") -> list[Path]:
    """Write `include/pipelines/<id>.yaml` and `dags/data_pipeline_<id>.py` under `root`; return the written files.

    For a source that is in a file's list already, only the DAG file is written. Nothing is ever overwritten.

    Args:
        pipeline_id: The new pipeline.
        root: The repository.
        text: Of the YAML file.

    Raises:
        InvalidInputError: As `listed_source`; nothing was written.
    """
    listed = listed_source(pipeline_id, root)
    pipeline, dag = _files(pipeline_id, root)
    said = f"include/pipelines/{pipeline_id}.yaml"
    if listed:
        said = f"the source {pipeline_id} in include/pipelines/{listed.file.path.name}"
    files = {} if listed else {pipeline: text}
    files[dag] = DAG_FILE.format(pipeline_id=pipeline_id, said=said)
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    return list(files)


def defaults_of(root: Path) -> dict[str, Any]:
    """Return what `defaults.yaml` says; nothing where there is none."""
    path = _directory(root) / f"{DEFAULTS}.yaml"
    return read_yaml(path).data if path.exists() else {}


def pipeline_mismatches(root: Path) -> list[str]:
    """Return a sentence per pipeline without DAG file, and per DAG file without a pipeline that this bundle moves."""
    defaults = defaults_of(root)
    pipelines = {one.pipeline_id: one for one in all_sources(_directory(root)) if one.pipeline_id}
    external = {name for name, one in pipelines.items() if one.merged(defaults).get("moved_by") == EXTERNAL}
    dags = {path.stem.removeprefix("data_pipeline_") for path in (root / "dags").glob("data_pipeline_*.py")}
    missing = [
        f"{pipelines[name].place} has no DAG file {_files(name, root)[1]}"
        + (f"; python -m include.cli new {name} writes it" if pipelines[name].base else "")
        for name in sorted(pipelines.keys() - dags - external)
    ]
    missing += [
        f"{_files(n, root)[1]} must go: another system moves {n} ({pipelines[n].place} has moved_by: external)"
        for n in sorted(dags & external)
    ]
    return missing + [
        f"{_files(n, root)[1]} has no pipeline file {_files(n, root)[0]}, and no file's list has the source {n}"
        for n in sorted(dags - pipelines.keys())
    ]


def _listed(root: Path) -> list[FileSource]:
    return [source for source in all_sources(_directory(root)) if source.base]


def _directory(root: Path) -> Path:
    return root / "include" / "pipelines"


def _files(pipeline_id: str, root: Path) -> tuple[Path, Path]:
    return _directory(root) / f"{pipeline_id}.yaml", root / "dags" / f"data_pipeline_{pipeline_id}.py"
