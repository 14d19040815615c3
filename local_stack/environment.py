"""The environment variables with which Airflow, psql and the project's own command line reach a stack."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_stack import certificates
from local_stack.errors import LocalStackError
from local_stack.home import REPO, Home
from local_stack.ports import HOST, RULES
from local_stack.servers.postgres import Postgres, program
from local_stack.servers.s3 import BUCKET, REGION
from local_stack.servers.snowflake import DATABASE, SCHEMA, USER
from local_stack.state import SECRETS, State


def environment(home: Home | Path | None = None) -> dict[str, str]:
    """Everything to add to `os.environ` so that commands of this project talk to the stack in `home`.

    Holds the whole set whichever servers run. The stack must have been started once: its ports and passwords are
    generated then, and stay the same afterwards.
    """
    home = home if isinstance(home, Home) else Home.at(home) if home else Home.default()
    state = State.load(home)
    if (set(RULES) - set(state.ports)) | (set(SECRETS) - set(state.secrets)):
        raise LocalStackError(
            f"The stack in {home.path} was started by an older version of this project.",
            "Run `python -m local_stack up`: it adds what is missing and keeps the data.",
        )
    return {**_general(home), **_servers(home, state), **_connections(state), **_airflow(home, state)}


def shell_lines(variables: Mapping[str, str]) -> str:
    """`export NAME='value'` lines for `eval "$(python -m local_stack env)"`."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _general(home: Home) -> dict[str, str]:
    return {
        "LOCAL_STACK_HOME": str(home.path),
        "PYTHONPATH": _first(str(REPO), os.environ.get("PYTHONPATH", "")),
        "PYTHONTZPATH": "",  # time zones come from the pinned package tzdata, never from this machine's own files
        "PATH": _with_programs(os.environ.get("PATH", os.defpath)),
        "PGCONNECT_TIMEOUT": "300",  # a Postgres on this machine that takes long is busy, not gone
        "REQUESTS_CA_BUNDLE": str(certificates.bundle_file(home)),
        # Airflow's own warnings, on standard output even where a command prints JSON
        "PYTHONWARNINGS": "ignore:Could not import graphviz:UserWarning,ignore::DeprecationWarning",
        # the connector asks the metadata services of three clouds at every connect: 0.3 s where there are none
        "SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "true",
    }


def _servers(home: Home, state: State) -> dict[str, str]:
    return {
        "LEDGER_URL": Postgres(home, state).url("ledger", "ledger"),
        "ORDERS_URL": Postgres(home, state).url("orders", "orders"),
        "ELASTICSEARCH_URL": f"http://{HOST}:{state.ports['elasticsearch']}",
        "STAGE_S3_ENDPOINT": f"http://{HOST}:{state.ports['s3']}",
        "STAGE_S3_BUCKET": BUCKET,
        "CRM_URL": f"http://{HOST}:{state.ports['crm']}",
        "CRM_CONTROL_TOKEN": state.secrets["crm_control"],
    }


def _connections(state: State) -> dict[str, str]:
    """Airflow connections, named by their role."""
    ports, secrets = state.ports, state.secrets
    connections: dict[str, dict[str, Any]] = {
        **{
            connection_id: {
                "conn_type": "postgres",
                "host": HOST,
                "port": ports["postgres"],
                "login": role,
                "password": secrets[f"postgres_{role}"],
                "schema": role,
            }
            for connection_id, role in (("lifecycle_postgres", "ledger"), ("orders_postgres", "orders"))
        },
        **{
            client_id: {
                "conn_type": "http",
                "schema": "http",
                "host": HOST,
                "port": ports["crm"],
                "login": client_id,
                "password": secrets[client_id],
                "extra": {"base_path": base_path},
            }
            for client_id, base_path in (("crm_td", "/td"), ("crm_uc", "/uc"))
        },
        **{
            connection_id: {
                "conn_type": "http",
                "schema": "http",
                "host": HOST,
                "port": ports["airflow"],
                "login": user,
                "password": secrets[f"airflow_{user}"],
            }
            for connection_id, user in (("airflow_api", "viewer"), ("airflow_operator", "operator"))
        },
        "source_elasticsearch": {
            "conn_type": "elasticsearch",
            "schema": "http",
            "host": HOST,
            "port": ports["elasticsearch"],
        },
        "stage_s3": {
            "conn_type": "aws",
            "login": secrets["s3_access_key"],
            "password": secrets["s3_secret_key"],
            "extra": {
                "endpoint_url": f"http://{HOST}:{ports['s3']}",
                "region_name": REGION,
                "config_kwargs": {"s3": {"addressing_style": "path"}},
            },
        },
        "target_snowflake": {
            "conn_type": "snowflake",
            "login": USER,
            "password": secrets["snowflake"],
            "schema": SCHEMA,
            "extra": {
                "account": "local",
                "database": DATABASE,
                "warehouse": "LOCAL",
                "host": "localhost",
                "port": ports["snowflake"],
                "insecure_mode": True,  # no revocation server exists for the stack's own certificate
            },
        },
    }
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()}


def _airflow(home: Home, state: State) -> dict[str, str]:
    url = f"http://{HOST}:{state.ports['airflow']}"
    metadata = Postgres(home, state).url("airflow", "airflow").replace("postgresql://", "postgresql+psycopg2://")
    return {
        "AIRFLOW_HOME": str(home.airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__FERNET_KEY": state.secrets["airflow_fernet"],
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,operator:op,viewer:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home.airflow / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(state.ports["airflow"]),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": state.secrets["airflow_api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": state.secrets["airflow_jwt"],
        **patience(),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",  # a new or changed file is found after seconds, not minutes
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",  # the rest: at 30 it takes a third of a core
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",  # from task to task; 0.1 takes twice the CPU
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # at 5, a worker waits up to 5 s after its task has ended
    }


def patience() -> dict[str, str]:
    """Airflow's own time limits, where a machine that is busy, or a server that rests, would be taken for a fault.

    Each of them ends work that goes on, and some do so before a line of a task has run, and spend its tries.
    docker-compose.yaml has the same ones.
    """
    return {
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",  # 30: a task's process had not imported its file yet
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "900",  # 50; has to be longer than the import's
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",  # 5: of one request of a task to the API server
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "10",  # 3: then a worker ends the task that it runs
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "900",  # 300: then the scheduler takes it for dead
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "3600",  # 600: a queue that moves slowly is no fault
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "120",  # 30, and the same below
        "AIRFLOW__DAG_PROCESSOR__HEALTH_CHECK_THRESHOLD": "120",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "120",
    }


def _with_programs(path: str) -> str:
    """Programs of this Python first; last, for those who have no psql of their own, the one of the wheel."""
    return _first(str(Path(sys.executable).parent), path + os.pathsep + str(program("psql").parent))


def _first(path: str, paths: str) -> str:
    return os.pathsep.join(dict.fromkeys([path, *filter(None, paths.split(os.pathsep))]))
