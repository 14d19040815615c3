"""The orders sync as a command: exit status, what it prints, and what a kill leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from include.cli.__main__ import main
from include.orders_sync.core.pipelines import TD, UC
from tests.orders_world import OrdersWorld, environment_of, orders_world

pytestmark = pytest.mark.integration

REPO = Path(__file__).resolve().parents[2]
BOTH, TD_ONLY = "HYD0005", "MUM0004"


@pytest.fixture
def world(orders_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OrdersWorld]:
    """The command takes its time from the database, so the CRM's clock stands still at the real time of now."""
    with orders_world(orders_url) as found:
        found.now = found.query("SELECT now()")[0]["now"].astimezone(ZoneInfo(found.config.pipeline_timezone))
        found.crm.control.clock(now=found.now.isoformat())
        found.query("UPDATE store_master SET start_date = %s", found.now.date() - timedelta(days=100))
        environment_of(found, monkeypatch)
        yield found


def orders(*arguments: str) -> int:
    return main(["orders", *arguments])


def test_the_script_ends_with_0_2_and_1(world: OrdersWorld) -> None:
    def script(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(REPO / "scripts/orders_sync_run_profiler.sh"), "--env", "test", *arguments],
            env={**os.environ, "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )

    done = script("--window-days", "400")
    assert done.returncode == 0, done.stderr
    assert "success" in done.stdout
    assert f"{UC}: " in done.stdout
    assert {row["run_env"] for row in world.log()} == {"test"}

    world.crm.control.faults({"kind": "bad_cell", "report": "sales", "store_code": TD_ONLY})
    partial = script("--store-code", TD_ONLY, "--overlap-days", "10")
    assert partial.returncode == 2, partial.stderr
    world.crm.control.faults({"kind": "bad_cell", "report": "orders", "store_code": TD_ONLY})
    failed = script("--store-code", TD_ONLY, "--overlap-days", "10")
    assert failed.returncode == 1, failed.stderr


def test_every_flag_of_the_requirement(world: OrdersWorld, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--env", "prod", "--sync-group", "td", "--window-days", "30", "--overlap-days", "2", "--max-workers", "2",
        "--force", "--store-code", BOTH,
    ]  # fmt: skip
    assert orders("profiler", *flags) == 0
    assert {(row["code"], row["store_code"], row["run_env"]) for row in world.log()} == {(TD, BOTH, "prod")}
    assert "forced" in capsys.readouterr().err
    assert orders("profiler", *flags) == 0
    assert len(world.log()) == 2 * len({(row["from_date"], row["to_date"]) for row in world.log()})


def test_a_dry_run_shows_the_windows_and_writes_nothing(world: OrdersWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert orders("profiler", "--dry-run", "--store-code", BOTH, "--window-days", "400") == 0
    shown = capsys.readouterr().out
    assert [line.split()[:2] for line in shown.splitlines()[1:3]] == [[BOTH, TD], [BOTH, UC]]
    assert "2 windows of 1 stores" in shown
    arguments = ("profiler", "--dry-run", "--store-code", BOTH, "--window-days", "400", "--format", "json")
    assert orders(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["store_code"], each["pipeline"]) for each in found["windows"]] == [(BOTH, TD), (BOTH, UC)]
    assert found["problems"] == {}
    assert world.query("SELECT 1 FROM pipeline_run_summaries") == world.log() == []


def test_status_shows_who_lacks_days_or_failed_last(world: OrdersWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert orders("status", "--store-code", BOTH) == 2
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:3]] == [TD, UC]
    assert orders("profiler", "--store-code", BOTH, "--window-days", "400") == 0
    capsys.readouterr()
    assert orders("status", "--store-code", BOTH) == 0
    assert capsys.readouterr().out == "2 of 2 pairs of store and pipeline are complete until yesterday\n"

    world.crm.control.faults({"kind": "bad_cell", "report": "orders", "store_code": BOTH})
    assert orders("profiler", "--store-code", BOTH, "--overlap-days", "20") == 1
    capsys.readouterr()
    assert orders("status", "--store-code", BOTH, "--format", "json") == 2
    (failed,) = json.loads(capsys.readouterr().out)["stores"]
    assert (failed["pipeline"], failed["missing_days"], failed["last"]["row"]["status"]) == (TD, 0, "failed")
    assert "orders" in failed["last"]["error_message"]
    world.query("UPDATE store_master SET sync_group = 'XX' WHERE store_code = %s", TD_ONLY)
    assert orders("status", "--all") == 2
    shown = capsys.readouterr().out
    assert f"{TD_ONLY} left out: the sync group is 'XX'" in shown
    assert [line.startswith(BOTH) for line in shown.splitlines()].count(True) == 2
    assert orders("status", "--store-code", "nobody") == 1


def test_td_and_uc_take_dates(world: OrdersWorld, capsys: pytest.CaptureFixture[str]) -> None:
    dates = ["--from-date", "2026-03-01", "--to-date", "2026-03-10"]
    assert orders("td", *dates, "--store-code", TD_ONLY) == 0
    assert orders("uc", *dates, "--store-code", BOTH) == 0
    assert world.windows() == [
        (TD, TD_ONLY, "2026-03-01", "2026-03-10", "success"),
        (UC, BOTH, "2026-03-01", "2026-03-10", "success"),
    ]
    assert orders("td", *dates, "--store-code", TD_ONLY, "--orders-only") == 2
    assert orders("td", *dates, "--store-code", TD_ONLY, "--sales-only") == 2
    assert [row["run_id"][:14] for row in world.log()] == [TD, UC, TD, TD]
    assert len(world.query("SELECT 1 FROM pipeline_run_summaries")) == 4
    capsys.readouterr()
    assert orders("td", "--from-date", "2026-03-10", "--to-date", "2026-03-01") == 1
    assert "from_date 2026-03-10 is after to_date 2026-03-01" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["uc", "--orders-only"], ["profiler", "--max-workers", "x"], ["profiler", "--sync-group", "XX"], ["td", "-x"]],
)
def test_a_wrong_flag_is_a_failure_not_a_partial_success(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert orders(*arguments) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Usage: python -m include.cli orders ")
    assert "\nerror: " in shown


def test_a_failed_window_ends_with_1_and_says_why(world: OrdersWorld, capsys: pytest.CaptureFixture[str]) -> None:
    world.crm.control.faults({"kind": "missing_column", "report": "gst"})
    assert orders("uc", "--store-code", BOTH) == 1
    shown = capsys.readouterr()
    assert "failed" in shown.out
    assert "the report has no column" in shown.out


def test_kill_9_in_the_middle_then_again_gives_the_same_tables(world: OrdersWorld) -> None:
    for kills in (1, 3, 6):
        process = subprocess.Popen(
            [sys.executable, "-m", "include.cli", "orders", "profiler", "--window-days", "15"],
            cwd=REPO,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while len(world.log("l.status = 'success'")) < kills * 2 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = world.query("SELECT count(*) AS n FROM orders_sync_log WHERE status = 'running'")[0]["n"]
    assert orders("profiler", "--window-days", "15") == 0
    assert before >= 1, "the kill hit no window"
    statuses = {row["status"] for row in world.log()}
    assert "running" not in statuses
    assert [row for row in world.log() if "died in this window" in (row["error_message"] or "")]
    world.assert_complete()


def test_no_secret_is_printed(world: OrdersWorld, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = [world.crm.credentials(group)[1] for group in ("td", "uc")]
    world.crm.control.random_faults(rate=0.5, seed=3, kinds=["500", "garbage", "token_expired", "reset"])
    orders("profiler", "--max-workers", "1")
    shown = capsys.readouterr()
    stored = str(world.log()) + str(world.query("SELECT * FROM pipeline_run_summaries"))
    for secret in secrets:
        assert secret
        assert secret not in shown.out + shown.err + stored


def test_ctrl_c_ends_after_the_windows_under_way_and_the_run_has_failed(world: OrdersWorld) -> None:
    """Of the hundreds of windows that a day each makes, the first one is enough for the person."""
    process = subprocess.Popen(
        [sys.executable, "-m", "include.cli", "orders", "profiler", "--window-days", "1", "--max-workers", "2"],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored where the tests run in the background
    )
    while not world.log("l.status = 'success'"):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate()
    assert process.returncode == 1
    assert "stopped by a person" in shown
    (summary,) = world.query("SELECT * FROM pipeline_run_summaries")
    assert (summary["overall_status"], summary["finished_at"] is None) == ("failed", False)
    assert {row["status"] for row in world.log()} == {"success"}
    assert len(world.log()) < 100 * len(world.stores())
