"""Older tables whose ends are inclusive: 23:59:59, ….999, ….999999, or a day's own date, as they mostly are written."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from include.pipeline_framework.config import loader
from include.pipeline_framework.core.time.days import LocalDay, days_between
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.windows import TimeWindow, tile
from tests.integration.older_table import Older, cli, tiles

pytestmark = pytest.mark.integration

NEW_YORK = "America/New_York"
STEPS = {
    "seconds": timedelta(seconds=1),
    "milliseconds": timedelta(milliseconds=1),
    "microseconds": timedelta(microseconds=1),
    "minutes": timedelta(minutes=1),
}
COLUMNS = {"query_window_start_at": "from", "query_window_end_at": "until", "pipeline_final_status": "state"}


@pytest.fixture
def older(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Older:
    """An empty schema beside an empty ledger; no pipeline has a file."""
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", tmp_path / "pipelines")
    return Older(ledger_url, tmp_path)


def days_of(timezone: str, first: date, count: int = 4) -> list[LocalDay]:
    return [day for day in days_between(first, first + timedelta(days=count), timezone) if day.window]


def grid(days: list[LocalDay], granularity: str) -> list[TimeWindow]:
    return [window for day in days if day.window for window in tile(day.window, parse_granularity(granularity))]


def fill(older: Older, rows: list[TimeWindow], step: timedelta, kind: str = "timestamptz", zone: str = "UTC") -> None:
    """Rows with inclusive ends; without offsets where the column's type has none."""
    older.run(f'CREATE TABLE legacy.batches (id text, "from" {kind}, until {kind}, state text)')
    for number, window in enumerate(rows, 1):
        bounds = [instant.astimezone(ZoneInfo(zone)) for instant in (window.start, window.end)]
        start, end = bounds if kind == "timestamptz" else [bound.replace(tzinfo=None) for bound in bounds]
        if kind != "timestamptz":  # by the local clock, also where it is set back at the window's end
            end = (window.end - step).astimezone(ZoneInfo(zone)).replace(tzinfo=None) + step
        values = [str(number), str(start), str(end - step)]
        older.run("INSERT INTO legacy.batches VALUES (%s, %s, %s, 'COMPLETED')", values)


def options(older: Older, **mapping: Any) -> tuple[Any, ...]:
    written = {
        "source_object": {"value": "feed"},
        "columns": COLUMNS,
        "statuses": None,
        "timezone": NEW_YORK,
        **mapping,
    }
    return ("--table", "legacy.batches", "--mapping", older.mapping(**{**written, **mapping}), "--format", "json")


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("granularity", ["1h", "1d"])
def test_inclusive_ends_become_exclusive(older: Older, step: timedelta, granularity: str) -> None:
    days = days_of(NEW_YORK, date(2013, 3, 8))  # the clocks change on the 10th
    rows = grid(days, granularity)
    fill(older, rows, step)
    given = options(older, end="inclusive", granularity=granularity)
    assert cli("state", "analyse", *given)[1]["findings"] == []
    status, report, err = cli("ledger", "adopt", *given, "--apply")
    assert status == 0, err
    assert (report["summary"]["kept"], report["summary"]["planned"], report["findings"]) == (len(rows), 0, [])
    assert report["summary"]["notes"] == []
    assert older.live("feed") == rows
    (length,) = older.run("SELECT time_interval FROM pipeline_lifecycle ORDER BY query_window_start_at LIMIT 1")
    assert length == (granularity,)


@pytest.mark.parametrize("granularity", ["1h", "1d"])
@pytest.mark.parametrize(
    ("timezone", "first"),
    [
        (NEW_YORK, date(2013, 11, 2)),
        (NEW_YORK, date(2013, 3, 9)),
        ("America/Havana", date(2013, 11, 2)),
        ("Australia/Lord_Howe", date(2024, 4, 6)),
        ("Asia/Tehran", date(2021, 9, 20)),
        ("Pacific/Apia", date(2011, 12, 28)),
    ],
)
def test_local_times_are_read_as_they_are_written_and_then_moved(
    older: Older, timezone: str, first: date, granularity: str
) -> None:
    rows = grid(days_of(timezone, first), granularity)
    fill(older, rows, timedelta(seconds=1), "timestamp", timezone)
    given = options(older, end="inclusive", granularity=granularity, timezone=timezone, naive_timezone=timezone)
    status, report, err = cli("ledger", "adopt", *given, "--apply")
    assert (status, report["findings"]) == (0, []), err
    assert older.live("feed") == rows


@pytest.mark.parametrize("kind", ["date", "text"])
def test_a_days_own_date_is_the_whole_day(older: Older, kind: str) -> None:
    days = days_of(NEW_YORK, date(2013, 3, 8))
    older.run(f'CREATE TABLE legacy.batches (id text, "from" {kind}, until {kind}, state text)')
    for number, day in enumerate(days, 1):
        values = [str(number), str(day), str(day)]
        older.run("INSERT INTO legacy.batches VALUES (%s, %s, %s, 'COMPLETED')", values)
    given = {"granularity": "1d", "naive_timezone": NEW_YORK}
    status, _, err = cli("ledger", "adopt", *options(older, **given), "--apply")
    assert (status, "4 rows with an end that is not after the start" in err) == (2, True), err
    assert "If ends are inclusive, write end: inclusive into the mapping" in err
    status, report, err = cli("ledger", "adopt", *options(older, **given, end="inclusive"), "--apply")
    assert (status, report["findings"]) == (0, []), err
    assert older.live("feed") == [day.window for day in days]


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_without_a_word_about_ends_they_are_exclusive_the_days_are_whole_and_it_is_said(
    older: Older, step: timedelta
) -> None:
    days = days_of(NEW_YORK, date(2013, 3, 9), 1)
    fill(older, grid(days, "1h"), step)
    status, report, err = cli("ledger", "adopt", *options(older), "--apply")
    assert status == 0, err
    assert (report["summary"]["kept"], report["summary"]["planned"]) == (24, 24)
    assert tiles(days, older.live("feed"))
    if step < timedelta(minutes=1):
        (note,) = report["summary"]["notes"]
        assert note.startswith("24 of 24 rows of legacy.batches end as if their end were inclusive, such as 2013-03-09")
        assert "write end: inclusive into the mapping" in note
        assert "as if its end were inclusive" in report["findings"][0]["reason"]
    lengths = older.run("SELECT time_interval, count(*) FROM pipeline_lifecycle GROUP BY 1 ORDER BY count(*), 1")
    assert [count for _, count in lengths] == [24, 24]
    assert ("59m59.999s" in str(lengths), "0.001s" in str(lengths)) == (step == STEPS["milliseconds"],) * 2
    assert cli("ledger", "adopt", *options(older, end="exclusive"))[1]["summary"]["notes"] == []


def test_an_end_on_a_full_minute_is_exclusive_whatever_the_mapping_says_and_it_is_said(older: Older) -> None:
    days = days_of(NEW_YORK, date(2013, 3, 9), 1)
    rows = grid(days, "1h")
    fill(older, rows, timedelta(seconds=1))
    older.run("UPDATE legacy.batches SET until = until + interval '1 second' WHERE id::int > 20")
    status, report, err = cli("ledger", "adopt", *options(older, end="inclusive"), "--apply")
    assert (status, report["findings"]) == (0, []), err
    assert older.live("feed") == rows
    assert report["summary"]["notes"] == [
        "4 of 24 rows of legacy.batches end on a full minute: taken as exclusive, although end is inclusive"
    ]
