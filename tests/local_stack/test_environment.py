"""The `env` lines mean the same to bash as the dictionary means to Python."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from local_stack.environment import environment, shell_lines
from local_stack.errors import LocalStackError
from local_stack.home import REPO, Home
from local_stack.ports import RULES
from local_stack.state import State


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "it's a stack")
    home.create()
    state = State.load_or_create(home)
    state.ports = {name: rule.default for name, rule in RULES.items()}
    state.save(home)
    return home


def test_lines_evaluate_in_bash(home: Home) -> None:
    variables = environment(home)
    script = 'eval "$LINES_TO_EVAL"; python -c "import json, os; print(json.dumps(dict(os.environ)))"'
    lines = shell_lines(variables)
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "LINES_TO_EVAL": lines}, capture_output=True, text=True, check=True
    )
    seen = json.loads(done.stdout)
    assert {name: seen.get(name) for name in variables} == variables


def test_connections_are_named_by_their_role(home: Home) -> None:
    variables = environment(home)
    connections = {name: json.loads(value) for name, value in variables.items() if name.startswith("AIRFLOW_CONN_")}
    assert {name: value["conn_type"] for name, value in connections.items()} == {
        "AIRFLOW_CONN_AIRFLOW_API": "http",
        "AIRFLOW_CONN_AIRFLOW_OPERATOR": "http",
        "AIRFLOW_CONN_CRM_TD": "http",
        "AIRFLOW_CONN_CRM_UC": "http",
        "AIRFLOW_CONN_LIFECYCLE_POSTGRES": "postgres",
        "AIRFLOW_CONN_ORDERS_POSTGRES": "postgres",
        "AIRFLOW_CONN_SOURCE_ELASTICSEARCH": "elasticsearch",
        "AIRFLOW_CONN_STAGE_S3": "aws",
        "AIRFLOW_CONN_TARGET_SNOWFLAKE": "snowflake",
    }
    # with session_parameters, hook.run(autocommit=False) would silently commit every statement
    assert "session_parameters" not in connections["AIRFLOW_CONN_TARGET_SNOWFLAKE"]["extra"]


def test_a_stack_of_an_older_version_says_to_start_it_again(home: Home) -> None:
    for forget in ("ports", "secrets"):
        state = State.load(home)
        kept = dict(getattr(state, forget))
        getattr(state, forget).popitem()
        state.save(home)
        with pytest.raises(LocalStackError, match="python -m local_stack up"):
            environment(home)
        setattr(state, forget, kept)
        state.save(home)
    assert "CRM_URL" in environment(home)


def test_repository_comes_first_and_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/elsewhere", str(REPO)]))
    assert environment(home)["PYTHONPATH"] == os.pathsep.join([str(REPO), "/elsewhere"])
