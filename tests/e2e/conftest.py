"""A real Airflow (API server, scheduler, DAG processor, triggerer, LocalExecutor) on the session's stack.

With xdist the e2e files run side by side on one Airflow. So that they are not in each other's way, every process has a
lane: a pipeline of its own, like `main` in everything but its names, with its own DAG, index and target table. Nothing
has a schedule: runs are started by tests alone.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from include.pipeline_framework.config.loader import PIPELINES_DIRECTORY, load_pipeline
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.time.windows import TimeWindow
from local_stack import airflow
from local_stack.airflow_api import STANDSTILL_SECONDS, AirflowApi
from local_stack.flights import Days
from local_stack.home import Home
from local_stack.seed import seed
from local_stack.waiting import Patience
from tests import running_stack

OWN_PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
NO_SCHEDULE = (
    "audit_windows",
    "check_overdue_windows",
    "cleanup_stale_locks",
    "daily_planner",
    "data_pipeline_main",
    "doctor",
    "orders_sync_run_profiler",
    "publish_lifecycle",
    "state_manager",
)
BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
DAG_FILE = '''"""Airflow DAG of a lane of the e2e tests."""

from include.orchestration.data_pipeline import data_pipeline

dag = data_pipeline("{pipeline_id}")
'''


@dataclass(frozen=True)
class Bench:
    """What a test looks at: Airflow's API, the ledger, and both ends of its lane."""

    home: Home
    api: AirflowApi
    env: dict[str, str]
    config: PipelineConfig
    source_ids: Callable[[TimeWindow], Counter[str]]
    target_ids: Callable[[TimeWindow], Counter[str]]

    @property
    def dag_id(self) -> str:
        """The DAG of the lane's pipeline."""
        return self.config.dag_id

    @property
    def pipeline_id(self) -> str:
        """For the `pipelines` of a conf."""
        return self.config.pipeline_id

    @property
    def source_object(self) -> str:
        """The ledger's key of the lane."""
        return self.config.source_object

    @property
    def index(self) -> str:
        """The lane's index."""
        return str(self.config.source.options["index"])

    @property
    def table(self) -> str:
        """The lane's target table."""
        return str(self.config.target_object)

    def rows(self, window: TimeWindow) -> list[dict[str, Any]]:
        """Live ledger rows inside a range, in order."""
        return self.query(
            "SELECT * FROM pipeline_lifecycle WHERE source_object = %s AND NOT is_invalidated_flag "
            "AND query_window_start_at >= %s AND query_window_end_at <= %s ORDER BY query_window_start_at",
            self.source_object,
            window.start,
            window.end,
        )

    def query(self, text: str, *parameters: Any) -> list[dict[str, Any]]:
        """One statement on the ledger, in a transaction of its own; its rows, if it has any."""
        with psycopg.connect(self.env["LEDGER_URL"], autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(text.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def run(self, conf: dict[str, Any], dag_id: str | None = None) -> tuple[str, str]:
        """Trigger a run, of the lane's pipeline by default, and wait for it; returns its id and final state."""
        run_id = self.api.trigger(dag_id or self.dag_id, conf)
        return run_id, self.api.wait(dag_id or self.dag_id, run_id)

    def states(self, run_id: str) -> dict[str, list[str]]:
        """States of a run's task instances, by the last part of the task's id."""
        found: dict[str, list[str]] = {}
        for instance in self.api.task_instances(self.dag_id, run_id):
            found.setdefault(instance["task_id"].removeprefix("window."), []).append(instance["state"])
        return found

    def plan(self, target_date: str) -> str:
        """One run of `daily_planner` for the lane; returns its final state."""
        return self.run({"target_date": target_date, "pipelines": [self.pipeline_id]}, dag_id="daily_planner")[1]

    def assert_loaded(self, window: TimeWindow) -> None:
        """Both ends hold exactly the same ids, each once, and at least one."""
        source = self.source_ids(window)
        assert source
        assert self.target_ids(window) == source


def hours(start: str, end: str) -> TimeWindow:
    """A range by two ISO instants."""
    return TimeWindow(datetime.fromisoformat(start), datetime.fromisoformat(end))


def elsewhere(source_object: str) -> str:
    """Where `alone` puts the rows that are in the way."""
    return f"elsewhere_{source_object}"


def conf_of(window: TimeWindow, **more: Any) -> dict[str, Any]:
    """The conf that asks for exactly this range."""
    return {"from": window.start.isoformat(), "to": window.end.isoformat(), **more}


def wait_until(bench: Bench, what: Callable[[], bool]) -> None:
    """Wait for something that Airflow brings about, while anything in it moves."""

    def sign() -> object:
        return bench.query("SELECT COUNT(*) AS events FROM pipeline_lifecycle_events"), bench.api.newest_task()

    patience = Patience(sign, STANDSTILL_SECONDS, asks_every=10)
    while not what():
        assert not patience.is_over(), "nothing has moved for too long"
        time.sleep(0.3)


@pytest.fixture(scope="package")
def bench(stack_env: dict[str, str]) -> Iterator[Bench]:
    """Airflow is up, the flights of three days are in the lane's index, the lane's DAG and the planner are unpaused."""
    home = Home.at(Path(stack_env["LOCAL_STACK_HOME"]))
    extra = _write_lanes(home)
    _write(airflow.dags_without_schedule(home), "\n".join(NO_SCHEDULE))
    lane = f"lane_{OWN_PROCESS}"
    with running_stack.with_airflow(home, extra):
        seed(stack_env["ELASTICSEARCH_URL"], days=Days.parse("2013-03-09:2013-03-12"), index=f"flights_{lane}")
        config = load_pipeline(lane, Path(extra["PIPELINES_DIRECTORY"]))
        forget_earlier_sessions(stack_env, config)
        api = AirflowApi(home)
        api.wait_for_dags([config.dag_id, "daily_planner", "cleanup_stale_locks", "record_generation"])
        for dag_id in (config.dag_id, "daily_planner"):
            api.set_paused(dag_id, paused=False)
        _pipeline(config).target.prepare(config.source_object)  # faults of any test may need the table
        yield Bench(home, api, {**stack_env, **extra}, config, *_readers(config))
        api.set_paused(config.dag_id, paused=True)


@pytest.fixture(scope="package")
def batched(bench: Bench) -> Iterator[Bench]:
    """The lane's second pipeline, which reads the same index and carries three windows in a task."""
    config = load_pipeline(f"batched_{bench.config.pipeline_id}", Path(bench.env["PIPELINES_DIRECTORY"]))
    forget_earlier_sessions(bench.env, config)
    bench.api.wait_for_dags([config.dag_id])
    bench.api.set_paused(config.dag_id, paused=False)
    yield Bench(bench.home, bench.api, bench.env, config, *_readers(config))
    bench.api.set_paused(config.dag_id, paused=True)


@pytest.fixture
def alone(bench: Bench) -> Iterator[None]:
    """Rows that other tests of the lane have left are out of the way: runs without a conf take whatever is due."""
    move = "UPDATE pipeline_lifecycle SET source_object = %s WHERE source_object = %s"
    bench.query(move, elsewhere(bench.source_object), bench.source_object)
    yield
    bench.query("DELETE FROM pipeline_lifecycle WHERE source_object = %s", bench.source_object)
    bench.query(move, bench.source_object, elsewhere(bench.source_object))


def _write_lanes(home: Home) -> dict[str, str]:
    """The pipelines' files and their DAGs' in the stack's folder; the variables by which Airflow finds them."""
    pipelines, dags = home.path / "e2e" / "pipelines", home.path / "e2e" / "dags"
    like = yaml.safe_load((PIPELINES_DIRECTORY / "main.yaml").read_text(encoding="utf-8"))
    for name in ("defaults.yaml", "main.yaml", "replay.yaml"):
        _write(pipelines / name, (PIPELINES_DIRECTORY / name).read_text(encoding="utf-8"))
    for number in range(PROCESSES):
        lane = f"lane_gw{number}"
        own = {
            "source_object": f"flights_{lane}",
            "source": like["source"] | {"index": f"flights_{lane}"},
            "cron_schedule": None,
            "windows_per_task": 1,
            "target": like["target"] | {"table": f"FLIGHTS_{lane}".upper()},
        }
        batched = {"source_object": f"batched_{lane}", "windows_per_task": 3}
        batched["target"] = like["target"] | {"table": f"BATCHED_{lane}".upper()}
        for name, changes in ((lane, {}), (f"batched_{lane}", batched)):
            _write(pipelines / f"{name}.yaml", yaml.safe_dump(like | own | changes))
            _write(dags / f"data_pipeline_{name}.py", DAG_FILE.format(pipeline_id=name))
    return {
        "PIPELINES_DIRECTORY": str(pipelines),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": bundles({"e2e": dags}),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",  # changed files are read at once all the same
    }


def bundles(folders: dict[str, Path]) -> str:
    """Airflow's setting for the bundle's own DAGs and those of further folders, each with a name."""
    own = {"name": "dags-folder", "classpath": BUNDLE, "kwargs": {}}
    more = [{"name": name, "classpath": BUNDLE, "kwargs": {"path": str(folder)}} for name, folder in folders.items()]
    return json.dumps([own, *more])


def _write(file: Path, text: str) -> None:
    """The other processes write the same, and Airflow may be reading."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{OWN_PROCESS}")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def _pipeline(config: PipelineConfig) -> Any:
    from include.wiring import assembly

    return assembly.wire(config)


def _readers(
    config: PipelineConfig,
) -> tuple[Callable[[TimeWindow], Counter[str]], Callable[[TimeWindow], Counter[str]]]:
    from include.wiring import connections

    source = _pipeline(config).source

    def source_ids(window: TimeWindow) -> Counter[str]:
        with source.extract(window) as extract:
            return Counter(document.id for page in extract.pages() for document in page)

    def target_ids(window: TimeWindow) -> Counter[str]:
        statement = f"""
            SELECT "_ID" FROM "{config.target_object}"
            WHERE "_SOURCE_OBJECT" = %s AND "_EVENT_AT" >= %s AND "_EVENT_AT" < %s
        """
        bounds = [instant.replace(tzinfo=None).isoformat(sep=" ") for instant in (window.start, window.end)]
        with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
            return Counter(row[0] for row in cursor.execute(statement, [config.source_object, *bounds]).fetchall())

    return source_ids, target_ids


def forget_earlier_sessions(env: dict[str, str], config: PipelineConfig) -> None:
    """A stack that is kept between sessions (TEST_STACK_HOME) starts with an empty ledger and an empty target."""
    from include.wiring import connections

    with psycopg.connect(env["LEDGER_URL"], autocommit=True) as connection:
        for source_object in (config.source_object, elsewhere(config.source_object)):
            connection.execute("DELETE FROM pipeline_lifecycle WHERE source_object = %s", (source_object,))
    with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
        for table in (config.target_object, f"{config.target_object}_RECEIPTS"):
            cursor.execute(f'DROP TABLE IF EXISTS "{table}"')
