"""The contracts of `pyproject.toml` about imports: a planted import against their direction fails each of them."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.repository import REPO, files, name

PLANTED = {
    "include/pipeline_framework/core/time/days.py": (
        "import include.pipeline_framework.ports.source",
        "rooms of the framework",
    ),
    "include/pipeline_framework/tasks/why.py": ("import include.wiring.assembly", "rooms of the product"),
    "include/pipeline_framework/core/proof/audits.py": (
        "import include.pipeline_framework.core.lifecycle.leases",
        "capabilities of the core",
    ),
    "include/implementation_modules/postgres/source.py": (
        "import include.implementation_modules.elasticsearch.source",
        "systems are independent of each other",
    ),
    "include/orders_sync/core/dates.py": ("import include.orders_sync.adapters.workbooks", "rooms of the orders sync"),
    "include/wiring/orders_assembly.py": ("import local_stack.home", "the local stack and the tests aside"),
    "dags/daily_planner.py": ("import include.cli.output", "DAG files build DAGs"),
    "include/framework/state.py": ("import airflow.sdk", "know Airflow"),
    "include/cli/output.py": ("import psycopg", "know client libraries"),
    "include/pipeline_framework/core/texts.py": ("import yaml", "core knows the standard library"),
}
"""File → what is imported there, and a part of the name of the contract that it breaks."""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy of the product with every planted import, and with a package that has no place."""
    copy = tmp_path_factory.mktemp("product")
    for folder in ("include", "dags", "local_stack"):
        shutil.copytree(REPO / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.sql"))
    shutil.copy(REPO / "pyproject.toml", copy)
    for file, (statement, _) in PLANTED.items():
        with (copy / file).open("a") as planted:
            planted.write(f"\n{statement}\n")
    (copy / "include/attic").mkdir()
    (copy / "include/attic/__init__.py").touch()
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(
        command, cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("statement", "contract"), PLANTED.values(), ids=list(PLANTED))
def test_a_planted_import_breaks_its_contract(broken: str, statement: str, contract: str) -> None:
    (verdict,) = [line for line in broken.splitlines() if contract in line and line.endswith(("KEPT", "BROKEN"))]
    assert verdict.endswith("BROKEN")
    assert statement.removeprefix("import ").partition(".")[0] in broken


def test_a_package_without_a_place_breaks_the_contract(broken: str) -> None:
    assert "include.attic" in broken


def test_wiring_imports_airflow_and_client_libraries_inside_functions_only() -> None:
    """Commands and Python functions stand on it, and have to start without them."""
    late = {"airflow", "boto3", "elasticsearch", "psycopg", "snowflake", "httpx", "openpyxl"}
    found = {
        f"{name(path)}: {module}"
        for path in files(".py", under="include/wiring")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        for module in _modules(node)
        if module.partition(".")[0] in late
    }
    assert found == set()


def test_nothing_in_the_product_imports_tests() -> None:
    found = [
        name(path)
        for folder in ("include", "dags", "plugins", "local_stack")
        for path in files(".py", under=folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if any(module.partition(".")[0] == "tests" for module in _modules(node))
    ]
    assert found == []


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []
