"""Two pipelines on real servers, Elasticsearch → S3 → Snowflake and Postgres → directory → Postgres, and a way to kill
the process that moves a window at a named point."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.implementation_modules.registry import options_model
from include.pipeline_framework.config.loader import load_pipeline
from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.window_attempt import run_on_window
from include.wiring import assembly

DAY = datetime(2024, 5, 1, tzinfo=UTC)
WINDOW = TimeWindow(DAY, DAY + timedelta(hours=1))
ROWS = 1_200

COMMON = """
source_object: {source_object}
granularity: 1h
x_time_back: 1h
start_date: 2024-05-01
max_retry_task: 3
"""
ELASTICSEARCH_TO_SNOWFLAKE = (
    COMMON
    + """
source: {{type: elasticsearch, connection_id: source_elasticsearch, index: {source_object}, page_size: 500}}
stage: {{type: object_storage, connection_id: stage_s3, bucket: {bucket}, file_rows: 400}}
target:
  type: snowflake
  connection_id: target_snowflake
  table: {table}
  columns: {{n: integer, name: text}}
"""
)
POSTGRES_TO_POSTGRES = (
    COMMON
    + """
source: {{type: postgres, connection_id: lifecycle_postgres, table: {source_object}, time_column: at, id_column: id}}
stage: {{type: object_storage, path: {directory}, file_rows: 400}}
target:
  type: postgres
  connection_id: lifecycle_postgres
  table: {table}
  columns: {{n: integer, name: text}}
"""
)

POINTS = (
    "before extract",
    "in the middle of the extract",
    "before manifest is in the ledger",
    "before publish",
    "after publish, before the ledger",
    "before audit is written",
)


def wire(directory: Path, pipeline_id: str = "moved") -> Pipeline:
    """The pipeline of a YAML file in a directory, on the real servers that the environment names."""
    config = load_pipeline(pipeline_id, directory, options_model=options_model)
    return assembly.wire(config)


def actor(number: int) -> Actor:
    """A DAG run of its own for each number."""
    return Actor("data_pipeline_moved", f"run-{number}", "audit", 0, 1)


def move(pipeline: Pipeline, record_id: int, who: Actor) -> dict[str, Any]:
    """Everything from source to audit, as the tasks of a run do it."""
    return run_on_window(
        pipeline.store,
        record_id,
        who,
        lambda attempt: move_until(pipeline, attempt, Phase.AUDIT),
        expected=None,
        max_retry_task=3,
        is_last_try=True,
    )


def kill_at(pipeline: Pipeline, point: str) -> None:
    """Make this process end by SIGKILL at one of POINTS, without any chance to clean up."""

    def die(*_arguments: Any, **_options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def after(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            method(*arguments, **options)
            return die()

        return call

    owner: Any = {
        "before extract": (pipeline.source, "extract", die),
        "in the middle of the extract": (pipeline.stage, "_put", None),
        "before manifest is in the ledger": (pipeline.stage, "write", after(pipeline.stage.write)),
        "before publish": (pipeline.target, "publish", die),
        "after publish, before the ledger": (pipeline.target, "publish", after(pipeline.target.publish)),
        "before audit is written": (pipeline.source, "count_undated", die),
    }[point]
    target, name, replacement = owner
    setattr(target, name, replacement or after(getattr(target, name)))


def ids_at_source(pipeline: Pipeline, window: TimeWindow = WINDOW) -> Counter[str]:
    """Every id of the window at the source."""
    with pipeline.source.extract(window) as extract:
        return Counter(document.id for page in extract.pages() for document in page)


def move_and_die(directory: Path, record_id: int, number: int, point: str) -> None:
    """What the child does that is killed."""
    pipeline = wire(directory)
    kill_at(pipeline, point)
    move(pipeline, record_id, actor(number))
