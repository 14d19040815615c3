"""Two planners with two sets of time zone rules on one real ledger, each a process of its own; and a server whose rules
are not ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from include.cli.__main__ import main
from include.pipeline_framework.config import loader
from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow, merge
from include.pipeline_framework.errors import ConfigurationError
from tests.integration.older_table import Older, cli
from tests.orders_world import orders_world
from tests.zone_rule_sets import OLDER, PINNED, VANCOUVER, write_other_rules

pytestmark = pytest.mark.integration

REPO = Path(__file__).resolve().parents[2]
NOON = "2026-10-31T19:00:00+00:00"
SATURDAY, SUNDAY, MONDAY = date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)

PLANNER = """
import sys
from datetime import date, datetime
folder, version, now, *days = sys.argv[1:]
from include.pipeline_framework.core.time import zone_rules
if version:
    zone_rules.use(version, [folder])
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.tasks.planning import plan_sources
from include.wiring import assembly
from tests.unit.tasks.world import config
source = config(timezone="America/Vancouver", start_date="2026-10-31", granularity="4h")
for day in days or [None]:
    target = date.fromisoformat(day) if day else None
    actor, store = Actor("daily_planner", f"by {zone_rules.version()}", "plan_windows"), assembly.lifecycle_store()
    reports = plan_sources(
        [source], store, actor, now=datetime.fromisoformat(now), target_date=target, allow_future=True
    )
    for report in reports:
        print(report.day, report.inserted, report.failed or report.note, sep="|")
"""


@pytest.fixture
def plan(ledger_url: str, tmp_path: Path) -> Callable[..., list[str]]:
    """Run a planner in a process of its own; what it reports, a line for each day."""
    folder = write_other_rules(tmp_path / "zones")
    environ = {**os.environ, "PYTHONPATH": str(REPO), "PYTHONTZPATH": str(folder), "LEDGER_URL": ledger_url}

    def run(version: str = "", *days: date) -> list[str]:
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PLANNER, str(folder), version, NOON, *map(str, days)],
            capture_output=True, text=True, env=environ, cwd=tmp_path,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return [line for line in ran.stdout.splitlines() if line.count("|") == 2]

    return run


def rows(url: str, where: str = "NOT is_invalidated_flag") -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        text = f"SELECT * FROM pipeline_lifecycle WHERE {where} ORDER BY query_window_start_at, id"
        return connection.execute(text.encode()).fetchall()


def windows(found: list[dict[str, Any]]) -> list[TimeWindow]:
    return [TimeWindow(row["query_window_start_at"], row["query_window_end_at"]) for row in found]


class TestTwoPlanners:
    def test_newer_rules_plan_anew_what_older_ones_have_planned(
        self, plan: Callable[..., list[str]], ledger_url: str
    ) -> None:
        plan(OLDER, SATURDAY, SUNDAY, MONDAY)
        assert {row["zone_rules"] for row in rows(ledger_url)} == {OLDER}
        told = plan()
        assert told[0].startswith(
            f"2026-11-01|6|zone rules changed from {OLDER} to {PINNED}: the day 2026-11-01 ends at 07:00Z, not 08:00Z"
        )
        found = rows(ledger_url)
        for day in (SATURDAY, SUNDAY, MONDAY):
            assert merge(windows([row for row in found if row["target_day"] == day])) == [
                LocalDay(day, VANCOUVER).window
            ]
        assert {row["zone_rules"] for row in found if row["target_day"] > SATURDAY} == {PINNED}
        gone = rows(ledger_url, "is_invalidated_flag")
        assert len(gone) == 7 + 6
        assert all(row["replaced_by_id"] for row in gone)
        with psycopg.connect(ledger_url) as connection:
            reasons = connection.execute(
                "SELECT DISTINCT reason, dag_run_id FROM pipeline_lifecycle_events WHERE event = 'invalidated'"
            ).fetchall()
        assert [(reason.split(":")[0], run) for reason, run in reasons] == [
            (f"zone rules changed from {OLDER} to {PINNED}", f"by {PINNED}")
        ]
        assert [line.split("|")[1] for line in plan()] == ["0", "0"]

    def test_older_rules_never_plan_back_what_newer_ones_have_planned(
        self, plan: Callable[..., list[str]], ledger_url: str
    ) -> None:
        plan("", SUNDAY, MONDAY)
        before = rows(ledger_url)
        told = plan(OLDER)
        assert told[0] == "2026-10-31|6|"
        assert told[1].startswith(f"2026-11-01|0|2026-11-01 is left to a process with the zone rules {PINNED}")
        assert [row for row in rows(ledger_url) if row["target_day"] > SATURDAY] == before

    def test_in_turns_the_newer_rules_win(self, plan: Callable[..., list[str]], ledger_url: str) -> None:
        plan(OLDER, SUNDAY, MONDAY)
        for version in ("", OLDER, "", OLDER):
            plan(version)
        found = [row for row in rows(ledger_url) if row["target_day"] > SATURDAY]
        assert merge(windows(found)) == [
            TimeWindow(datetime(2026, 11, 1, 7, tzinfo=UTC), datetime(2026, 11, 3, 7, tzinfo=UTC))
        ]
        assert len(found) == 12

    def test_a_window_that_is_moved_right_now_stays(self, plan: Callable[..., list[str]], ledger_url: str) -> None:
        plan(OLDER, SUNDAY, MONDAY)
        with psycopg.connect(ledger_url) as connection:
            connection.execute(
                "UPDATE pipeline_lifecycle SET pipeline_final_status = 'IN_PROGRESS', dag_id = 'd', dag_run_id = 'r',"
                " pipeline_locked_at = now() WHERE query_window_start_at = '2026-11-02 07:00+00'"
            )
        told = plan()
        assert any("1 IN_PROGRESS of its windows stay as they are" in line for line in told)
        found = rows(ledger_url)
        assert sum((window.duration for window in windows(found)), timedelta()) == timedelta(hours=72)
        assert len(merge(windows(found))) == 1
        assert [row["pipeline_final_status"] for row in found if row["dag_run_id"] == "r"] == ["IN_PROGRESS"]


def test_the_versions_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "validate"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"time zone rules: {PINNED}, from the package tzdata"


@pytest.fixture
def india_is_elsewhere(tmp_path: Path) -> Any:
    """This process has Kolkata at UTC+5, which no server has."""
    folder = tmp_path / "zones"
    (folder / "Asia").mkdir(parents=True)
    karachi = resources.files("tzdata.zoneinfo.Asia").joinpath("Karachi").read_bytes()
    (folder / "Asia" / "Kolkata").write_bytes(karachi)
    zone_rules.use("2099a", [str(folder)])
    yield
    zone_rules.use_pinned()


def test_a_server_with_other_rules_these_days_is_refused_by_the_orders_sync(
    orders_url: str, india_is_elsewhere: None
) -> None:
    with orders_world(orders_url, stores=1) as world:
        with pytest.raises(ConfigurationError, match=r"other time zone rules .* Asia/Kolkata on \d+ days") as refused:
            world.run()
        assert "Update the zone files of the server" in str(refused.value)
        assert world.log() == []


def test_a_difference_that_is_still_to_come_is_a_warning(
    orders_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two sets of rules one differs from the server's, whichever it has: in November."""
    folder = [str(write_other_rules(tmp_path / "zones"))]
    said = []
    for version, folders in ((PINNED, []), (OLDER, folder)):
        caplog.clear()
        zone_rules.use(version, folders)
        try:
            with orders_world(orders_url, stores=0, pipeline_timezone=VANCOUVER) as world:
                world.run()
        finally:
            zone_rules.use_pinned()
        said.append([text for text in caplog.messages if "other time zone rules" in text])
    ((text,),) = (texts for texts in said if texts)
    assert "America/Vancouver on 134 days, 2026-11-01 to 2027-03-14" in text
    assert "From the first of these days on runs are refused" in text


def test_local_times_are_not_adopted_from_a_server_with_other_rules(
    ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, india_is_elsewhere: None
) -> None:
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", tmp_path / "pipelines")
    older = Older(ledger_url, tmp_path)
    older.run('CREATE TABLE legacy.batches (id text, "from" timestamp, until timestamp, state text)')
    older.run("INSERT INTO legacy.batches VALUES ('1', '2026-01-05 00:00', '2026-01-05 01:00', 'COMPLETED')")
    columns = {"query_window_start_at": "from", "query_window_end_at": "until", "pipeline_final_status": "state"}
    zone = dict.fromkeys(("timezone", "naive_timezone"), "Asia/Kolkata")
    mapping = older.mapping(source_object={"value": "feed"}, columns=columns, statuses=None, **zone)
    status, _, err = cli("ledger", "adopt", "--table", "legacy.batches", "--mapping", mapping, "--apply")
    assert status == 2
    assert "the ledger's server has other time zone rules than this process, which has 2099a: Asia/Kolkata on" in err
    assert older.live("feed") == []
