"""A new pipeline: its YAML file and its three-line DAG file; and the check that every pipeline has both."""

from __future__ import annotations

import re
from pathlib import Path

from include.pipeline_framework.config.loader import DEFAULTS, pipeline_files
from include.pipeline_framework.config.models import PIPELINE_ID
from include.pipeline_framework.errors import InvalidInputError

DAG_FILE = '''"""Airflow DAG of include/pipelines/{pipeline_id}.yaml; its manual is the DAG's documentation page."""

from include.pipeline_framework.orchestration.data_pipeline import data_pipeline

dag = data_pipeline("{pipeline_id}")
'''

YAML_FILE = """# yaml-language-server: $schema=./pipeline.schema.json
# What is not given here comes from defaults.yaml. Nothing runs before `enabled` is true.
enabled: false
source_object: {pipeline_id}

timezone: UTC
granularity: 1h
x_time_back: 1h
start_date: 2025-01-01
cron_schedule: "0 * * * *"

source:
  type: elasticsearch
  connection_id: source_elasticsearch
  index: {pipeline_id}
  time_field: "@timestamp"

stage:
  type: object_storage
  connection_id: stage_s3
  bucket: stage

target:
  type: snowflake
  connection_id: target_snowflake
  database: ANALYTICS
  schema: PUBLIC
  table: {table}
  columns: {{}}  # name: text | integer | number | boolean | timestamp | date; the whole document is in DOC anyway
"""


def new_pipeline(pipeline_id: str, root: Path) -> tuple[Path, Path]:
    """Write `include/pipelines/<id>.yaml` and `dags/data_pipeline_<id>.py` under `root`; returns both paths.

    The new pipeline is valid and disabled. Nothing is ever overwritten.

    Raises:
        InvalidInputError: Not an id, or one of the two files exists; nothing was written.
    """
    if not re.fullmatch(PIPELINE_ID, pipeline_id) or pipeline_id == DEFAULTS:
        raise InvalidInputError(
            f"{pipeline_id!r} can't be a pipeline's id",
            remedy=f"Use a small letter, then up to 63 small letters, digits and '_'; {DEFAULTS!r} is taken.",
        )
    pipeline, dag = _files(pipeline_id, root)
    existing = [str(path) for path in (pipeline, dag) if path.exists()]
    if existing:
        raise InvalidInputError(
            f"{' and '.join(existing)} exists", meaning="Nothing was written", remedy="Take another id, or edit it."
        )
    for path, template in ((pipeline, YAML_FILE), (dag, DAG_FILE)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(template.format(pipeline_id=pipeline_id, table=pipeline_id.upper()))
    return pipeline, dag


def pipeline_mismatches(root: Path) -> list[str]:
    """One sentence per pipeline without its DAG file, and per DAG file without its pipeline."""
    directory = root / "include" / "pipelines"
    pipelines = {path.stem for path in pipeline_files(directory)}
    dags = {path.stem.removeprefix("data_pipeline_") for path in (root / "dags").glob("data_pipeline_*.py")}
    missing = [f"{_files(name, root)[0]} has no DAG file {_files(name, root)[1]}" for name in sorted(pipelines - dags)]
    return missing + [
        f"{_files(n, root)[1]} has no pipeline file {_files(n, root)[0]}" for n in sorted(dags - pipelines)
    ]


def _files(pipeline_id: str, root: Path) -> tuple[Path, Path]:
    return root / "include" / "pipelines" / f"{pipeline_id}.yaml", root / "dags" / f"data_pipeline_{pipeline_id}.py"
