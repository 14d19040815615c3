"""What the ledger says about its sources: Postgres' set-based statements give what `gather` gives from the rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from include.implementation_modules.postgres_ledger.state_facts import PostgresState
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.ledger import LifecycleStore
from tests.doubles.facts_of_rows import gather
from tests.histories import History, history

HOUR = timedelta(hours=1)
PLANNER = Actor("daily_planner", "planner-run", "plan")
IN_LEDGER = ("missing_day", "gap_start", "gap_middle", "gap_end", "granularity_drift")
"""Overlaps the ledger refuses; rows that cross a day are planted by hand below."""


def planned(made: History) -> list[dict[str, Any]]:
    """The history's rows as a planner hands them to the ledger."""
    names = ("source_object", "timezone", "granularity", "target_day", "query_window_start_at", "query_window_end_at")
    fixed = {"pipeline_id": "main", "source_name": "s", "target_name": "t", "time_interval": "1h"}
    minutes = [(row["query_window_end_at"] - row["query_window_start_at"]).total_seconds() / 60 for row in made.rows]
    return [
        {**fixed, **{name: row[name] for name in names}, "source_query_window_duration_minutes": length}
        for row, length in zip(made.rows, minutes, strict=True)
    ]


def scope_of(made: History, **changes: Any) -> StateScope:
    return replace(StateScope(made.source_object, made.timezone, parse_granularity(made.granularity)), **changes)


def stored(store: LifecycleStore, *histories: History) -> list[LedgerRow]:
    for made in histories:
        assert not store.insert_planned(planned(made), PLANNER).refused
    return [row for made in histories for row in store.find(source_object=made.source_object)]


def test_the_same_facts_as_from_the_rows(store: LifecycleStore) -> None:
    """Twenty sources at once, in odd zones, over clock changes and a skipped day."""
    histories = [history(seed, f"source-{seed}", kinds=IN_LEDGER) for seed in range(20)]
    rows = stored(store, *histories)
    scopes = [scope_of(made) for made in histories]
    facts = store.state_facts(scopes)
    assert facts == {scope.source_object: gather(scope, [row.as_record() for row in rows]) for scope in scopes}
    assert any(found.gaps for found in facts.values())
    assert {group.ends_day for found in facts.values() for group in found.groups} == {True, False}


def test_only_days_inside_the_horizon_are_looked_at(store: LifecycleStore) -> None:
    made = history(3, "source", kinds=IN_LEDGER)
    rows = stored(store, made)
    for changes in ({"start_date": made.days[4].date}, {"end_date": made.days[4].date}, {"enabled": False}):
        horizon = Horizon(made.timezone, **{"start_date": date(2000, 1, 1), **changes})  # type: ignore[arg-type]
        scope = scope_of(made, horizon=horizon)
        assert store.state_facts([scope])["source"] == gather(scope, [row.as_record() for row in rows])
    assert store.state_facts([scope])["source"].groups == ()


def test_days_that_are_known_to_be_whole_are_left_out(store: LifecycleStore) -> None:
    histories = [history(seed, f"source-{seed}", kinds=IN_LEDGER) for seed in range(8)]
    rows = [row.as_record() for row in stored(store, *histories)]
    scopes = [scope_of(made, since=made.days[len(made.days) // 2].date) for made in histories]
    scopes[0] = replace(scopes[0], since=None)
    found = store.state_facts(scopes)
    assert found == {scope.source_object: gather(scope, rows) for scope in scopes}
    assert all(found[scope.source_object].days[0].date == scope.since for scope in scopes[1:])


def test_a_row_over_midnight_and_one_of_another_zone(store: LifecycleStore) -> None:
    day = LocalDay(date(2013, 3, 9), "America/New_York")
    made = History("source", day.timezone, "1h", [day])
    hour = timedelta(hours=1)
    made.add(TimeWindow(day.end - hour, day.end + hour), day)
    made.add(TimeWindow(day.end + hour, day.end + 2 * hour), day.next())
    made.add(TimeWindow(day.end + 30 * hour, day.end + 50 * hour), day.next())["timezone"] = "UTC"
    rows = stored(store, made)
    scope = scope_of(made)
    facts = store.state_facts([scope])["source"]
    assert facts == gather(scope, [row.as_record() for row in rows])
    assert [row.window for row in facts.crossing] == [TimeWindow(day.end - hour, day.end + hour)]
    assert facts.gaps[0] == TimeWindow(day.start, day.end - hour)


def test_invalidated_rows_count_nothing(store: LifecycleStore) -> None:
    made = history(1, "source", kinds=("gap_start",))
    first, *_ = stored(store, made)
    store.change(first.id, lambda row, now: transitions.invalidate(row, now, "gone"), PLANNER)
    facts = store.state_facts([scope_of(made)])["source"]
    assert facts == gather(scope_of(made), (row.as_record() for row in store.find(source_object="source")))
    assert any(gap.start == first.query_window_start_at for gap in facts.gaps)


def test_a_source_without_rows(store: LifecycleStore) -> None:
    scope = StateScope("nothing", "UTC", parse_granularity("1h"))
    assert store.state_facts([scope]) == {"nothing": StateFacts(scope)}


def test_the_whole_horizon_counts_where_it_is_asked_for(store: LifecycleStore) -> None:
    """Days before the first and after the last planned one, a source without any row, and a row of the far future."""
    histories = [history(seed, f"source-{seed}", kinds=IN_LEDGER) for seed in range(6)]
    far = History("far", "America/New_York", "1h", [LocalDay(date(2013, 3, 9), "America/New_York")])
    for day in (*far.days, LocalDay(date(2031, 1, 1), far.timezone)):
        far.add(TimeWindow(day.start + HOUR, day.end), day, "PENDING")
    empty = History("empty", "Pacific/Apia", "1h", [])
    rows = stored(store, *histories, far)
    scopes = []
    for made in (*histories, far, empty):
        start = made.days[0].date - timedelta(days=40) if made.days else date(2011, 12, 1)
        now = (made.days[-1].end if made.days else datetime(2012, 1, 1, tzinfo=UTC)) + timedelta(days=9)
        for fills in (True, False):
            horizon = Horizon(made.timezone, start, fill_missing_days=fills)
            changes = {"horizon": horizon, "now": now, "counts_horizon": True, "fills_missing_days": fills}
            scope = scope_of(made, **changes)
            facts = store.state_facts([scope])[scope.source_object]
            assert facts == gather(scope, [row.as_record() for row in rows])
        scopes.append(scope)
    found = store.state_facts(scopes)
    assert found == {scope.source_object: gather(scope, [row.as_record() for row in rows]) for scope in scopes}
    assert [len(found["empty"].days), len(found["empty"].gaps)] == [40, 1]
    assert found["far"].days[-1].date == date(2031, 1, 1)
    assert len(found["far"].days) == 40 + 1 + 10 + 1  # and none between


def test_a_done_window_is_counted(store: LifecycleStore) -> None:
    made = history(1, "source", kinds=("gap_start",))
    stored(store, made)
    (row,) = store.claim("source", PLANNER, limit=1, ended_before=datetime(2030, 1, 1, tzinfo=UTC))
    fence = store.take(row.id, PLANNER).fence
    proof = {"source_count": 1, "target_count": 1, "loaded_fingerprint": 1}
    store.change(row.id, lambda taken, now: transitions.skip(taken, fence, now, proof), PLANNER)
    facts = store.state_facts([scope_of(made)])["source"]
    assert facts == gather(scope_of(made), (row.as_record() for row in store.find(source_object="source")))
    assert facts.completed == 1


@pytest.mark.integration
def test_ten_years_of_a_thousand_sources_are_as_many_statements_as_a_day_of_one(ledger_url: str) -> None:
    """And as long: a stretch of days without any row is one line of a parameter, however long it is."""
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def asked(sources: int, start: date) -> list[tuple[str, int]]:
        texts: list[tuple[str, int]] = []

        def execute(text: str, parameters: Any) -> list[dict[str, Any]]:
            texts.append((text, max(len(value) for value in parameters.values())))
            return connection.execute(text.encode(), parameters).fetchall()

        scopes = [
            StateScope(f"s{n}", "UTC", parse_granularity("1h"), Horizon("UTC", start), True, now, True)
            for n in range(sources)
        ]
        facts = PostgresState(execute).facts(scopes)
        assert {(len(found.days), len(found.gaps)) for found in facts.values()} == {((now.date() - start).days + 1, 1)}
        return texts

    with psycopg.connect(ledger_url, row_factory=dict_row) as connection:
        few, many = asked(1, date(2026, 1, 1)), asked(1_000, date(2016, 1, 1))
    assert [text for text, _ in many] == [text for text, _ in few]
    assert [length for _, length in many] == [1_000, 1_000]


def test_rows_of_some_days_come_in_order(store: LifecycleStore) -> None:
    made = history(2, "source", kinds=("granularity_drift",))
    rows = stored(store, made, history(2, "other", kinds=("granularity_drift",)))
    days = [made.days[3], made.days[0]]
    found = store.rows_of_days("source", days)
    expected = [r for r in rows if r.source_object == "source" and r.target_day in {day.date for day in days}]
    assert [row_id for row_id, _ in found] == [row.id for row in expected]
    assert found == sorted(found, key=lambda pair: pair[1])


def test_the_reason_of_a_plan_is_in_its_event(store: LifecycleStore) -> None:
    made = history(1, "source", kinds=("gap_end",))
    outcome = store.insert_planned(planned(made)[:1], PLANNER, "gap_start on 2013-03-09")
    assert [event["reason"] for event in store.events(outcome.inserted[0].id)] == ["gap_start on 2013-03-09"]


def test_one_repair_of_a_source_at_a_time(store: LifecycleStore, request: pytest.FixtureRequest) -> None:
    other = store
    if isinstance(store, PostgresLifecycleStore):
        url = request.getfixturevalue("ledger_url")
        other = PostgresLifecycleStore(lambda: psycopg.connect(url))
    with store.source_lock("source") as mine, other.source_lock("source") as theirs, other.source_lock("two") as free:
        assert (mine, theirs, free) == (True, False, True)
        with other.table_lock("source") as table, store.table_lock("source") as again:
            assert (table, again) == (True, False)
            assert store.table_holder("source") == other.table_holder("source") is not None
        assert store.table_holder("source") is None
    with other.source_lock("source") as again:
        assert again
    if isinstance(other, PostgresLifecycleStore) and other is not store:
        other.close()


@pytest.mark.integration
def test_a_dead_connection_gives_its_lock_back(ledger_url: str) -> None:
    dying, living = (PostgresLifecycleStore(lambda: psycopg.connect(ledger_url)) for _ in range(2))
    with dying.source_lock("source"):
        dying.close()
        with living.source_lock("source") as is_locked:
            assert is_locked
    living.close()
