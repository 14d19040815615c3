"""Airflow's REST API as a person would use it: trigger, wait, clear. For the demo and the end-to-end tests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx

from local_stack import airflow
from local_stack.errors import LocalStackError
from local_stack.home import Home
from local_stack.state import State

HOUSEKEEPING = ("daily_planner", "cleanup_stale_locks")
FINAL_STATES = ("success", "failed")
_TOKEN_SECONDS = 3_600


class AirflowApi:
    """A logged-in client of a stack's Airflow; every call raises `LocalStackError` with the server's answer."""

    def __init__(self, home: Home) -> None:
        self._state = State.load(home)
        self._client = httpx.Client(base_url=airflow.address(self._state), timeout=60)
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

    def wait(self, dag_id: str, run_id: str, timeout_seconds: float = 300) -> str:
        """Wait for the end of a run; returns its final state."""
        until = time.monotonic() + timeout_seconds
        while time.monotonic() < until:
            state = self.run_state(dag_id, run_id)
            if state in FINAL_STATES:
                return state
            time.sleep(0.5)
        raise LocalStackError(
            f"Run {run_id} of {dag_id} is still {state} after {timeout_seconds:.0f} s.",
            "Look at the run in the Airflow UI, and at airflow/logs/scheduler.log in the stack's folder.",
        )

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

    def wait_for_dags(self, dag_ids: Sequence[str], timeout_seconds: float = 120) -> None:
        """Wait until the dag processor has parsed these DAGs."""
        until = time.monotonic() + timeout_seconds
        missing = set(dag_ids)
        while missing and time.monotonic() < until:
            missing -= {dag["dag_id"] for dag in self.call("GET", "/dags?limit=100")["dags"]}
            if missing:
                time.sleep(0.5)
        if missing:
            errors = self.call("GET", "/importErrors")["import_errors"]
            raise LocalStackError(
                f"Airflow doesn't know {sorted(missing)} after {timeout_seconds:.0f} s: {errors}",
                "Mend the import errors above, if there are any; else look at airflow/logs/dag-processor.log.",
            )

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request below `/api/v2`; returns the decoded answer."""
        self._log_in()
        answer = self._client.request(method, f"/api/v2{path}", json=body)
        if answer.is_error:
            raise LocalStackError(
                f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:500]}",
                "The answer says what was wrong with the request.",
            )
        decoded: dict[str, Any] = answer.json() if answer.content else {}
        return decoded

    def _log_in(self) -> None:
        if time.monotonic() < self._token_until:
            return
        self._client.headers["Authorization"] = f"Bearer {airflow.token(self._state)}"
        self._token_until = time.monotonic() + _TOKEN_SECONDS
