"""Airflow's API as `doctor` asks it, with a small server in its place; `tests/e2e` asks the real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.implementation_modules.airflow_api.runs import AirflowApiRuns
from include.implementation_modules.airflow_api.state import AirflowApiState
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError, ServiceUnavailableError

PASSWORD = "top-secret"
ANSWERS: dict[str, Any] = {
    "/auth/token": {"access_token": "token-1"},
    "/api/v2/dags/a": {"is_paused": True, "is_stale": False},
    "/api/v2/dags/gone": {"is_paused": False, "is_stale": True},
    "/api/v2/dags/a/dagRuns": {"dag_runs": [{"state": "failed"}]},
    "/api/v2/dags/b/dagRuns": {"dag_runs": []},
    "/api/v2/importErrors": {
        "import_errors": [{"filename": "dags/b.py", "stack_trace": "Traceback\n  …\nKeyError: 1\n"}]
    },
}


@contextmanager
def serving(status: int = 200, answers: dict[str, Any] = ANSWERS) -> Iterator[tuple[str, list[str]]]:
    """The address, and the header that each request was authorized with."""
    authorized: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            authorized.append(self.headers.get("authorization", ""))
            path = self.path.partition("?")[0]
            code = status if path in answers else 404
            body = b"<html>" if answers.get(path) == "html" else json.dumps(answers.get(path)).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = _reply

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", authorized
    finally:
        server.shutdown()
        server.server_close()


def test_what_airflow_says() -> None:
    with serving() as (url, authorized):
        state = AirflowApiState(url, "viewer", PASSWORD)
        assert [state.is_paused(dag_id) for dag_id in ("a", "gone", "unknown")] == [True, None, None]
        assert [state.last_state(dag_id) for dag_id in ("a", "b", "unknown")] == ["failed", "", ""]
        assert state.import_errors() == {"dags/b.py": "KeyError: 1"}
    assert authorized[0] == ""
    assert set(authorized[1:]) == {"Bearer token-1"}


def test_without_a_login_the_password_is_a_token() -> None:
    with serving() as (url, authorized):
        assert AirflowApiState(url, "", PASSWORD).is_paused("a") is True
    assert authorized == [f"Bearer {PASSWORD}"]


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, ConfigurationError, "refuses the login"),
        (403, ConfigurationError, "its user may not do this"),
        (500, ServiceUnavailableError, "HTTP 500"),
    ],
)
def test_a_refusal_is_named_and_tells_no_secret(status: int, kind: type[Exception], says: str) -> None:
    with serving(status) as (url, _), pytest.raises(kind, match=says) as caught:
        AirflowApiState(url, "viewer", PASSWORD).import_errors()
    assert PASSWORD not in str(caught.value)


def test_something_else_answers_or_nothing_does() -> None:
    with serving(answers={"/auth/token": "html"}) as (url, _), pytest.raises(ConfigurationError, match="no JSON"):
        AirflowApiState(url, "viewer", PASSWORD).import_errors()
    with serving(answers={}) as (url, _), pytest.raises(ConfigurationError, match="not Airflow's API"):
        AirflowApiState(url, "viewer", PASSWORD).import_errors()
    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        AirflowApiState("http://127.0.0.1:1", "viewer", PASSWORD).import_errors()
    with pytest.raises(ConfigurationError, match="no usable address"):
        AirflowApiState("http://a:b", "viewer", PASSWORD).import_errors()


def test_a_run_is_started_and_looked_at() -> None:
    answers = {
        "/api/v2/dags/a": {"is_paused": False},
        "/api/v2/dags/a/dagRuns": {"dag_run_id": "manual__1+00:00"},
        "/api/v2/dags/a/dagRuns/manual__1%2B00%3A00": {"state": "running"},
    }
    with serving(answers=answers) as (url, _):
        runs = AirflowApiRuns(url, "", PASSWORD)
        runs.unpause("a")
        run_id = runs.trigger("a", {"target_date": "2013-03-10"}, "ann")
        assert (run_id, runs.run_state("a", run_id)) == ("manual__1+00:00", "running")
        assert runs.run_address("a", run_id) == f"{url}/dags/a/runs/manual__1%2B00%3A00"
        for ask in (lambda: runs.unpause("b"), lambda: runs.trigger("b", {}, ""), lambda: runs.run_state("a", "gone")):
            with pytest.raises(InvalidInputError, match="knows no DAG"):
                ask()


@pytest.mark.parametrize(
    ("answer", "says"), [({"detail": "max_windows: 0 is less than 1"}, "0 is less than 1"), ([], "does not say why")]
)
def test_a_conf_that_airflow_refuses_is_told_in_its_words(answer: Any, says: str) -> None:
    with serving(400, {"/api/v2/dags/a/dagRuns": answer}) as (url, _), pytest.raises(InvalidInputError, match=says):
        AirflowApiRuns(url, "", PASSWORD).trigger("a", {}, "")
