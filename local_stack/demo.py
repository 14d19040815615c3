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
from local_stack.airflow_api import FINAL_STATES, STANDSTILL_SECONDS, AirflowApi
from local_stack.environment import environment
from local_stack.errors import LocalStackError
from local_stack.home import Home
from local_stack.seed import seed
from local_stack.state import State
from local_stack.waiting import Patience

DAYS = ("2013-03-09", "2013-03-10", "2013-03-11")
DAG_ID = "data_pipeline_main"
SOURCE_OBJECT = "flights"

_PROGRESS = """
SELECT
    COUNT(*) AS windows,
    COUNT(*) FILTER (WHERE pipeline_final_status IN ('COMPLETED', 'SKIPPED')) AS finished,
    COUNT(*) FILTER (WHERE pipeline_final_status = 'FAILED') AS failed,
    COALESCE(GREATEST(EXTRACT(EPOCH FROM MIN(not_before_at) FILTER (WHERE pipeline_final_status = 'PENDING')
        - CLOCK_TIMESTAMP()), 0), 0)::float AS rests_seconds,
    (SELECT COUNT(*) FROM pipeline_lifecycle_events) AS events
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
    was_interrupted = _hold_schedule(home)
    with console.spinner("Starting the local stack"):
        stack.up(home, with_airflow=True, report=console.line)
    state = State.load(home)
    console.line("look", f"{airflow.address(state)}   login admin, password {state.secrets['airflow_admin']}")
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
        _drain(api, ledger, was_interrupted=was_interrupted)
        account = _query(ledger, _ACCOUNT)
        changed = _query(ledger, _HISTORY)[0]["events"] - before
    ids = _compare_ids()
    good = _print_account(account, ids)
    if changed == 0:
        console.line("again", "every window was done already: nothing was planned, claimed or loaded, nothing changed")
    else:
        console.line("ledger", f"{planned} windows planned, {changed} events written")
    release_schedule(home, api)
    console.line("look", f"{airflow.address(state)}   login admin, password {state.secrets['airflow_admin']}")
    console.line("ledger", 'eval "$(.venv/bin/python -m local_stack env)"; python -m include.cli ledger show')
    console.line("stop", "make down")
    console.line("demo", f"{'done' if good else 'FAILED'} after {time.monotonic() - began:.0f} s")
    return 0 if good else 1


def _hold_schedule(home: Home) -> bool:
    """The DAG starts no run by itself while the demo counts what its own runs do; whether an earlier demo held it."""
    home.create()
    home.airflow.mkdir(exist_ok=True, mode=0o700)
    file = airflow.dags_without_schedule(home)
    was_held = file.exists()
    file.write_text(f"{DAG_ID}\n")
    return was_held


def release_schedule(home: Home, api: AirflowApi) -> bool:
    """Give the DAG its schedule back; whether a demo held it."""
    file = airflow.dags_without_schedule(home)
    was_held = file.exists()
    if was_held:
        file.unlink()
        api.wait_for_dags([DAG_ID])
        api.parse_again(DAG_ID)
    return was_held


def _plan(api: AirflowApi) -> None:
    api.start_housekeeping()
    api.wait_for_dags([DAG_ID])
    _wait_until_it_has_no_schedule(api)
    runs = [api.trigger("daily_planner", {"target_date": day}) for day in DAYS]
    with console.spinner("Planning windows"):
        states = [api.wait("daily_planner", run_id) for run_id in runs]
    if set(states) != {"success"}:
        raise LocalStackError(f"The planner's runs ended {states}.", "Look at the runs of daily_planner in the UI.")
    console.line("daily_planner", f"planned {', '.join(DAYS)} in windows of 1 h")


def _wait_until_it_has_no_schedule(api: AirflowApi) -> None:
    """At once on a new stack; where Airflow ran already, its DAG processor reads the file again."""
    if api.has_schedule(DAG_ID):
        api.parse_again(DAG_ID)
        patience = Patience(lambda: None, STANDSTILL_SECONDS)
        while api.has_schedule(DAG_ID):
            if patience.is_over():
                raise LocalStackError(
                    f"Airflow's DAG processor has not read the file of {DAG_ID} again.",
                    "Look at airflow/logs/dag-processor.log in the stack's folder; `make down` and up again helps.",
                )
            time.sleep(0.5)


def _drain(api: AirflowApi, ledger: psycopg.Connection[dict[str, Any]], *, was_interrupted: bool) -> None:
    """Run the pipeline until every window is finished, or nothing is left that would come to an end by itself.

    A window that fails goes back to PENDING until its tries are spent, so this ends. Runs of an earlier demo are waited
    for; runs that go on when this is interrupted are left going: a paused DAG would freeze the windows that they hold.
    """
    was_paused = api.set_paused(DAG_ID, paused=False) or was_interrupted
    with console.progress_bar("Moving windows") as progress:
        runs = [run["dag_run_id"] for run in api.runs(DAG_ID, ("running", "queued"))]
        if runs:
            console.line(DAG_ID, f"{len(runs)} runs of an earlier start go on: {', '.join(runs)}")
        patience = Patience(lambda: _query(ledger, _PROGRESS)[0]["events"], STANDSTILL_SECONDS)
        while True:
            _wait_for(api, ledger, runs, progress)
            counts = _query(ledger, _PROGRESS)[0]
            if counts["finished"] + counts["failed"] == counts["windows"]:
                break
            if patience.is_over():
                raise _standstill(counts, [])
            if counts["rests_seconds"] > 0:
                console.line(DAG_ID, f"windows that failed come back in {counts['rests_seconds']:.0f} s")
            time.sleep(max(counts["rests_seconds"], 1 if runs else 0))
            runs = [api.trigger(DAG_ID, {"target_date": day}) for day in DAYS]
    api.set_paused(DAG_ID, paused=was_paused)


def _wait_for(api: AirflowApi, ledger: psycopg.Connection[dict[str, Any]], runs: list[str], progress: Any) -> None:
    """Until the runs have ended; given up only when neither an event of a window nor a task's state has come for long.

    Raises:
        LocalStackError: A standstill; the runs are left as they are.
    """

    def sign() -> object:
        return _query(ledger, _PROGRESS)[0]["events"], [api.sign_of_life(DAG_ID, run_id) for run_id in waiting]

    waiting = list(runs)
    patience = Patience(sign, STANDSTILL_SECONDS, asks_every=20)
    while waiting := [run_id for run_id in waiting if api.run_state(DAG_ID, run_id) not in FINAL_STATES]:
        counts = _query(ledger, _PROGRESS)[0]
        progress(counts["finished"], counts["windows"])
        if patience.is_over():
            raise _standstill(counts, waiting)
        time.sleep(1)
    counts = _query(ledger, _PROGRESS)[0]
    progress(counts["finished"], counts["windows"])


def _standstill(counts: dict[str, Any], waiting: list[str]) -> LocalStackError:
    runs = f"these runs of {DAG_ID} go on: {waiting}" if waiting else f"no run of {DAG_ID} goes on"
    return LocalStackError(
        f"Nothing has moved for {STANDSTILL_SECONDS:.0f} s, and {runs}. "
        f"{counts['finished']} of {counts['windows']} windows are done.",
        "Look at the runs in the Airflow UI, and at airflow/logs/scheduler.log in the stack's folder. Runs are left "
        "going, and `make demo` again waits for them.",
    )


def _compare_ids() -> Ids:
    """Read every id of the three days from Elasticsearch and from the target table."""
    from include.pipeline_framework.core.records.run_requests import parse_request
    from include.wiring import assembly, connections

    for name in ("airflow", "elastic_transport", "snowflake", "botocore"):  # their chatter would drown the result
        logging.getLogger(name).setLevel(logging.ERROR)
    pipeline = assembly.pipeline("main")
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
