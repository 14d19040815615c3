"""`status` on the command line with a real ledger: what it prints, and its exit status."""

from __future__ import annotations

import json
from datetime import date

import psycopg
import pytest

from include import framework
from include.cli.__main__ import main
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.tasks.planning import insert_windows
from include.wiring import assembly
from tests.unit.tasks.world import RUN_1, window

pytestmark = pytest.mark.integration

PLANNER = Actor("daily_planner", "planner-run", "plan")
DAYS = ["--from", "2013-03-08", "--to", "2013-03-10"]


@pytest.fixture
def store(ledger_url: str) -> PostgresLifecycleStore:
    """Of a day of the flights one hour is missing, one has failed, and the others wait."""
    found = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    hours = [window(hour) for hour in range(24) if hour != 7]
    insert_windows(assembly.parsed_config("main"), hours, found, PLANNER)
    (row,) = found.claim("flights", RUN_1, limit=1, ended_before=window(3).end, within=[window(2)])
    fence = found.take(row.id, RUN_1).fence
    found.change(row.id, lambda it, now: transitions.fail(it, fence, now, "boom", max_retry_task=0), RUN_1)
    return found


def test_a_line_for_each_pipeline(store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("flights "))
    assert "0 of 1 days, 23 windows, 1 missing, 1 failed, 22 waiting, 30 days not asked for" in line


def test_months_of_one_pipeline_under_any_of_its_names(
    store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = set()
    for name in ("flights", "main", "data_pipeline_main", "MAIN"):
        assert main(["status", name, *DAYS]) == 1
        seen.add(capsys.readouterr().out.split("behind since")[0])
    (text,) = seen
    assert text.startswith("flights  America/New_York, windows of 1h")
    assert "0 of 1 days, 23 windows, 1 missing, 1 failed, 22 waiting, 2 days not asked for: 9 failed" in text


def test_what_is_missing_is_listed_with_its_reason(
    store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "main", *DAYS, "--missing", "--limit", "9"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("failed") and "02:00-05:00 → 03:00-05:00" in line and "boom" in line for line in lines)
    assert any(line.startswith("missing") and "07:00-05:00 → 08:00-05:00" in line for line in lines)
    assert sum(line.startswith("pending") for line in lines) == 7


def test_json_has_the_frameworks_numbers(store: PostgresLifecycleStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "main", *DAYS, "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found.pop("pipeline_id"), found.pop("campaigns")) == ("main", [])
    assert found == framework.completeness(
        framework.load_final_config("main"), first_day=date(2013, 3, 8), last_day=date(2013, 3, 10)
    )
    assert found["figures"]["failed"] == 1


def test_names_and_days_that_are_wrong(ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "flihgts"]) == 2
    assert "did you mean flights?" in capsys.readouterr().err
    assert main(["status", "main", "--from", "2013-03-10", "--to", "2013-03-08"]) == 2
    assert "first day comes first" in capsys.readouterr().err
    assert main(["status", "main", "--from", "2013-03-32"]) == 2
    assert "--from" in capsys.readouterr().err


def test_nothing_was_planned_yet(ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "main"]) == 0
    assert "0 of 0 days, 0 windows, 31 days not asked for" in capsys.readouterr().out
