"""What is overdue: Postgres' statements say what the double says, for many sources at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres_ledger.overdue import PostgresOverdueAlarms
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.campaigns import CampaignState
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.watching.overdue import MAX_SHOWN, Overdue, OverdueScope
from include.pipeline_framework.ports.ledger import LifecycleStore
from include.pipeline_framework.ports.overdue import OverdueAlarms
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore
from tests.doubles.memory_overdue import MemoryOverdueAlarms

ZONE = "America/New_York"
HOUR = timedelta(hours=1)
DAY = LocalDay(date(2013, 3, 9), ZONE)
PLANNER = Actor("daily_planner", "planner-run", "plan")
RUN = Actor("data_pipeline_main", "run-1", "audit", 0, 1)


@dataclass
class Ledger:
    """A ledger and its alarms, and how many statements they have run."""

    store: LifecycleStore
    alarms: OverdueAlarms

    def plan(self, source: str, *hours: int, **columns: Any) -> list[int]:
        rows = [
            {
                "pipeline_id": "main", "source_name": "s", "target_name": "t", "time_interval": "1h",
                "source_object": source, "timezone": ZONE, "granularity": "1h", "target_day": DAY.date,
                "query_window_start_at": DAY.start + hour * HOUR,
                "query_window_end_at": DAY.start + (hour + 1) * HOUR,
                "source_query_window_duration_minutes": 60, **columns,
            }
            for hour in hours
        ]  # fmt: skip
        outcome = self.store.insert_planned(rows, PLANNER)
        assert not outcome.refused
        return [row.id for row in outcome.inserted]

    def fail(self, source: str, reason: str) -> int:
        (row,) = self.store.claim(source, RUN, limit=1, ended_before=DAY.end)
        fence = self.store.take(row.id, RUN).fence

        def decide(current: LedgerRow, now: datetime) -> transitions.Transition:
            return transitions.fail(current, fence, now, reason, max_retry_task=0)

        return int(self.store.change(row.id, decide, RUN).id)

    def scope(self, source: str, **changes: Any) -> OverdueScope:
        now = self.store.now()
        scope = OverdueScope(source, DAY.start, DAY.end, now + HOUR, now - HOUR)
        return replace(scope, **changes)

    def find(self, *scopes: OverdueScope) -> list[Overdue]:
        return self.alarms.find_overdue(scopes)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    if request.param == "memory":
        memory = MemoryLifecycleStore()
        yield Ledger(memory, MemoryOverdueAlarms(memory))
        return
    url = request.getfixturevalue("ledger_url")
    postgres = PostgresLifecycleStore(lambda: psycopg.connect(url))
    yield Ledger(postgres, PostgresOverdueAlarms(lambda: psycopg.connect(url)))
    postgres.close()


def ids(overdue: Overdue) -> list[int]:
    return [row["id"] for row in overdue.rows]


def test_unfinished_windows_of_all_sources_with_their_figures(ledger: Ledger) -> None:
    flights, orders = ledger.plan("flights", 0, 1, 2), ledger.plan("orders", 3)
    failed = ledger.fail("flights", "S3 is away")
    ledger.plan("others", 0)
    found = ledger.find(ledger.scope("flights"), ledger.scope("nothing"), ledger.scope("orders"))
    assert [(o.source_object, o.windows, o.untold, ids(o)) for o in found] == [
        ("flights", 3, 3, flights),
        ("orders", 1, 1, orders),
    ]
    assert found[0].statuses == {"FAILED": 1, "PENDING": 2}
    assert found[0].oldest_at == DAY.start
    row = next(row for row in found[0].rows if row["id"] == failed)
    assert (row["pipeline_final_status"], row["last_error"], row["retry_attempt"]) == ("FAILED", "S3 is away", 1)


def test_what_is_finished_invalidated_or_not_wholly_inside_is_not(ledger: Ledger) -> None:
    first, second, _, held = ledger.plan("flights", 0, 1, 2, 3)
    ledger.store.change(first, lambda row, now: transitions.invalidate(row, now, "gone"), PLANNER)
    (claimed,) = ledger.store.claim("flights", RUN, limit=1, ended_before=DAY.end)
    assert claimed.id == second
    fence = ledger.store.take(second, RUN).fence
    proof = {"source_count": 1, "target_count": 1, "loaded_fingerprint": 5}
    ledger.store.change(second, lambda row, now: transitions.skip(row, fence, now, proof), RUN)
    (found,) = ledger.find(ledger.scope("flights", start_at=DAY.start + HOUR / 2, end_at=DAY.start + 4 * HOUR))
    assert (found.windows, ids(found)[-1]) == (2, held)
    (found,) = ledger.find(ledger.scope("flights", end_at=DAY.start + 4 * HOUR - timedelta(minutes=1)))
    assert found.windows == 1
    assert ledger.find(ledger.scope("flights", start_at=DAY.start + 3.5 * HOUR)) == []


def test_told_windows_are_not_told_again_until_long_after(ledger: Ledger) -> None:
    told = ledger.plan("flights", 0, 1)
    ledger.plan("orders", 0)
    scope = ledger.scope("flights")
    ledger.alarms.note_told(scope, ledger.store.now())
    (new,) = ledger.plan("flights", 2)
    (found, other) = ledger.find(scope, ledger.scope("orders"))
    assert (found.windows, found.untold, ids(found)) == (3, 1, [new, *told])
    assert other.untold == 1
    later = replace(scope, alerted_after=ledger.store.now() + HOUR)
    assert ledger.find(later)[0].untold == 3
    ledger.alarms.note_told(later, ledger.store.now() + 2 * HOUR)
    assert ledger.find(replace(later, alerted_after=ledger.store.now() + HOUR))[0].untold == 0


def test_days_without_windows_are_found_and_told_once(ledger: Ledger) -> None:
    ledger.plan("flights", 5)
    scope = ledger.scope("flights", end_at=DAY.start, days=(DAY, DAY.next()))
    (found,) = ledger.find(scope, ledger.scope("orders"))
    assert (found.windows, found.oldest_at, found.days, found.untold_days) == (0, None, (DAY.next(),), (DAY.next(),))
    ledger.alarms.note_told(scope, ledger.store.now())
    (found,) = ledger.find(scope)
    assert (found.days, found.untold_days) == ((DAY.next(),), ())


@pytest.mark.parametrize(("state", "count"), [(CampaignState.RUNNING, 2), (CampaignState.PAUSED, 1)])
def test_a_campaigns_windows_count_while_it_runs_and_after_their_time(
    ledger: Ledger, state: CampaignState, count: int
) -> None:
    wanted = {"source_object": "flights", "pipeline_id": "main", "mode": "missing", "ranges": [], "granularity": None}
    more = {"window_order": "oldest_first", "concurrency": None, "priority": 1, "reason": ""}
    number = ledger.store.create_campaign({**wanted, **more}, PLANNER)["campaign_id"]
    ledger.plan("flights", 0)
    ledger.plan("flights", 1, campaign_id=number)
    ledger.store.change_campaign(number, PLANNER, state=state)
    assert ledger.find(ledger.scope("flights"))[0].windows == count
    early = ledger.scope("flights", asked_before=datetime(2013, 1, 1, tzinfo=UTC))
    assert ledger.find(early)[0].windows == 1
    ledger.alarms.note_told(early, ledger.store.now())
    assert ledger.find(ledger.scope("flights"))[0].untold == count - 1


def test_an_alarm_names_the_first_ones_only(ledger: Ledger) -> None:
    ledger.plan("flights", *range(MAX_SHOWN + 3))
    (found,) = ledger.find(ledger.scope("flights"))
    assert (found.windows, found.untold, len(found.rows)) == (MAX_SHOWN + 3, MAX_SHOWN + 3, MAX_SHOWN)


@pytest.mark.integration
def test_a_check_of_many_sources_is_two_statements(ledger_url: str) -> None:
    class Counting(psycopg.Cursor[Any]):
        count = 0

        def execute(self, *arguments: Any, **options: Any) -> Any:
            Counting.count += 1
            return super().execute(*arguments, **options)

    connect: Callable[[], Any] = lambda: psycopg.connect(ledger_url, cursor_factory=Counting)  # noqa: E731
    alarms = PostgresOverdueAlarms(connect)
    now = datetime(2013, 3, 10, tzinfo=UTC)
    scopes: Sequence[OverdueScope] = [
        OverdueScope(f"s{n}", DAY.start, DAY.end, now, now, days=(DAY,)) for n in range(50)
    ]
    assert len(alarms.find_overdue(scopes)) == 50
    assert Counting.count <= 2
