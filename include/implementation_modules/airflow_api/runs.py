"""Starts runs through Airflow's REST API (version 2); see `AirflowRuns`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from include.implementation_modules.airflow_api.state import AirflowApiState
from include.pipeline_framework.errors import InvalidInputError


class AirflowApiRuns(AirflowApiState):
    """The same login asks and triggers: the user needs the right to edit DAGs and to create runs."""

    def unpause(self, dag_id: str) -> None:
        """See `AirflowRuns.unpause`."""
        self._require(dag_id, self._send("PATCH", f"/dags/{quote(dag_id)}?update_mask=is_paused", {"is_paused": False}))

    def trigger(self, dag_id: str, conf: Mapping[str, Any], note: str) -> str:
        """See `AirflowRuns.trigger`."""
        body = {"logical_date": None, "conf": dict(conf), "note": note}
        run = self._require(dag_id, self._send("POST", f"/dags/{quote(dag_id)}/dagRuns", body))
        return str(run["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """See `AirflowRuns.run_state`."""
        run = self._require(dag_id, self._get(f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}"))
        return str(run["state"])

    def run_address(self, dag_id: str, run_id: str) -> str:
        """See `AirflowRuns.run_address`."""
        return f"{self._base_url}/dags/{quote(dag_id)}/runs/{quote(run_id)}"

    def _send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        return self._answer(lambda: self._client.request(method, f"/api/v2{path}", json=body))

    def _require(self, dag_id: str, answer: Any) -> Any:
        if answer is None:
            raise InvalidInputError(
                f"Airflow knows no DAG {dag_id}, or not this run of it",
                where="airflow_api",
                remedy="Look whether its file is in the DAG folder, and for import errors: `doctor` shows both.",
            )
        return answer
