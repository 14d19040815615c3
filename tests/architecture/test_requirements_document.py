"""`docs/requirements.md` says where every demand is met; here its places and tests are looked up, none is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import pytest

from tests.architecture.repository import REPO, text

DOCUMENT = "docs/requirements.md"
HEADER = ["section", "demand", "where", "proved by"]
NOT_BUILT, NO_TEST, NOTHING = "not built yet (planned)", "no test", "—"
MIGRATION = "include/sql/migrations/versions/0001_pipeline_lifecycle.sql"


@dataclass(frozen=True)
class Demand:
    """One row; `chapter` is the number of its requirement document."""

    chapter: str
    line: int
    section: str
    demand: str
    where: str
    proof: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.demand[:50]}"

    @property
    def places(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.where)

    @property
    def tests(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.proof)


def tables() -> Iterator[tuple[str, int, list[list[str]]]]:
    """Every table: the heading above it, its first line, and the cells of its rows."""
    heading, start, rows = "", 0, list[list[str]]()
    for number, line in enumerate([*text(DOCUMENT).splitlines(), ""], 1):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if line.startswith("|"):
            start = start or number
            assert line.endswith("|"), f"line {number} does not end its row"
            rows.append([cell.strip() for cell in line[1:-1].split("|")])
        elif rows:
            yield heading, start, rows
            start, rows = 0, []


def demands() -> list[Demand]:
    return [
        Demand(heading[0], start + offset, *row)
        for heading, start, rows in tables()
        if rows[0] == HEADER
        for offset, row in enumerate(rows)
        if offset >= 2
    ]


@lru_cache
def symbols(path: str) -> frozenset[str]:
    """Names that a Python file defines at its top level and inside its classes (`Class.name`)."""
    found: set[str] = set()

    def visit(nodes: list[ast.stmt], prefix: str) -> None:
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found.update(prefix + target.id for target in targets if isinstance(target, ast.Name))

    visit(ast.parse(text(path)).body, "")
    return frozenset(found)


def problem(reference: str, separator: str) -> str | None:
    """What is wrong with `path`, or with `path<separator>symbol`."""
    path, _, symbol = reference.partition(separator)
    if not (REPO / path).is_file():
        return f"there is no file {path}"
    if not symbol:
        return None
    if path.endswith(".py"):
        return None if symbol.replace("::", ".") in symbols(path) else f"{path} does not define {symbol}"
    return None if re.search(rf"\b{re.escape(symbol)}\b", text(path)) else f"{path} does not contain {symbol}"


def test_every_table_is_rectangular() -> None:
    for heading, start, rows in tables():
        assert {len(row) for row in rows} == {len(rows[0])}, f"the table in line {start} ({heading})"
        assert all(re.fullmatch(r"-{3,}", cell) for cell in rows[1]), f"line {start + 1} is no separator"
        assert all(cell for row in rows for cell in row), f"an empty cell in the table of line {start}"


def test_all_five_documents_are_there() -> None:
    counts = {chapter: sum(demand.chapter == chapter for demand in demands()) for chapter in "12345"}
    assert sum(counts.values()) == len(demands())
    assert min(counts.values()) >= 20, counts


def test_no_demand_stands_there_twice() -> None:
    rows = [(demand.chapter, demand.section, demand.demand) for demand in demands()]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("demand", demands(), ids=str)
def test_its_place_and_its_tests_exist(demand: Demand) -> None:
    assert demand.places or demand.where == NOT_BUILT
    if demand.where == NOT_BUILT:
        assert demand.proof == NOTHING
    else:
        assert demand.tests or demand.proof == NO_TEST
    wrong = [problem(place, ":") for place in demand.places] + [problem(test, "::") for test in demand.tests]
    assert [each for each in wrong if each] == []
    assert all(re.match(r"tests/(.*/?test_\w+|contract/\w+)\.py", test) for test in demand.tests)
    assert not any(place.startswith("tests/") for place in demand.places)


def test_every_function_of_the_framework_is_named() -> None:
    (exported,) = (
        node.value
        for node in ast.parse(text("include/framework/__init__.py")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
    )
    names = ast.literal_eval(exported)
    assert names
    assert [name for name in names if name not in text(DOCUMENT)] == []


def test_the_columns_are_those_of_table_and_view() -> None:
    (rows,) = (rows[2:] for _, _, rows in tables() if rows[0] == ["document's column", "ledger column"])
    _, _, rest = text(MIGRATION).partition("CREATE VIEW pipeline_records AS\nSELECT")
    view, _, _ = rest.partition("FROM")
    selected = [line.strip().rstrip(",") for line in view.splitlines() if line.strip()]
    shown = [(column.partition(" AS ")[2] or column, column.partition(" AS ")[0]) for column in selected]
    assert [tuple(row) for row in rows] == shown
