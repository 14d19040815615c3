"""Airflow's REST API as a person would use it: trigger, wait, clear. For the demo and the end-to-end tests."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from local_stack import airflow
from local_stack.errors import LocalStackError
from local_stack.home import Home
from local_stack.state import State
from local_stack.waiting import Patience

HOUSEKEEPING = ("daily_planner", "cleanup_stale_locks")
FINAL_STATES = ("success", "failed")
STANDSTILL_SECONDS = 900.0
"""Of all of Airflow: longer than the longest delay between two tries of a task."""
_TOKEN_SECONDS = 3_600


class AirflowApi:
    """A logged-in client of a stack's Airflow; every call raises `LocalStackError` with the server's answer."""

    def __init__(self, home: Home) -> None:
        self._state = State.load(home)
        # an answer may take as long as the slowest server behind it rests
        self._client = httpx.Client(base_url=airflow.address(self._state), timeout=STANDSTILL_SECONDS)
        self._token_until = 0.0

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run; returns its id."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        return str(self.call("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run."""
        return str(self.call("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id)}")["state"])

    def runs(self, dag_id: str, states: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Runs of a DAG, newest first, at most 100."""
        query = "&".join(["limit=100", "order_by=-run_after", *(f"state={state}" for state in states)])
        return list(self.call("GET", f"/dags/{dag_id}/dagRuns?{query}")["dag_runs"])

    def wait(self, dag_id: str, run_id: str) -> str:
        """Wait for the end of a run, however long it takes while anything in Airflow moves; returns its final state.

        Airflow itself sends the run's state every half second, on one request.
        """
        patience = Patience(lambda: self.sign_of_life(dag_id, run_id), STANDSTILL_SECONDS, asks_every=10)
        while True:
            for state in self._states(dag_id, run_id):
                if state in FINAL_STATES:
                    return state
                if patience.is_over():
                    raise LocalStackError(
                        f"Run {run_id} of {dag_id} is still {state}; nothing has moved for {STANDSTILL_SECONDS:.0f} s.",
                        "Look at the run in the Airflow UI, and at airflow/logs/scheduler.log in the stack's folder.",
                    )

    def _states(self, dag_id: str, run_id: str) -> Iterator[str]:
        """The run's state, again and again, until it has ended or the connection has."""
        self._log_in()
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}/wait?interval=0.5"
        with self._translated("GET", path), self._client.stream("GET", path) as answer:
            if answer.is_error:
                answer.read()
                raise _refused("GET", path, answer)
            for line in answer.iter_lines():
                if line:
                    yield str(json.loads(line)["state"])

    def sign_of_life(self, dag_id: str, run_id: str) -> object:
        """Changes while tasks of the run, or of another run of its DAG that it may wait for, change their states."""
        states = Counter(str(instance["state"]) for instance in self.task_instances(dag_id, run_id))
        return states, self.newest_task(dag_id)

    def newest_task(self, dag_id: str = "~") -> object:
        """The task that started last, of a DAG or of all of them."""
        path = f"/dags/{dag_id}/dagRuns/~/taskInstances?limit=1&order_by=-start_date"
        return [(instance["id"], instance["try_number"]) for instance in self.call("GET", path)["task_instances"]]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of a run, mapped ones included."""
        return list(
            self.call("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances?limit=1000")["task_instances"]
        )

    def clear(self, dag_id: str, run_id: str, task_ids: Sequence[Any], **options: Any) -> None:
        """Clear tasks of a run as the UI does: `task_ids` holds ids or `[id, map_index]` pairs."""
        body = {
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "dry_run": False,
            "only_failed": False,
            "include_downstream": True,
            "reset_dag_runs": True,
            **options,
        }
        self.call("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    def clear_run(self, dag_id: str, run_id: str) -> None:
        """Clear a whole run."""
        self.call("POST", f"/dags/{dag_id}/dagRuns/{quote(run_id)}/clear", {"dry_run": False, "only_failed": False})

    def set_paused(self, dag_id: str, *, paused: bool) -> bool:
        """Pause or unpause a DAG; returns whether it was paused before."""
        was_paused = bool(self.call("GET", f"/dags/{dag_id}")["is_paused"])
        if was_paused != paused:
            self.call("PATCH", f"/dags/{dag_id}?update_mask=is_paused", {"is_paused": paused})
        return was_paused

    def start_housekeeping(self) -> tuple[str, ...]:
        """Unpause the DAGs that keep the ledger in order; returns them. New DAGs are paused."""
        self.wait_for_dags(HOUSEKEEPING)
        for dag_id in HOUSEKEEPING:
            self.set_paused(dag_id, paused=False)
        return HOUSEKEEPING

    def wait_for_dags(self, dag_ids: Sequence[str]) -> None:
        """Wait until the DAG processor has parsed these DAGs, each in a file of its name, while it finds more."""
        known: set[str] = set()
        patience = Patience(lambda: len(known), STANDSTILL_SECONDS)
        while True:
            known |= {dag["dag_id"] for dag in self.call("GET", "/dags?limit=100")["dags"]}
            if not (missing := set(dag_ids) - known):
                return
            errors = {
                error["filename"]: error["stack_trace"]
                for error in self.call("GET", "/importErrors")["import_errors"]
                if Path(error["filename"]).stem in missing
            }
            if errors or patience.is_over():
                raise LocalStackError(
                    f"Airflow doesn't know {sorted(missing)}: {errors}",
                    "Mend the import errors above, if there are any; else look at airflow/logs/dag-processor.log.",
                )
            time.sleep(0.5)

    def has_schedule(self, dag_id: str) -> bool:
        """Whether the DAG starts runs by itself when it is not paused."""
        return self.call("GET", f"/dags/{dag_id}")["timetable_summary"] is not None

    def parse_again(self, dag_id: str) -> None:
        """Have the file of a DAG parsed at once, although it has not changed."""
        self.call("PUT", f"/parseDagFile/{self.call('GET', f'/dags/{dag_id}')['file_token']}")

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request below `/api/v2`; returns the decoded answer."""
        self._log_in()
        with self._translated(method, path):
            answer = self._client.request(method, f"/api/v2{path}", json=body)
        if answer.is_error:
            raise _refused(method, path, answer)
        decoded: dict[str, Any] = answer.json() if answer.content else {}
        return decoded

    @contextmanager
    def _translated(self, method: str, path: str) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise LocalStackError(
                f"Airflow's API server did not answer {method} {path}: {type(error).__name__} {error}",
                "`python -m local_stack status` shows what runs; airflow/logs/api-server.log says why.",
            ) from error

    def _log_in(self) -> None:
        if time.monotonic() < self._token_until:
            return
        self._client.headers["Authorization"] = f"Bearer {airflow.token(self._state)}"
        self._token_until = time.monotonic() + _TOKEN_SECONDS


def _refused(method: str, path: str, answer: httpx.Response) -> LocalStackError:
    return LocalStackError(
        f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:500]}",
        "The answer says what was wrong with the request.",
    )
