"""A real Airflow (API server, scheduler, dag processor, triggerer, LocalExecutor) on the session's stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from include.pipeline_framework.core.windows import TimeWindow
from local_stack import stack
from local_stack.airflow_api import AirflowApi
from local_stack.flights import Days
from local_stack.home import Home
from local_stack.seed import seed

PIPELINE = "data_pipeline_main"


@dataclass(frozen=True)
class Bench:
    """What a test looks at: Airflow's API, the ledger, and both ends."""

    home: Home
    api: AirflowApi
    env: dict[str, str]
    source_ids: Callable[[TimeWindow], Counter[str]]
    target_ids: Callable[[TimeWindow], Counter[str]]

    def rows(self, window: TimeWindow) -> list[dict[str, Any]]:
        """Live ledger rows inside a range, in order."""
        return self.query(
            "SELECT * FROM pipeline_lifecycle WHERE source_object = 'flights' AND NOT is_invalidated_flag "
            "AND query_window_start_at >= %s AND query_window_end_at <= %s ORDER BY query_window_start_at",
            window.start,
            window.end,
        )

    def query(self, text: str, *parameters: Any) -> list[dict[str, Any]]:
        """Read the ledger."""
        with psycopg.connect(self.env["LEDGER_URL"], row_factory=dict_row) as connection:
            return connection.execute(text.encode(), parameters).fetchall()

    def run(self, conf: dict[str, Any], dag_id: str = PIPELINE, timeout: float = 180) -> tuple[str, str]:
        """Trigger a run and wait for it; returns its id and final state."""
        run_id = self.api.trigger(dag_id, conf)
        return run_id, self.api.wait(dag_id, run_id, timeout)

    def housekeeping(self) -> str:
        """One run of `cleanup_stale_locks`, whose DAG is paused otherwise; returns its final state."""
        self.api.set_paused("cleanup_stale_locks", paused=False)
        try:
            return self.run({}, dag_id="cleanup_stale_locks")[1]
        finally:
            self.api.set_paused("cleanup_stale_locks", paused=True)

    def assert_loaded(self, window: TimeWindow) -> None:
        """Both ends hold exactly the same ids, each once, and at least one."""
        source = self.source_ids(window)
        assert source
        assert self.target_ids(window) == source


def hours(start: str, end: str) -> TimeWindow:
    """A range by two ISO instants."""
    return TimeWindow(datetime.fromisoformat(start), datetime.fromisoformat(end))


def conf_of(window: TimeWindow, **more: Any) -> dict[str, Any]:
    """The conf that asks for exactly this range."""
    return {"from": window.start.isoformat(), "to": window.end.isoformat(), **more}


@pytest.fixture(scope="session")
def bench(stack_env: dict[str, str]) -> Iterator[Bench]:
    """Airflow is up, the flights of three days are indexed, the pipeline's DAG is unpaused."""
    from include.pipeline_framework.orchestration import connections, wiring

    home = Home.at(Path(stack_env["LOCAL_STACK_HOME"]))
    seed(stack_env["ELASTICSEARCH_URL"], days=Days.parse("2013-03-09:2013-03-12"))
    stack.up(home, with_airflow=True, prefer_default_ports=False)
    api = AirflowApi(home)
    api.wait_for_dags([PIPELINE, "daily_planner", "cleanup_stale_locks", "record_generation"])
    for dag_id in (PIPELINE, "daily_planner"):
        api.set_paused(dag_id, paused=False)
    source = wiring.pipeline("main").source
    _forget_earlier_sessions(stack_env)

    def source_ids(window: TimeWindow) -> Counter[str]:
        with source.extract(window) as extract:
            return Counter(document.id for page in extract.pages() for document in page)

    def target_ids(window: TimeWindow) -> Counter[str]:
        statement = """
            SELECT "_ID" FROM "FLIGHTS" WHERE "_SOURCE_OBJECT" = 'flights' AND "_EVENT_AT" >= %s AND "_EVENT_AT" < %s
        """
        bounds = [instant.replace(tzinfo=None).isoformat(sep=" ") for instant in (window.start, window.end)]
        with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
            return Counter(row[0] for row in cursor.execute(statement, bounds).fetchall())

    yield Bench(home, api, stack_env, source_ids, target_ids)
    for dag_id in (PIPELINE, "daily_planner"):
        api.set_paused(dag_id, paused=True)


def _forget_earlier_sessions(env: dict[str, str]) -> None:
    """A stack that is kept between sessions (TEST_STACK_HOME) starts with an empty ledger and an empty target."""
    from include.pipeline_framework.orchestration import connections

    with psycopg.connect(env["LEDGER_URL"], autocommit=True) as connection:
        connection.execute("TRUNCATE pipeline_lifecycle")
    with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
        for table in ("FLIGHTS", "FLIGHTS_RECEIPTS"):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
