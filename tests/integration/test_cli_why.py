"""`why` on the command line with a real ledger: what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from include import framework
from include.cli.__main__ import main
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.config import loader
from include.pipeline_framework.core.lifecycle.transitions import invalidate
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.tasks.planning import insert_windows
from include.wiring import assembly
from tests.unit.tasks.world import RUN_1, window

pytestmark = pytest.mark.integration

PLANNER = Actor("daily_planner", "planner-run", "plan")


@pytest.fixture
def store(ledger_url: str) -> PostgresLifecycleStore:
    """Three hours of the flights; the second one is held, the third one was taken out."""
    found = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    insert_windows(assembly.parsed_config("main"), [window(0), window(1), window(2)], found, PLANNER)
    first, second, third = (row.id for row in found.find(source_object="flights"))
    found.claim("flights", RUN_1, limit=1, ended_before=window(1).end, within=[window(1)])
    found.take(second, RUN_1)
    found.change(third, lambda row, now: invalidate(row, now, "gone"), PLANNER)
    assert first
    return found


def test_a_block_for_people(store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "flights", "2013-03-09T00:30"]) == 0
    block = capsys.readouterr().out.splitlines()
    assert block[0].startswith("flights  2013-03-09 00:00-05:00 → 01:00-05:00 America/New_York (row ")
    assert block[0].endswith("): PENDING")
    assert any("waits in the queue with priority 0, it is the next one" in line for line in block)
    assert any(line.startswith("  next   a run of data_pipeline_main claims it") for line in block)


def test_json_is_what_the_framework_returns(store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "flights", "2013-03-09T06:30:00Z", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["holder"]["dag_run_id"]) == ("IN_PROGRESS", "run-1")
    assert found["lease_ends_at"] == found["next_at"]
    again = framework.why("flights", "2013-03-09T06:30:00Z")
    assert {k: v for k, v in again.items() if k != "sentences"} == {k: v for k, v in found.items() if k != "sentences"}


@pytest.mark.parametrize(
    ("instant", "state"),
    [("2013-03-09T02:30", "GAP"), ("2013-03-20", "NOT_PLANNED"), ("2014-01-01T00:00", "OUTSIDE_HORIZON")],
)
def test_no_window_is_an_answer_too(
    store: PostgresLifecycleStore, instant: str, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["why", "flights", instant]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(state)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["orders", "2013-03-09"], "there is no pipeline 'orders'"),
        (["flights", "2013-11-03T01:30"], "2013-11-03T01:30:00-04:00 (2013-11-03T05:30:00Z) or"),
        (["flights", "2013-03-10T02:30"], "does not exist in America/New_York"),
        (["flights", "soon"], "is not a timestamp"),
    ],
)
def test_what_cannot_be_answered_is_an_error(
    store: PostgresLifecycleStore, words: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["why", *words]) == 2
    assert error in capsys.readouterr().err


def test_a_broken_file_is_named_when_its_source_is_asked_for(
    store: PostgresLifecycleStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in loader.PIPELINES_DIRECTORY.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "orders.yaml").write_text("source_object: [", encoding="utf-8")
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", tmp_path)
    assert main(["why", "orders", "2013-03-09"]) == 2
    assert "the file of the pipeline 'orders' is broken" in capsys.readouterr().err
