"""Rules about files that no linter checks."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.architecture.repository import REPO, files, name, text

MAX_LINES = 400
LONGER = {
    "benchmarks/ways.py": "one script: it runs against another build's checkout, where nothing of ours is beside it",
    "include/pipeline_framework/core/lifecycle/transitions.py": "all legal transitions and their refusals",
    "include/implementation_modules/postgres_ledger/store.py": "one method for each promise of the port",
    "tests/doubles/memory_lifecycle_store.py": "the same methods as the store that it stands in for",
    "tests/unit/tasks/test_audit_windows.py": "what a revisit finds, and what it leaves alone, case by case",
    "tests/faults/test_guards_matter.py": "each guard's story beside the switch that turns it off",
    "tests/contract/test_lifecycle_store_contract.py": "one contract, run on every store",
    "tests/unit/core/lifecycle/test_transitions.py": "a table of every transition and refusal",
    "tests/unit/tasks/test_move_window.py": "every phase from every state that an attempt can leave",
    "tests/unit/tasks/test_planning.py": "what is planned, by day, range and exact window",
}

# Distributions that come with another one and always fit it
COMES_WITH = {
    "elastic_transport": "elasticsearch",
    "botocore": "boto3",
    "numpy": "pandas",
    "python_calamine": "python-calamine",
}


def python_files() -> list[Path]:
    return files(".py")


def test_there_are_files_to_check() -> None:
    assert {"dags/daily_planner.py", "include/cli/__main__.py", "local_stack/stack.py"} <= set(
        map(name, python_files())
    )


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    too_long = {path for path, count in lines.items() if count >= MAX_LINES}
    assert too_long - set(LONGER) == set(), f"split them, or give a reason in {name(Path(__file__))}"
    assert set(LONGER) <= too_long, "they are short enough now: remove them from LONGER"


def test_no_merge_was_left_half_done() -> None:
    marks = re.compile("^(<{7}|>{7}) ", re.MULTILINE)
    assert [name(path) for path in files() if marks.search(path.read_text(encoding="utf-8", errors="replace"))] == []


def test_every_test_module_asserts_something() -> None:
    def asserts(path: Path) -> bool:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        return any(
            isinstance(node, ast.Assert)
            or (isinstance(node, ast.Attribute) and node.attr == "raises")
            or (isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Contract") for base in node.bases))
            for node in nodes
        )

    modules = [path for path in files(".py", under="tests") if path.name.startswith("test_")]
    assert len(modules) > 10
    assert [name(path) for path in modules if not asserts(path)] == []


def test_no_file_names_this_machine_or_a_registry() -> None:
    places = [
        re.escape(str(REPO)),
        re.escape(f"{Path.home()}/"),
        r"/home/\w+/(?!\.local)",
        r"/Users/\w+/",
        r"\.\./shared",
    ]
    registries = [r"pypi\.org", r"pythonhosted\.org", r"repo1?\.maven", r"registry\.npmjs", r"docker\.elastic\.co"]
    forbidden = re.compile("|".join(places + registries))
    own = Path(__file__).name
    named = {
        f"{name(path)}: {match[0]}"
        for path in files()
        if path.name != own and (match := forbidden.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert named == set()


def test_the_sample_target_touches_its_own_files_and_nothing_else() -> None:
    own, guide = "tests/sample_adapter/", "docs/adding-a-target.md"
    this = name(Path(__file__))
    naming = {name(path) for path in files(".py", ".md", ".sql", ".yaml", ".toml") if "sqlite_target" in text(path)}
    assert guide in naming
    assert [path for path in naming if not path.startswith(own) and path not in (guide, this)] == []


def test_the_licence_is_there() -> None:
    assert "Apache License" in text("LICENSE")
    assert 'license = "Apache-2.0"' in text("pyproject.toml")


def test_settings_of_one_machine_are_not_committed() -> None:
    assert {".env", ".venv", ".local_stack/", ".local_stack_cache/"} <= set(text(".gitignore").splitlines())


@pytest.mark.parametrize(
    ("folders", "requirements"),
    [
        (("include", "dags", "plugins"), ["requirements.txt"]),
        (("local_stack", "tests"), ["requirements.txt", "requirements-dev.txt"]),
        (("benchmarks",), ["requirements.txt", "requirements-dev.txt", "benchmarks/requirements-peers.txt"]),
    ],
)
def test_everything_that_is_imported_is_a_direct_requirement(folders: tuple[str, ...], requirements: list[str]) -> None:
    direct = {
        Requirement(line.partition("#")[0]).name.lower()
        for file in requirements
        for line in text(file).splitlines()
        if line and not line.startswith(("#", "-"))
    }
    distributions = importlib.metadata.packages_distributions()
    missing = {
        f"{name(path)}: {module}"
        for folder in folders
        for path in files(".py", under=folder)
        for module in _third_party_modules(path)
        if COMES_WITH.get(module, module) not in direct  # a peer is not installed here
        and not {distribution.lower() for distribution in distributions.get(module, [])} & direct
    }
    assert missing == set()


def _third_party_modules(path: Path) -> set[str]:
    own = {"include", "dags", "plugins", "local_stack", "tests", "benchmarks"}
    siblings = {sibling.stem for sibling in path.parent.glob("*.py")}
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found - own - siblings - set(sys.stdlib_module_names)
