"""Adopting an older table, case by case: who wins, what is moved again, what is refused and in which words."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres_ledger.adoption import PostgresImport
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.config import loader
from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.core.records.planning import planned_row
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from tests.integration.older_table import COLUMNS, OLD_TABLE, Older, cli, tiles

pytestmark = pytest.mark.integration

NEW_YORK = "America/New_York"
DAY = LocalDay(date(2013, 3, 9), NEW_YORK)
HOUR = timedelta(hours=1)
TOUCHED = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def older(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Older:
    """An empty table `legacy.batches` beside an empty ledger; the one pipeline is `flights`."""
    shutil.copytree(loader.PIPELINES_DIRECTORY, tmp_path / "pipelines")
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", tmp_path / "pipelines")
    made = Older(ledger_url, tmp_path)
    made.run(OLD_TABLE)
    return made


def add(older: Older, start: float, hours: float = 1, state: str | None = "done", feed: str | None = "feed") -> int:
    """A row from so many hours after the day's start; its id."""
    (count,) = older.run('SELECT COALESCE(MAX("batch id"), 0) + 1 FROM legacy.batches')
    begin = DAY.start + start * HOUR
    values = (count[0], feed, begin, (begin + hours * HOUR).isoformat(), state, None, TOUCHED + count[0] * HOUR)
    older.run("INSERT INTO legacy.batches VALUES (%s, %s, %s, %s, %s, %s, %s)", values)
    return int(count[0])


def whole_day(older: Older, feed: str = "feed", first: int = 0) -> list[int]:
    return [add(older, hour, feed=feed) for hour in range(first, first + 24)]


def adopt(older: Older, *more: str, mapping: Path | None = None) -> dict[str, Any]:
    file = mapping or older.mapping(timezone=NEW_YORK)
    status, report, err = cli(
        "ledger", "adopt", "--table", "legacy.batches", "--mapping", file, "--format", "json", *more
    )
    assert status == 0, err
    return dict(report)


def ledger(older: Older, columns: str, where: str = "TRUE") -> list[Any]:
    return older.run(f"SELECT {columns} FROM pipeline_lifecycle WHERE {where} ORDER BY query_window_start_at, id")


def test_of_two_loaded_rows_one_stays_and_is_moved_again(older: Older) -> None:
    whole_day(older)
    again = add(older, 5)
    report = adopt(older, "--apply")
    assert report["summary"] | {"sources": 0, "notes": 0} == {
        "table": "legacy.batches", "applied": True, "rows": 25, "new_rows": 25, "kept": 23, "run_again": 1,
        "invalidated": 1, "planned": 0, "findings": {"duplicate": 2}, "decisions": {"invalidate": 1, "keep": 1},
        "sources": 0, "notes": 0,
    }  # fmt: skip
    start = DAY.start + 5 * HOUR
    lost, stays = (
        ledger(
            older,
            "is_invalidated_flag, pipeline_final_status, phase_completed, is_replacement_run_flag, replaced_by_id, id",
            f"query_window_start_at = '{start.isoformat()}'",
        )
        if again
        else ([], [])
    )
    if not lost[0]:
        lost, stays = stays, lost
    assert lost[:5] == (True, "COMPLETED", "AUDIT", False, stays[5])
    assert stays[:5] == (False, "PENDING", None, True, None)
    events = older.run(
        "SELECT event, reason FROM pipeline_lifecycle_events WHERE lifecycle_id = %s ORDER BY id", [lost[5]]
    )
    assert [event for event, _ in events] == ["adopted", "invalidated", "replacement_planned"]
    assert events[0][1] == "row 6 of legacy.batches says done"
    assert f"row {again} was updated last" in events[1][1]
    (record,) = older.run("SELECT resolution, adopted_lifecycle_id FROM pipeline_lifecycle_import WHERE id = 6")
    assert record == ("invalidated", lost[5])
    (reason,) = older.run(
        "SELECT reason FROM pipeline_lifecycle_events WHERE lifecycle_id = %s AND event = 'adopted'", [stays[5]]
    )
    assert "the target may hold rows of both" in reason[0]


def test_an_unfinished_loser_leaves_the_winner_finished(older: Older) -> None:
    whole_day(older)
    add(older, 5, 0.5, "queued")
    report = adopt(older, "--apply")["summary"]
    assert (report["kept"], report["run_again"], report["invalidated"]) == (24, 0, 1)
    assert {row[0] for row in ledger(older, "pipeline_final_status", "NOT is_invalidated_flag")} == {"COMPLETED"}


def test_rows_that_will_be_moved_are_complete_records(older: Older) -> None:
    whole_day(older)
    older.run("UPDATE legacy.batches SET state = 'running' WHERE \"batch id\" = 3")
    assert "IN_PROGRESS" not in str(adopt(older, "--apply")["summary"]["findings"])
    (row,) = ledger(
        older,
        "pipeline_id, source_name, target_name, granularity, time_interval, target_day, dag_run_id, key_x, key_y,"
        " source_query_window_duration_minutes::int",
        "pipeline_final_status = 'PENDING'",
    )
    assert row == (
        "feed", "adopted", "adopted", "1h", "1h", date(2013, 3, 9), None, "feed/2013-03-09/20130309T070000Z",
        "feed:20130309T070000Z/20130309T080000Z", 60,
    )  # fmt: skip


def test_a_last_row_over_midnight_completes_its_second_day(older: Older) -> None:
    whole_day(older)
    older.run('UPDATE legacy.batches SET "To%%" = %s WHERE "batch id" = 24', [(DAY.end + HOUR / 3).isoformat()])
    report = adopt(older, "--apply")
    assert report["summary"]["findings"] == {"crosses_day": 1}
    assert tiles([DAY, DAY.next()], older.live("feed"))
    assert report["summary"]["planned"] == 1 + 23  # the 10th has 23 hours
    assert cli("state", "analyse", "--source", "feed")[0] in (0, 1)
    replacing = ledger(older, "query_window_start_at", "is_replacement_run_flag")
    assert [row[0] for row in replacing] == [DAY.end - HOUR, DAY.end]


def test_rows_of_the_ledger_win(older: Older) -> None:
    whole_day(older)
    final = {"timezone": NEW_YORK, "granularity": "1h", "default_record": {"pipeline_id": "x", "source_object": "feed"}}
    final["default_record"] |= {"source_name": "s", "target_name": "t"}
    own = TimeWindow(DAY.start + HOUR, DAY.start + 2.5 * HOUR)
    store = PostgresLifecycleStore(lambda: psycopg.connect(older.url))
    store.insert_planned([planned_row(final, own, deriving)], Actor("test", "test"))
    store.close()
    report = adopt(older, "--apply")
    assert [(each["kind"], each["rows"], each["decision"]) for each in report["findings"]] == [
        ("overlap", [2], "invalidate"),
        ("overlap", [3], "invalidate"),
        ("gap_middle", [], "insert"),
    ]
    assert "the ledger's row 1 is PENDING there; rows of the ledger win" in report["findings"][0]["reason"]
    assert tiles([DAY], older.live("feed"))
    assert ledger(older, "id, is_invalidated_flag", "pipeline_id = 'x'") == [(1, False)]
    assert ledger(older, "is_replacement_run_flag", "time_interval = '30m'") == [(True,)]


def test_only_what_is_new_is_adopted(older: Older) -> None:
    whole_day(older)
    adopt(older, "--apply")
    assert adopt(older, "--apply")["summary"]["new_rows"] == 0
    for hour in range(24, 30):
        add(older, hour)
    report = adopt(older, "--apply")
    assert (report["summary"]["new_rows"], report["summary"]["kept"]) == (6, 6)
    assert report["summary"]["findings"] == {"gap_end": 1}
    assert tiles([DAY, DAY.next()], older.live("feed"))
    status, text, _ = cli("ledger", "adopt", "--table", "legacy.batches", "--mapping", older.mapping(timezone=NEW_YORK))
    assert (status, text.splitlines()[-1]) == (0, "0 new rows: all 30 rows of legacy.batches were adopted before")


def test_rows_without_an_id_and_with_naive_local_times(older: Older) -> None:
    older.run("CREATE TABLE legacy.plain (source_object text, query_window_start_at text, until timestamp, note text)")
    for hour in (*range(24), 7):
        values = (f"2013-03-09 {hour:02}:00:00", f"2013-03-09 {hour:02}:59:59.999999")
        older.run("INSERT INTO legacy.plain VALUES ('feed', %s, %s::timestamp + '1 microsecond', '')", values)
    mapping = older.mapping(
        source_object=None, columns={"query_window_end_at": "until", "target_name": {"value": "warehouse"}},
        timezone=NEW_YORK, naive_timezone=NEW_YORK,
    )  # fmt: skip
    options = ("ledger", "adopt", "--table", "legacy.plain", "--mapping", mapping, "--format", "json", "--apply")
    _, report, _ = cli(*options)
    assert report["summary"]["findings"] == {"duplicate": 2}
    assert report["summary"]["notes"] == [
        "legacy.plain has no status column: every row comes in as PENDING",
        "legacy.plain has no id column: findings name rows by their place in this import",
    ]
    assert [each["rows"] for each in report["findings"]] == [[8, 9], [9, 8]]
    assert tiles([DAY], older.live("feed"))
    assert ledger(older, "DISTINCT target_name, 1 AS id, 1 AS query_window_start_at") == [("warehouse", 1, 1)]
    assert cli(*options)[1]["summary"]["new_rows"] == 0


def test_a_pipelines_file_decides(older: Older) -> None:
    whole_day(older, "flights")
    whole_day(older, "flights", 47)
    older.run('DELETE FROM legacy.batches WHERE "batch id" = 5')
    older.run("UPDATE legacy.batches SET state = 'queued' WHERE \"batch id\" = 7")
    report = adopt(older, "--apply", mapping=older.mapping(granularity=None))
    assert [(each["kind"], each["decision"]) for each in report["findings"]] == [
        ("gap_middle", "insert"),
    ]
    (source,) = report["summary"]["sources"]
    assert source["days_on_request"] == 1  # fill_missing_days is false
    pending = ledger(older, "pipeline_id, data_domain, target_object, key_x", "pipeline_final_status = 'PENDING'")
    assert {row[:3] for row in pending} == {("main", "aviation", "FLIGHTS")}
    assert all(row[3] for row in pending)
    status, _, err = cli(
        "ledger", "adopt", "--table", "legacy.batches", "--mapping", older.mapping(timezone="Europe/Berlin")
    )
    assert status == 2
    assert "its days are of Europe/Berlin, those of its pipeline main of America/New_York" in err


def test_a_death_in_the_middle_leaves_nothing(older: Older, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_day(older)
    before = older.dump()
    for name in ("import_rows", "invalidate", "adopt", "plan", "link_replaced"):
        with monkeypatch.context() as patch:
            patch.setattr(PostgresImport, name, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                adopt(older, "--apply")
        assert older.dump() == before, name
    real = PostgresImport.adopt

    def die_late(self: PostgresImport, *arguments: Any) -> None:
        real(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="130 == 0"):  # Ctrl-C
        patch.setattr(PostgresImport, "adopt", die_late)
        adopt(older, "--apply")
    assert older.dump() == before
    assert adopt(older, "--apply")["summary"]["kept"] == 24


def test_what_people_read(older: Older) -> None:
    whole_day(older)
    add(older, 5, 0.5, "queued")
    options = ("--table", "legacy.batches", "--mapping", older.mapping(timezone=NEW_YORK))
    status, text, _ = cli("state", "analyse", *options)
    assert status == 1
    assert "overlap  invalidate  1" in text
    assert text.splitlines()[-1].startswith("2 findings: 1 of 1 days have rows, 0 days are planned only on request")
    _, text, _ = cli("ledger", "adopt", *options)
    assert text.splitlines()[-1] == (
        "25 new rows of legacy.batches: 24 kept, 0 to run again, 1 invalidated; 0 windows planned. "
        "Nothing was changed, do it with --apply"
    )
    assert cli("state", "analyse", *options, "--source", "feed")[0] == 1
    assert "no row has the source nobody" in cli("state", "analyse", *options, "--source", "nobody")[2]
    assert cli("state", "analyse", "--source", "flights") == (0, cli("state", "analyse", "--source", "flights")[1], "")
    status, _, err = cli("state", "analyse", "--source", "nobody")
    assert (status, "there is no pipeline 'nobody'" in err) == (2, True)
    status, _, err = cli("state", "analyse", "--mapping", older.mapping())
    assert (status, "--mapping without --table" in err) == (2, True)


BAD_ROWS = [
    ("UPDATE legacy.batches SET \"from\" = NULL WHERE \"batch id\" IN (1, 2)", "2 rows with no start, such as 1, 2"),
    ("UPDATE legacy.batches SET feed = ' ' WHERE \"batch id\" = 3", "1 rows with no source_object, such as 3"),
    (
        "UPDATE legacy.batches SET \"To%\" = \"from\"::text WHERE \"batch id\" = 3",
        "1 rows with an end that is not after the start, such as 3",
    ),
    ("UPDATE legacy.batches SET \"To%\" = 'infinity' WHERE \"batch id\" = 3", "a bound outside the years 1900 to 2199"),
    ("UPDATE legacy.batches SET \"To%\" = '2199-01-01' WHERE \"batch id\" = 3", "more than 366 days"),
    ("UPDATE legacy.batches SET \"To%\" = 'soon' WHERE \"batch id\" = 3", "1 values for query_window_end_at"),
    ("UPDATE legacy.batches SET \"To%\" = 'soon' WHERE \"batch id\" = 3", "such as soon (row 3)"),
    ("UPDATE legacy.batches SET state = 'weird' WHERE \"batch id\" < 3", "unknown statuses: 'weird' (2 rows)"),
    ("UPDATE legacy.batches SET state = NULL WHERE \"batch id\" < 3", 'statuses: {"NULL": …}'),
    ("ALTER TABLE legacy.batches ALTER \"from\" TYPE bigint USING 1", "the column from is bigint, which is no time"),
    ("DROP TABLE legacy.batches", "there is no table legacy.batches [--table]"),
    ("DROP TABLE legacy.batches; CREATE SEQUENCE legacy.batches", "legacy.batches is not a table"),
    (
        "DROP TABLE pipeline_lifecycle_import CASCADE; DROP SEQUENCE pipeline_lifecycle_import_id_seq",
        "Run: python -m include.cli ledger migrate",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "says"), BAD_ROWS)
def test_what_is_wrong_with_the_table_is_said(older: Older, damage: str, says: str) -> None:
    whole_day(older)
    older.run(damage)
    status, out, err = cli(
        "ledger", "adopt", "--table", "legacy.batches", "--mapping", older.mapping(timezone=NEW_YORK), "--apply"
    )
    assert (status, out) == (2, "")
    assert says in err
    assert "What to do: " in err
    assert older.run("SELECT COUNT(*) FROM pipeline_lifecycle") == [(0,)]


BAD_MAPPINGS: list[tuple[dict[str, Any], str]] = [
    ({"timezone": "Mars/Olympus"}, "'Mars/Olympus' is not a time zone"),
    ({"granularity": "2d"}, "the granularity is at most 1d"),
    ({"timezones": "UTC"}, "unknown key; did you mean timezone?"),
    ({"statuses": {"done": "FINE"}}, "it must be one of PENDING, IN_PROGRESS, COMPLETED, SKIPPED, FAILED"),
    ({"columns": {**COLUMNS, "query_window_strat_at": "from"}}, "did you mean query_window_start_at?"),
    ({"columns": {**COLUMNS, "id": "batch"}}, "there is no column 'batch'"),
    ({"columns": {"query_window_start_at": "from"}}, "nothing says what is query_window_end_at"),
    ({"source_object": {}}, "give either column (the name of theirs) or value"),
    (
        {"source_object": {"column": "x; DROP TABLE legacy.batches"}},
        "there is no column 'x; DROP",
    ),
    ({"granularity": None}, "nothing says how long its windows are"),
    ({"timezone": None}, "nothing says in which time zone its days are"),
]


@pytest.mark.parametrize(("changes", "says"), BAD_MAPPINGS)
def test_what_is_wrong_with_the_mapping_is_said(older: Older, changes: dict[str, Any], says: str) -> None:
    add(older, 0)
    mapping = older.mapping(**{"timezone": NEW_YORK, **changes})
    status, out, err = cli("state", "analyse", "--table", "legacy.batches", "--mapping", mapping)
    assert (status, out) == (2, "")
    assert says in err
    assert "What to do: " in err
    assert older.run("SELECT COUNT(*) FROM legacy.batches") == [(1,)]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("legacy.batches; DROP TABLE x", "there is no table"),
        ("a.b.c", "is not the name of a table"),
        ("", "is not the name of a table"),
        ("public.pipeline_lifecycle", "is the ledger itself"),
        ("nowhere.batches", "there is no table nowhere.batches"),
    ],
)
def test_what_is_wrong_with_the_name_is_said(older: Older, table: str, says: str) -> None:
    status, _, err = cli("ledger", "adopt", "--table", table, "--mapping", older.mapping(timezone=NEW_YORK))
    assert (status, says in err) == (2, True)


def test_a_login_that_may_not_read_it_is_told(older: Older) -> None:
    older.run("REVOKE ALL ON legacy.batches FROM CURRENT_USER")
    older.run("REVOKE ALL ON SCHEMA legacy FROM CURRENT_USER")
    status, _, err = cli("state", "analyse", "--table", "legacy.batches", "--mapping", older.mapping(timezone="UTC"))
    assert (status, "may not read legacy.batches" in err) == (2, True)
