"""The command line as a whole: its help, its wrong calls, and tables that fit a terminal. No server is needed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from typer.main import get_command

from include.cli.__main__ import COMMANDS, main
from include.cli.output import all_sources, print_table
from include.pipeline_framework.errors import InvalidInputError
from tests.architecture.repository import REPO

LEAVES = {
    (name, *rest): leaf
    for name in COMMANDS
    for command in [get_command(import_module(f"include.cli.{name}").app)]
    for rest, leaf in [
        *([((), command)] if not getattr(command, "commands", None) else []),
        *(((sub,), each) for sub, each in (getattr(command, "commands", None) or {}).items()),
    ]
}
"""Every command that does something, by the words that call it."""


def test_all_commands_are_there() -> None:
    words = {" ".join(words) for words in LEAVES}
    assert {
        "plan", "preview", "run", "sql", "status", "doctor", "why", "ledger migrate", "ledger show", "ledger rebuild",
        "ledger reconcile", "ledger report",
        "ledger adopt", "ledger adopt-failover", "ledger describe", "backfill list", "backfill status",
        "backfill pause", "backfill resume", "backfill cancel", "state analyse", "late report", "config validate",
        "config schema", "config describe", "new", "pipeline new", "orders migrate", "orders status", "orders profiler",
        "orders td", "orders uc",
    } == words  # fmt: skip


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS), *LEAVES], ids=" ".join)
def test_every_help_says_what_it_is_for(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: {' '.join(['python -m include.cli', *words])}" in shown
    for option in getattr(LEAVES.get(words), "params", ()):
        assert option.name == "more" or not option.opts[0].startswith("--") or option.opts[0] in shown
        assert option.name == "more" or getattr(option, "help", None), f"{option.name} is not explained"


def test_help_loads_no_command_and_no_library_that_it_does_not_need() -> None:
    code = (
        "import sys; from include.cli.__main__ import main; main(['--help'])\n"
        "heavy = {'airflow', 'pydantic', 'psycopg', 'structlog', 'yaml', 'include.wiring', 'include.cli.ledger'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Windows and their ledger" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["lodger"], 2, "No such command 'lodger'"),
        (["plan", "--targetdate", "2013-03-09"], 2, "No such option: --targetdate"),
        (["ledger", "show", "--limit", "many"], 2, "Input should be a valid integer"),
        (["ledger", "show", "--status", "DONE"], 2, "'DONE' is not one of 'PENDING'"),
        (["late", "report"], 2, "Missing option '--source'"),
        (["ledger", "reconcile", "flights"], 2, "'flights' stands alone. What to do: Write --source flights"),
        (["orders", "td", "--from-date"], 1, "requires an argument"),
        (["-v", "orders", "td", "--nothing"], 1, "No such option: --nothing"),
    ],
)
def test_a_wrong_call_is_explained(
    words: list[str], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == status
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.out == ""


def test_several_sources_are_written_either_way() -> None:
    assert all_sources(["a", "b"], None) == all_sources(["a"], ["b"]) == ["a", "b"]
    assert all_sources(None, None) is None
    with pytest.raises(InvalidInputError, match="Write --source a b"):
        all_sources(None, ["a", "b"])


ROWS: list[dict[str, Any]] = [
    {"id": 1234567, "source_object": "flights", "state": "PENDING", "reason": "words that go on and on " * 9},
    {"id": 8, "source_object": "orders", "state": "FAILED", "reason": ""},
]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    def shown(*, is_terminal: bool) -> list[str]:
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
        print_table(list(ROWS[0]), ROWS)
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()

    return shown


def test_a_table_fits_the_terminal_and_breaks_sentences_only(table: Callable[..., list[str]]) -> None:
    lines = table(is_terminal=True)
    assert max(map(len, lines)) <= 80
    assert any("1234567" in line and "flights" in line and "PENDING" in line for line in lines)
    assert "".join("".join(lines).split()).count("wordsthatgoonandon") == 9


def test_elsewhere_a_row_is_a_line_as_wide_as_it_needs(table: Callable[..., list[str]]) -> None:
    header, first, second = table(is_terminal=False)
    assert header.split() == list(ROWS[0])
    assert first.endswith(("words that go on and on " * 9).rstrip())
    assert second.split() == ["8", "orders", "FAILED"]


def test_the_installed_command_runs_from_anywhere(tmp_path: os.PathLike[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(REPO / "scripts/pipelines"), "config", "validate"],
        cwd=tmp_path,
        env={**environment, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "pipelines in" in done.stdout
