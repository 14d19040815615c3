"""`python -m local_stack demo`: three days of real flights, planned, moved and audited by real Airflow DAG runs.

9, 10 and 11 March 2013 in New York: the clocks change on the 10th, so the days have 24, 23 and 24 hours. The demo uses
what a person uses: Airflow's API to trigger, the ledger to see. It proves the end by comparing every id of the source
with every id of the target.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from local_stack import airflow, console, stack
from local_stack.airflow_api import FINAL_STATES, AirflowApi
from local_stack.environment import environment
from local_stack.errors import LocalStackError
from local_stack.home import Home
from local_stack.seed import seed
from local_stack.state import State

DAYS = ("2013-03-09", "2013-03-10", "2013-03-11")
DAG_ID = "data_pipeline_main"
SOURCE_OBJECT = "flights"
_ROUNDS = 3
_DRAIN_SECONDS = 600

_PROGRESS = """
SELECT COUNT(*) AS windows, COUNT(*) FILTER (WHERE pipeline_final_status IN ('COMPLETED', 'SKIPPED')) AS finished
FROM pipeline_lifecycle
WHERE source_object = %(source_object)s AND target_day = ANY(%(days)s::date []) AND NOT is_invalidated_flag
"""
_ACCOUNT = """
SELECT
    target_day::text AS day,
    COUNT(*) AS windows,
    SUM(source_count) AS source,
    SUM(staged_count) AS staged,
    SUM(loaded_count) AS loaded,
    SUM(target_count) AS target,
    COUNT(*) FILTER (WHERE audit_result_status = 'PASSED') AS passed,
    COUNT(*) FILTER (WHERE pipeline_final_status = 'COMPLETED') AS completed,
    COUNT(*) FILTER (WHERE pipeline_final_status = 'SKIPPED') AS skipped,
    COUNT(*) FILTER (WHERE pipeline_final_status = 'FAILED') AS failed
FROM pipeline_lifecycle
WHERE source_object = %(source_object)s AND target_day = ANY(%(days)s::date []) AND NOT is_invalidated_flag
GROUP BY target_day
ORDER BY target_day
"""
_HISTORY = "SELECT COUNT(*) AS events FROM pipeline_lifecycle_events"


@dataclass(frozen=True)
class Ids:
    """The ids of the three days at both ends."""

    source: Counter[str]
    target: Counter[str]

    @property
    def agree(self) -> bool:
        """Exactly the same ids, each once."""
        return self.source == self.target and set(self.target.values()) <= {1}


def run(home: Home) -> int:
    """The whole demo; exit code 0 only when every window is accounted for and both ends hold the same ids."""
    began = time.monotonic()
    with console.spinner("Starting the local stack"):
        stack.up(home, with_airflow=True, report=console.line)
    variables = environment(home)
    os.environ.update(variables)  # the comparison at the end uses the pipeline's own connections
    with console.progress_bar("Indexing flights") as progress:
        seeded = seed(variables["ELASTICSEARCH_URL"], progress=progress)
        progress(seeded.count, seeded.count)
    console.line("source", f"{seeded.count:,} flights in Elasticsearch, {seeded.indexed:,} indexed now")
    api = AirflowApi(home)
    with psycopg.connect(variables["LEDGER_URL"], autocommit=True, row_factory=dict_row) as ledger:
        before = _query(ledger, _HISTORY)[0]["events"]
        _plan(api)
        planned = _query(ledger, _HISTORY)[0]["events"] - before
        _drain(api, ledger)
        account = _query(ledger, _ACCOUNT)
        changed = _query(ledger, _HISTORY)[0]["events"] - before
    ids = _compare_ids()
    good = _print_account(account, ids)
    if changed == 0:
        console.line("again", "every window was done already: nothing was planned, claimed or loaded, nothing changed")
    else:
        console.line("ledger", f"{planned} windows planned, {changed} events written")
    state = State.load(home)
    console.line("look", f"{airflow.address(state)}   login admin, password {state.secrets['airflow_admin']}")
    console.line("ledger", 'eval "$(.venv/bin/python -m local_stack env)"; python -m include.cli ledger show')
    console.line("stop", "make down")
    console.line("demo", f"{'done' if good else 'FAILED'} after {time.monotonic() - began:.0f} s")
    return 0 if good else 1


def _plan(api: AirflowApi) -> None:
    api.start_housekeeping()
    api.wait_for_dags([DAG_ID])
    runs = [api.trigger("daily_planner", {"target_date": day}) for day in DAYS]
    with console.spinner("Planning windows"):
        states = [api.wait("daily_planner", run_id) for run_id in runs]
    if set(states) != {"success"}:
        raise LocalStackError(f"The planner's runs ended {states}.", "Look at the runs of daily_planner in the UI.")
    console.line("daily_planner", f"planned {', '.join(DAYS)} in windows of 1 h")


def _drain(api: AirflowApi, ledger: psycopg.Connection[dict[str, Any]]) -> None:
    """Run the pipeline until every window is finished; bounded, because cleanup gives failed windows back."""
    was_paused = api.set_paused(DAG_ID, paused=False)
    try:
        with console.progress_bar("Moving windows") as progress:
            for _ in range(_ROUNDS):
                runs = [api.trigger(DAG_ID, {"target_date": day}) for day in DAYS]
                _wait_for(api, ledger, runs, progress)
                counts = _query(ledger, _PROGRESS)[0]
                if counts["finished"] == counts["windows"]:
                    return
    finally:
        api.set_paused(DAG_ID, paused=was_paused)


def _wait_for(api: AirflowApi, ledger: psycopg.Connection[dict[str, Any]], runs: list[str], progress: Any) -> None:
    until = time.monotonic() + _DRAIN_SECONDS
    while time.monotonic() < until:
        counts = _query(ledger, _PROGRESS)[0]
        progress(counts["finished"], counts["windows"])
        if all(api.run_state(DAG_ID, run_id) in FINAL_STATES for run_id in runs):
            return
        time.sleep(1)
    raise LocalStackError(
        f"The runs {runs} of {DAG_ID} have not ended after {_DRAIN_SECONDS} s.",
        "Look at them in the Airflow UI, and at airflow/logs/scheduler.log in the stack's folder.",
    )


def _compare_ids() -> Ids:
    """Read every id of the three days from Elasticsearch and from the target table."""
    from include.pipeline_framework.core.run_requests import parse_request
    from include.pipeline_framework.orchestration import connections, wiring

    for name in ("airflow", "elastic_transport", "snowflake", "botocore"):  # their chatter would drown the result
        logging.getLogger(name).setLevel(logging.ERROR)
    pipeline = wiring.pipeline("main")
    request = parse_request({"from": DAYS[0], "to": "2013-03-12"}, pipeline.config.horizon, SOURCE_OBJECT)
    assert request.ranges is not None  # noqa: S101 - a request with from and to has ranges
    (window,) = request.ranges
    source: Counter[str] = Counter()
    with pipeline.source.extract(window) as extract:
        for page in extract.pages():
            source.update(document.id for document in page)
    with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
        cursor.execute('SELECT "_ID" FROM "FLIGHTS" WHERE "_SOURCE_OBJECT" = %s', (SOURCE_OBJECT,))
        rows = cursor.fetchall()
    return Ids(source, Counter(row[0] for row in rows if _is_of_the_days(row[0])))


def _is_of_the_days(flight_id: str) -> bool:
    """Flight ids start with their local date."""
    return f"{flight_id[:4]}-{flight_id[4:6]}-{flight_id[6:8]}" in DAYS


def _print_account(account: list[dict[str, Any]], ids: Ids) -> bool:
    table = Table(title="What happened to every window", header_style="bold", box=SIMPLE)
    for name in ("day", "windows", "source", "staged", "loaded", "target", "audited", "done"):
        table.add_column(name, justify="left" if name == "day" else "right", no_wrap=True)
    good = ids.agree and len(account) == len(DAYS)
    for row in account:
        finished = row["completed"] + row["skipped"]
        is_done = finished == row["windows"] and row["source"] == row["target"]
        good = good and is_done
        counts = [str(row[name]) for name in ("windows", "source", "staged", "loaded", "target", "passed")]
        detail = f"{finished}" + (f" ({row['skipped']} skipped with proof)" if row["skipped"] else "")
        table.add_row(row["day"], *counts, Text(detail, style="green" if is_done else "red"))
    console.out.print(table)
    verdict = "exactly the same ids" if ids.agree else "DIFFERENT ids"
    console.line("proof", f"source {ids.source.total():,} ids, target {ids.target.total():,} ids: {verdict}")
    return good


def _query(ledger: psycopg.Connection[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    return ledger.execute(text.encode(), {"source_object": SOURCE_OBJECT, "days": list(DAYS)}).fetchall()
