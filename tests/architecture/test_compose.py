"""docker-compose.yaml without Docker: it fits the compose specification, has no secret, names what the code uses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from local_stack.environment import patience
from tests.architecture.connections import connection_ids
from tests.architecture.repository import REPO, text

COMPOSE: dict[str, Any] = yaml.safe_load(text("docker-compose.yaml"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW = [service for service in SERVICES if service.startswith("airflow-")]
REFERENCE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<kind>[?-])(?P<rest>[^}]*))?\}")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|FERNET_KEY|ACCESS_KEY|TOKEN", re.IGNORECASE)


def examples() -> dict[str, str]:
    """What .env.example documents, with its values."""
    lines = [line for line in text(".env.example").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def interpolated(value: str) -> str:
    """`value` as compose fills it in when .env says `value-of-NAME` for everything that is required."""
    return REFERENCE.sub(lambda match: f"value-of-{match['name']}" if match["kind"] == "?" else match["rest"], value)


def is_one_shot(service: dict[str, Any]) -> bool:
    return service.get("restart") == "no"


def test_it_fits_the_compose_specification() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "docker-compose.yaml",
    ]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_part_of_airflow_and_every_server_is_there() -> None:
    components = ("init", "api-server", "scheduler", "dag-processor", "triggerer", "worker")
    assert set(SERVICES) == {*(f"airflow-{part}" for part in components), "postgres", "redis", "elasticsearch", "s3"}
    environment = SERVICES["airflow-worker"]["environment"]
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert environment["PYTHONPATH"] == "/opt/airflow"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_healthcheck_or_runs_once(name: str) -> None:
    service = SERVICES[name]
    assert is_one_shot(service) != ("healthcheck" in service)
    assert is_one_shot(service) == (name == "airflow-init")


def test_a_service_waits_for_what_exists_and_in_the_way_that_fits_it() -> None:
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if is_one_shot(SERVICES[needed]) else "service_healthy"
            assert how["condition"] == wanted


def test_what_reads_files_and_runs_tasks_has_the_product_imported_before_it_forks() -> None:
    (settings,) = COMPOSE["configs"].values()
    assert (REPO / settings["file"]).is_file()
    mounted = {name for name, service in SERVICES.items() if "configs" in service}
    assert mounted == {"airflow-dag-processor", "airflow-worker"}


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_an_exact_version(name: str) -> None:
    assert re.search(r":v?\d+\.\d+[\w.-]*$", SERVICES[name]["image"]), SERVICES[name]["image"]


def test_the_image_is_built_from_the_pinned_airflow_with_the_lock() -> None:
    dockerfile = text("compose/Dockerfile")
    version = re.search(r"^apache-airflow==(\S+)", text("requirements.txt"), re.MULTILINE)
    assert version
    assert f"FROM apache/airflow:slim-{version[1]}-python3.12\n" in dockerfile
    assert re.search(r"pip install .*-c \S+/constraints\.txt -r \S+/compose/requirements\.txt", dockerfile)
    copied = {
        source for line in re.findall(r"^COPY --\S+ (.+) \S+$", dockerfile, re.MULTILINE) for source in line.split()
    }
    allowed = {line.removeprefix("!") for line in text(".dockerignore").splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((REPO / source).exists() for source in copied)


def test_no_secret_is_written_down() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET_NAME.search(variable):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{name}: {variable}"
    assert re.findall(r"://\w+:(?!\$\{)[^@/\s]+@", text("docker-compose.yaml")) == []
    assert re.findall(r'"password": "(?!\$\{)', text("docker-compose.yaml")) == []


def test_env_example_documents_every_variable_and_holds_no_secret() -> None:
    references = {match["name"]: match["kind"] for match in REFERENCE.finditer(text("docker-compose.yaml"))}
    documented = examples()
    assert set(documented) == set(references)
    assert all(documented[name] == "" for name, kind in references.items() if kind == "?")
    assert None not in references.values(), "give a default, or refuse to start without a value"
    optional = {
        match["name"]: match["rest"]
        for match in REFERENCE.finditer(text("docker-compose.yaml"))
        if match["kind"] == "-"
    }
    assert {name: documented[name] for name in optional} == optional


@pytest.mark.parametrize("name", AIRFLOW)
def test_every_connection_of_the_code_is_an_environment_variable(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert {f"AIRFLOW_CONN_{connection_id.upper()}" for connection_id in connection_ids()} == {
        variable for variable in environment if variable.startswith("AIRFLOW_CONN_")
    }


def test_airflow_is_as_patient_as_in_the_local_stack() -> None:
    environment = SERVICES["airflow-worker"]["environment"]
    wanted = patience()
    assert {name: environment.get(name) for name in wanted} == wanted
    # an import that is still allowed to go on must not be ended by the parser's own limit
    parsing = ("AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT", "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT")
    assert float(wanted[parsing[0]]) < float(wanted[parsing[1]])
    assert float(environment["AIRFLOW__CELERY__OPERATION_TIMEOUT"]) >= 60


def test_connections_are_json_that_reaches_the_services() -> None:
    environment = SERVICES["airflow-worker"]["environment"]
    connections = {
        variable.removeprefix("AIRFLOW_CONN_").lower(): json.loads(interpolated(value))
        for variable, value in environment.items()
        if variable.startswith("AIRFLOW_CONN_") and interpolated(value)
    }
    assert set(connections) == {"lifecycle_postgres", "orders_postgres", "source_elasticsearch", "stage_s3"}
    assert connections["lifecycle_postgres"]["password"] == "value-of-LEDGER_DATABASE_PASSWORD"
    assert {connections["lifecycle_postgres"]["host"], connections["source_elasticsearch"]["host"]} <= set(SERVICES)
    assert connections["stage_s3"]["extra"]["endpoint_url"] == "http://s3:8333"


def test_data_outlives_containers() -> None:
    named = set(COMPOSE["volumes"])
    used = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service["volumes"]
        if volume[0] not in "./"
    }
    assert used == named
    for name in ("postgres", "redis", "elasticsearch", "s3"):
        assert any(volume.partition(":")[0] in named for volume in SERVICES[name]["volumes"]), name
    mounted = [v.split(":") for s in SERVICES.values() for v in s["volumes"] if v.startswith(".")]
    assert all((REPO / source).exists() and mode == "ro" for source, _target, mode in mounted)


def test_ports_are_open_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
