"""What Airflow makes of the repository's files: which ones it parses and executes, and which options it knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.repository import REPO, files, text

SCRIPT = """
import json, sys
from airflow._shared.module_loading.file_discovery import find_path_from_directory
from airflow.configuration import conf
from airflow.dag_processing.importers.python_importer import PythonDagImporter

repo, plugins = sys.argv[1:]
folders = {"root": repo, "dags": repo + "/dags"}
listed = {
    f"{name}, {mode}": list(PythonDagImporter().list_dag_files(folder, safe_mode=mode == "safe"))
    for name, folder in folders.items()
    for mode in ("safe", "every file")
}
options = [f"{section}.{option}" for section, options in conf.configuration_description.items()
           for option in options["options"]]
executed = list(find_path_from_directory(plugins, ".airflowignore"))
print(json.dumps({"listed": listed, "options": options, "executed": executed}))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One process asks Airflow everything, because starting it takes seconds."""
    plugins = tmp_path_factory.mktemp("plugins")
    (plugins / "package").mkdir()
    (plugins / ".airflowignore").write_text(text("plugins/.airflowignore"))
    for name in ("lifecycle_plugin.py", "lifecycle_page.py", "package/routes.py", "package/__init__.py"):
        (plugins / name).touch()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(REPO), str(plugins)],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow"))},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("bundle", ["root", "dags"])
def test_a_bundle_at_the_root_parses_the_files_of_dags_only(answers: dict[str, Any], bundle: str) -> None:
    modules = {str(path) for path in files(".py", under="dags")}
    dag_files = {path for path in modules if not path.endswith("__init__.py")}
    assert len(dag_files) >= 4
    assert set(answers["listed"][f"{bundle}, safe"]) == dag_files
    assert set(answers["listed"][f"{bundle}, every file"]) == modules


def test_plugins_executes_its_plugin_modules_only(answers: dict[str, Any]) -> None:
    assert {Path(path).name for path in answers["executed"]} == {"lifecycle_plugin.py"}


def test_airflow_knows_every_option_that_compose_sets(answers: dict[str, Any]) -> None:
    services = yaml.safe_load(text("docker-compose.yaml"))["services"].values()
    variables = {variable for service in services for variable in service.get("environment", {})}
    split = [variable.lower().split("__")[1:] for variable in variables if variable.startswith("AIRFLOW__")]
    own = {
        f"{section}.{option}" for section, option in split if section != "celery"
    }  # its provider is in the image only
    assert len(own) > 10
    assert own - set(answers["options"]) == set()
