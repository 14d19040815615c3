"""The databases of docker-compose.yaml: made by its own script, reached by its own connection, in a real Postgres."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from local_stack import stack
from local_stack.home import REPO, Home
from local_stack.ports import HOST
from local_stack.servers.postgres import Postgres
from local_stack.state import State

pytestmark = pytest.mark.integration

PASSWORDS = {
    "AIRFLOW_DATABASE_PASSWORD": "airflow-s_3cret",
    "LEDGER_DATABASE_PASSWORD": 'ledger\'s "s3cret"',
    "ORDERS_DATABASE_PASSWORD": "orders-s_3cret",
}


@pytest.fixture
def server() -> Iterator[tuple[Postgres, dict[str, str]]]:
    """A Postgres as the image starts it, without its databases; and the environment in which psql reaches it."""
    with stack.temporary(servers=("postgres",)) as variables:
        home = Home.at(variables["LOCAL_STACK_HOME"])
        state = State.load(home)
        postgres = Postgres(home, state)
        with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as connection:
            for name in ("airflow", "ledger", "orders"):
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
                connection.execute(f"DROP ROLE {name}")
        reach = {"PGHOST": HOST, "PGPORT": str(postgres.port), "PGPASSWORD": state.secrets["postgres_superuser"]}
        yield postgres, {**os.environ, "PATH": variables["PATH"], **reach}


def connection_of(variable: str) -> dict[str, Any]:
    """As docker-compose.yaml spells it, without a password."""
    compose = yaml.safe_load((REPO / "docker-compose.yaml").read_text())
    template = compose["services"]["airflow-init"]["environment"][variable]
    connection: dict[str, Any] = json.loads(re.sub(r"\$\{[^}]+\}", "", template))
    return connection


def test_each_role_owns_its_database_and_the_ledger_migrates(
    server: tuple[Postgres, dict[str, str]], tmp_path: Path
) -> None:
    postgres, environ = server
    subprocess.run(["bash", REPO / "compose/create_databases.sh"], env={**environ, **PASSWORDS}, check=True)

    with psycopg.connect(postgres.url("postgres", "postgres")) as connection:
        query = "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname NOT LIKE '%postgres%'"
        names = {name for name, owner in connection.execute(query) if name == owner}
        assert names == {"airflow", "ledger", "orders"}

    unset = {"LEDGER_URL", "ORDERS_URL"}
    variables = {name: value for name, value in os.environ.items() if name not in unset}
    variables["AIRFLOW_HOME"] = str(tmp_path)
    for name, role in (("LIFECYCLE_POSTGRES", "LEDGER"), ("ORDERS_POSTGRES", "ORDERS")):
        wanted = connection_of(f"AIRFLOW_CONN_{name}")
        assert wanted["host"] == "postgres"
        wanted |= {"host": HOST, "port": postgres.port, "password": PASSWORDS[f"{role}_DATABASE_PASSWORD"]}
        variables[f"AIRFLOW_CONN_{name}"] = json.dumps(wanted)
    for part, said in (("ledger", "ledger at version"), ("orders", "orders sync at version")):
        command = [sys.executable, "-m", "include.cli", part, "migrate"]
        done = subprocess.run(command, cwd=REPO, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
