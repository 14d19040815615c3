"""Older tables whose times have no offset: rows of the hours that a local clock repeats are read as what they were."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from include.pipeline_framework.config import loader
from include.pipeline_framework.core.time.days import days_between
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.windows import TimeWindow, tile
from tests.integration.older_table import Older, cli

pytestmark = pytest.mark.integration

NEW_YORK, HAVANA, LORD_HOWE, TROLL = "America/New_York", "America/Havana", "Australia/Lord_Howe", "Antarctica/Troll"
TEHRAN, APIA = "Asia/Tehran", "Pacific/Apia"
AUTUMN = {
    NEW_YORK: date(2013, 11, 2),
    HAVANA: date(2013, 11, 2),  # one o'clock becomes midnight: the day has two
    LORD_HOWE: date(2024, 4, 6),  # by half an hour
    TROLL: date(2024, 10, 26),  # by two hours
    TEHRAN: date(2021, 9, 20),  # midnight becomes eleven in the evening
    APIA: date(2011, 12, 28),  # a day is skipped
}


@pytest.fixture
def older(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Older:
    """An empty schema beside an empty ledger; no pipeline has a file."""
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", tmp_path / "pipelines")
    return Older(ledger_url, tmp_path)


def windows(timezone: str, granularity: str) -> list[TimeWindow]:
    """Four days around the change, tiled."""
    first = AUTUMN[timezone]
    days = [day.window for day in days_between(first, first + timedelta(days=4), timezone)]
    return [window for day in days if day for window in tile(day, parse_granularity(granularity))]


def fill(older: Older, timezone: str, rows: list[TimeWindow], kind: str) -> tuple[Any, ...]:
    """Write rows as that zone's clock shows them; the options that read them."""
    older.run(f'CREATE TABLE legacy.batches (id text, "from" {kind}, until {kind}, state text)')
    for number, window in enumerate(rows, 1):
        shown = [instant.astimezone(ZoneInfo(timezone)).replace(tzinfo=None) for instant in (window.start, window.end)]
        older.run("INSERT INTO legacy.batches VALUES (%s, %s, %s, 'COMPLETED')", [str(number), *map(str, shown)])
    columns = {"query_window_start_at": "from", "query_window_end_at": "until", "pipeline_final_status": "state"}
    mapping = older.mapping(
        source_object={"value": "feed"}, columns=columns, statuses=None, timezone=timezone, naive_timezone=timezone
    )
    return ("--table", "legacy.batches", "--mapping", mapping, "--format", "json")


@pytest.mark.parametrize(
    ("timezone", "granularity"),
    [
        *[(NEW_YORK, granularity) for granularity in ("1h", "2h", "30m", "6h", "1d", "24h")],
        *[(HAVANA, granularity) for granularity in ("1h", "2h", "30m", "6h", "1d", "24h")],
        *[(timezone, granularity) for timezone in (LORD_HOWE, TROLL, TEHRAN, APIA) for granularity in ("1h", "1d")],
        *[(TROLL, "6h"), (LORD_HOWE, "30m"), (APIA, "24h")],
    ],
)
def test_whole_days_are_whole_where_the_clocks_change(older: Older, timezone: str, granularity: str) -> None:
    rows = windows(timezone, granularity)
    options = fill(older, timezone, rows, "timestamp")
    assert cli("state", "analyse", *options)[1]["findings"] == []
    status, report, err = cli("ledger", "adopt", *options, "--apply")
    assert status == 0, err
    assert (report["summary"]["kept"], report["summary"]["planned"]) == (len(rows), 0)
    assert older.live("feed") == rows


def test_a_text_with_an_offset_is_taken_at_its_word_and_one_without_is_local(older: Older) -> None:
    rows = windows(NEW_YORK, "1h")
    options = fill(older, NEW_YORK, rows, "text")
    late = rows[26]
    assert (late.start, late.end) == (datetime(2013, 11, 3, 6, tzinfo=UTC), datetime(2013, 11, 3, 7, tzinfo=UTC))
    older.run("UPDATE legacy.batches SET \"from\" = '2013-11-03T01:00:00-05:00' WHERE id = '27'")
    older.run("UPDATE legacy.batches SET until = ' 2013-11-03 06:00Z ' WHERE id = '26'")
    assert cli("ledger", "adopt", *options, "--apply")[1]["findings"] == []
    assert older.live("feed") == rows


def test_faults_in_the_hour_that_comes_twice_are_found(older: Older) -> None:
    rows = windows(NEW_YORK, "30m")
    again, missing = rows[50], rows[53]
    assert again.start == datetime(2013, 11, 3, 5, tzinfo=UTC)
    options = fill(older, NEW_YORK, [row for row in [*rows, again] if row != missing], "timestamp")
    status, report, _ = cli("ledger", "adopt", *options, "--apply")
    kinds = [(finding["kind"], finding["decision"]) for finding in report["findings"]]
    # of equal rows in that hour the first is the earlier, all others are the later one
    assert (status, sorted(kinds)) == (
        0,
        [("duplicate", "invalidate"), ("duplicate", "keep"), ("gap_middle", "insert")],
    )
    assert older.live("feed") == rows


@pytest.mark.parametrize(
    ("until", "says"),
    [
        ("soon", "1 values for query_window_end_at (timestamp with time zone), such as soon (row 3)"),
        ("infinity", "1 rows with a bound outside the years 1900 to 2199, such as 3"),
        ("0044-03-15 01:30 BC", "1 rows with an end that is not after the start, such as 3"),
        ("2013-11-02 01:59:59", "1 rows with an end that is not after the start, such as 3"),
    ],
)
def test_what_is_wrong_with_a_local_time_is_said(older: Older, until: str, says: str) -> None:
    options = fill(older, NEW_YORK, windows(NEW_YORK, "1h"), "text")
    older.run("UPDATE legacy.batches SET until = %s WHERE id = '3'", [until])
    status, _, err = cli("ledger", "adopt", *options, "--apply")
    assert (status, says in err) == (2, True), err
    assert older.run("SELECT COUNT(*) FROM pipeline_lifecycle") == [(0,)]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("CET", "Europe/Brussels"),
        ("EET", "Europe/Athens"),
        ("MET", "Europe/Brussels"),
        ("WET", "Europe/Lisbon"),
        ("Europe/Berlin", ""),
        ("EST", ""),  # the zone is a fixed offset, too
        ("Etc/UTC", ""),
    ],
)
def test_a_zone_whose_name_is_an_abbreviation_to_postgres_is_refused(older: Older, name: str, says: str) -> None:
    """`AT TIME ZONE 'CET'` knows no summer time: each October would have a false gap and a false double."""
    older.run('CREATE TABLE legacy.batches (id text, "from" timestamp, until timestamp, state text)')
    older.run("INSERT INTO legacy.batches VALUES ('1', '2024-07-01 00:00', '2024-07-01 01:00', 'COMPLETED')")
    columns = {"query_window_start_at": "from", "query_window_end_at": "until", "pipeline_final_status": "state"}
    mapping = older.mapping(
        source_object={"value": "feed"}, columns=columns, statuses=None, timezone="Europe/Berlin", naive_timezone=name
    )
    code, _, error = cli("state", "analyse", "--table", "legacy.batches", "--mapping", mapping)
    if says:
        assert (code, f"naive_timezone '{name}' means two things to Postgres" in error, says in error) == (
            2,
            True,
            True,
        )
    else:
        assert "means two things" not in error
