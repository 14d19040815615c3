"""Asks Airflow's REST API (version 2) what it says of its DAGs; see `AirflowState`."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import quote

from include.pipeline_framework.errors import (
    ConfigurationError,
    InvalidInputError,
    PipelineError,
    ServiceUnavailableError,
)

_TIMEOUT_SECONDS = 60.0
_REMEDY = "Correct host, port, login and password of the connection airflow_api; the user needs to read DAGs and runs."
_MOST = 100
_LONGEST_DETAIL = 500


class AirflowApiState:
    """Reads with a user's login, or with a token; nothing is changed.

    Args:
        base_url: Where the UI is.
        login: A user's; empty: `password` is a token.
        password: The user's, or a token.
    """

    def __init__(self, base_url: str, login: str, password: str) -> None:
        self._base_url, self._login, self._password = base_url.rstrip("/"), login, password

    def import_errors(self) -> dict[str, str]:
        """See `AirflowState.import_errors`."""
        found = self._get(f"/importErrors?limit={_MOST}") or {}
        return {
            str(error["filename"]): str(error["stack_trace"]).strip().rpartition("\n")[2]
            for error in found.get("import_errors", ())
        }

    def is_paused(self, dag_id: str) -> bool | None:
        """See `AirflowState.is_paused`."""
        found = self._get(f"/dags/{quote(dag_id)}")
        return None if found is None or found.get("is_stale") else bool(found["is_paused"])

    def last_state(self, dag_id: str) -> str:
        """See `AirflowState.last_state`."""
        found = self._get(f"/dags/{quote(dag_id)}/dagRuns?limit=1&order_by=-run_after&state=success&state=failed")
        runs = (found or {}).get("dag_runs", ())
        return str(runs[0]["state"]) if runs else ""

    @cached_property
    def _client(self) -> Any:
        import httpx

        try:
            client = httpx.Client(base_url=self._base_url, timeout=_TIMEOUT_SECONDS)
        except httpx.InvalidURL:
            raise ConfigurationError(
                "the connection airflow_api has no usable address", meaning="It is not shown", remedy=_REMEDY
            ) from None
        token = self._password
        if self._login:
            body = {"username": self._login, "password": self._password}
            answer = self._answer(lambda: client.post("/auth/token", json=body))
            if answer is None:
                raise ConfigurationError(
                    "what answers is not Airflow's API: it has no /auth/token", where="airflow_api", remedy=_REMEDY
                )
            token = answer["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    def _get(self, path: str) -> dict[str, Any] | None:
        """Return the answer; None: there is no such thing."""
        return self._answer(lambda: self._client.get(f"/api/v2{path}"))

    def _answer(self, ask: Any) -> Any:
        import httpx

        try:
            answer = ask()
        except httpx.HTTPError as error:
            raise ServiceUnavailableError(
                f"Airflow's API server does not answer ({type(error).__name__})", where="airflow_api", remedy=_REMEDY
            ) from error
        if answer.status_code == 404:
            return None
        if answer.is_error:
            raise _refused(answer)
        try:
            return answer.json()
        except ValueError as error:
            raise ConfigurationError(
                "what answers is not Airflow's API: it sends no JSON", where="airflow_api", remedy=_REMEDY
            ) from error


def _refused(answer: Any) -> PipelineError:
    status = answer.status_code
    if status == 401:
        return ConfigurationError("Airflow's API refuses the login (HTTP 401)", where="airflow_api", remedy=_REMEDY)
    if status == 403:
        return ConfigurationError(
            "Airflow's API refuses the login: its user may not do this (HTTP 403)",
            where="airflow_api",
            remedy="Give the user the right; to start runs, set up the connection airflow_operator with another one.",
        )
    if status in (400, 409, 422):
        return InvalidInputError(f"Airflow refuses the request (HTTP {status}): {_detail(answer)}", where="airflow_api")
    return ServiceUnavailableError(f"Airflow's API answers HTTP {status}", where="airflow_api", remedy=_REMEDY)


def _detail(answer: Any) -> str:
    """Return what Airflow says about a request that it refuses."""
    try:
        return str(answer.json()["detail"])[:_LONGEST_DETAIL]
    except (ValueError, KeyError, TypeError):
        return "it does not say why"
