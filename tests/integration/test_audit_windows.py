"""Late data on real servers: found with one request per day, replaced, loaded by a normal run, equal at both ends."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import elasticsearch
import psycopg
import pytest

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import ApprovalNeededError, RowsWouldVanishError
from include.pipeline_framework.tasks.audit_requests import parse_audit
from include.pipeline_framework.tasks.audit_windows import AuditReport, audit_windows
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.planning import insert_windows
from tests.integration import moving
from tests.integration.moving import DAY, actor, ids_at_source, move

pytestmark = pytest.mark.integration

DAYS = 2
WINDOWS = [
    TimeWindow(DAY + timedelta(days=day, hours=hour), DAY + timedelta(days=day, hours=hour + 1))
    for day, hour in ((0, 0), (0, 1), (0, 2), (1, 0))
]
BOTH_DAYS = {"from": "2024-05-01", "to": "2024-05-03"}


@dataclass
class Loaded:
    """A pipeline whose windows of two days are loaded, and ways to change its source behind its back."""

    pipeline: Pipeline
    add: Callable[[Iterable[tuple[str, datetime]]], None]
    delete: Callable[[str], None]
    delete_in_target: Callable[[str], None]
    requests: list[str]

    def run(self, number: int) -> int:
        """A normal run: claims what waits, and moves it."""
        store, config = self.pipeline.store, self.pipeline.config
        rows = store.claim(config.source_object, actor(number), limit=50, ended_before=store.now())
        for row in rows:
            move(self.pipeline, row.id, actor(number))
        return len(rows)

    def audit(self, number: int, **conf: Any) -> AuditReport:
        self.requests.clear()
        request = parse_audit({**BOTH_DAYS, **conf}, self.pipeline.config)
        return audit_windows(self.pipeline, Actor("audit_windows", f"audit-{number}"), request)

    def replaced(self) -> list[TimeWindow]:
        """Windows that wait as replacements."""
        rows = self.pipeline.store.find(source_object=self.pipeline.config.source_object, statuses=["PENDING"])
        return [TimeWindow(row.query_window_start_at, row.query_window_end_at) for row in rows]

    def assert_equal_ends(self) -> None:
        for window in WINDOWS:
            ids = ids_at_source(self.pipeline, window)
            assert max(ids.values()) == 1
            there = self.pipeline.target.fingerprint(self.pipeline.config.source_object, window)
            assert there == Fingerprint.of(ids), window


@pytest.fixture(params=["elasticsearch-snowflake", "postgres-postgres"])
def loaded(request: pytest.FixtureRequest, tmp_path: Path, ledger_url: str) -> Iterator[Loaded]:
    name = f"audited_{uuid.uuid4().hex[:8]}"
    values = {"source_object": name, "table": f"T_{name}".upper(), "directory": tmp_path / "stage"}
    build = _elasticsearch if request.param.startswith("elasticsearch") else _postgres
    text, *ways = build(request, values, ledger_url)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "moved.yaml").write_text(text)
    pipeline = moving.wire(tmp_path / "pipelines")
    found = Loaded(pipeline, *ways, requests=[])
    found.add((f"d{n}-{i}", window.start + timedelta(minutes=i)) for n, window in enumerate(WINDOWS) for i in range(40))
    insert_windows(pipeline.config, WINDOWS, pipeline.store, actor(0))
    assert found.run(1) == len(WINDOWS)
    found.assert_equal_ends()
    _count_requests(found, request.param)
    yield found


def _elasticsearch(request: pytest.FixtureRequest, values: dict[str, Any], _url: str) -> Any:
    name, table = values["source_object"], values["table"]
    client = elasticsearch.Elasticsearch(request.getfixturevalue("elasticsearch_url"), request_timeout=600)
    client.indices.create(
        index=name,
        settings={"number_of_shards": 2, "number_of_replicas": 0},
        mappings={"properties": {"@timestamp": {"type": "date"}}},
    )
    request.addfinalizer(lambda: client.indices.delete(index=name))

    def add(documents: Iterable[tuple[str, datetime]]) -> None:
        lines = [
            line
            for _id, at in documents
            for line in ({"index": {"_id": _id}}, {"@timestamp": at.isoformat(), "n": 1, "name": _id})
        ]
        assert not client.bulk(index=name, operations=lines, refresh=True)["errors"]

    def delete_in_target(_id: str) -> None:
        from include.wiring import connections

        with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
            cursor.execute(f'DELETE FROM "{table}" WHERE "_ID" = \'{_id}\'')

    text = moving.ELASTICSEARCH_TO_SNOWFLAKE.format(**values, bucket=request.getfixturevalue("s3_bucket"))
    return text, add, lambda _id: client.delete(index=name, id=_id, refresh=True), delete_in_target


def _postgres(_request: pytest.FixtureRequest, values: dict[str, Any], url: str) -> Any:
    name, table = values["source_object"], values["table"].lower()

    def run(statement: str, *parameters: Any) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode(), parameters)

    run(f'CREATE TABLE "{name}" (id text PRIMARY KEY, at timestamptz, n integer, name text)')

    def add(documents: Iterable[tuple[str, datetime]]) -> None:
        with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO \"{name}\" VALUES (%s, %s, 1, 'x')".encode(), list(documents))

    return (
        moving.POSTGRES_TO_POSTGRES.format(**values),
        add,
        lambda _id: run(f'DELETE FROM "{name}" WHERE id = %s', _id),
        lambda _id: run(f'DELETE FROM "{table}" WHERE _id = %s', _id),
    )


def _count_requests(found: Loaded, kind: str) -> None:
    """What really goes to the source: searches and views at Elasticsearch, sessions at Postgres."""
    source: Any = found.pipeline.source
    if kind.startswith("elasticsearch"):
        channel, original = source._channel, source._channel.raw

        def raw(method: str, path: str, **options: Any) -> Any:
            found.requests.append(f"{method} {path}")
            return original(method, path, **options)

        channel.raw = raw
        return
    connect = source._connect

    def counted() -> Any:
        found.requests.append("session")
        return connect()

    source._connect = counted


def late_and_swapped(loaded: Loaded) -> None:
    """More rows in two windows of the first day; in a third, one row in and one out. The second day stays."""
    loaded.add((f"late{n}-{i}", WINDOWS[n].start + timedelta(minutes=1)) for n in (0, 1) for i in range(2))
    loaded.delete("d2-7")
    loaded.add([("swapped", WINDOWS[2].start)])


def test_counting_finds_the_two_and_ids_find_the_third(loaded: Loaded) -> None:
    late_and_swapped(loaded)
    shown = loaded.audit(1, dry_run=True)
    assert (shown.replaced, loaded.replaced()) == (2, [])
    report = loaded.audit(2)
    assert (report.days, report.windows, report.changed, report.replaced) == (2, 4, {"late_data": 2}, 2)
    assert len(loaded.requests) == DAYS + 1, loaded.requests  # a histogram a day, and once what the source consists of
    assert loaded.replaced() == [WINDOWS[0], WINDOWS[1]]
    assert loaded.run(2) == 2
    with pytest.raises(AssertionError):
        loaded.assert_equal_ends()

    by_id = loaded.audit(3, mode="fingerprint")
    assert (by_id.changed, loaded.replaced()) == ({"changed_ids": 1}, [WINDOWS[2]])
    assert loaded.run(3) == 1
    loaded.assert_equal_ends()

    again = loaded.audit(4, mode="fingerprint", check_target=True)
    assert (again.windows, again.changed, again.replaced) == (4, {}, 0)


def test_an_unchanged_day_replaces_nothing(loaded: Loaded) -> None:
    store, name = loaded.pipeline.store, loaded.pipeline.config.source_object
    before = store.find(source_object=name)
    assert loaded.audit(1).changed == {}
    assert store.find(source_object=name) == before
    revisits = store.revisits(name, DAY)
    assert [(r["windows"], r["changed"], r["rows_before"], r["rows_now"]) for r in revisits] == [
        (3, 0, 120, 120),
        (1, 0, 40, 40),
    ]


def test_a_row_deleted_by_hand_in_the_warehouse_comes_back(loaded: Loaded) -> None:
    loaded.delete_in_target("d3-3")
    assert loaded.audit(1, check_target=False).changed == {}
    with pytest.raises(ApprovalNeededError, match=r"39 rows instead of 40 rows .*\"reload_target\": true"):
        loaded.audit(2)
    assert loaded.replaced() == []
    report = loaded.audit(3, reload_target=True, reason="somebody's DELETE")
    assert (report.changed, loaded.replaced()) == ({"target_differs": 1}, [WINDOWS[3]])
    assert loaded.run(2) == 1
    loaded.assert_equal_ends()


def test_more_than_a_small_share_of_the_rows_never_goes_unasked(loaded: Loaded) -> None:
    """Whatever hides them: the target keeps what it has until a person has agreed to the number."""
    for number in range(4):
        loaded.delete(f"d2-{number}")
    with pytest.raises(ApprovalNeededError, match=r"1 windows wait .* 4 rows .*4 rows would be gone there, 1"):
        loaded.audit(1)
    assert loaded.replaced() == []
    kept = loaded.pipeline.target.fingerprint(loaded.pipeline.config.source_object, WINDOWS[2])
    assert kept.rows == 40
    report = loaded.audit(2, accept_vanished=4, reason="ticket 7")
    assert (report.replaced, loaded.replaced()) == (1, [WINDOWS[2]])
    assert loaded.run(2) == 1
    loaded.assert_equal_ends()


def test_what_vanishes_between_the_revisit_and_the_load_stays(loaded: Loaded) -> None:
    loaded.add([("late", WINDOWS[1].start)])
    assert loaded.audit(1).replaced == 1
    for number in range(10):
        loaded.delete(f"d1-{number}")
    with pytest.raises(RowsWouldVanishError, match=r"10 of the window's 40 rows would be gone, 1 may go"):
        loaded.run(2)
    name = loaded.pipeline.config.source_object
    assert loaded.pipeline.target.fingerprint(name, WINDOWS[1]).rows == 40
    (row,) = loaded.pipeline.store.find(source_object=name, within=[WINDOWS[1]])
    assert (row.pipeline_final_status, row.phase_completed) == ("PENDING", None)
    assert "10 of the window's 40 rows would be gone" in row.last_error


def test_the_scheduled_audit_of_today_makes_a_revisit_and_recommends(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three days after the first day, two after the second: the schedule names both, each once."""
    store, config = loaded.pipeline.store, loaded.pipeline.config
    loaded.add([("late", WINDOWS[2].start)])
    monkeypatch.setattr(store, "now", lambda: DAY + timedelta(days=3, hours=3))
    with psycopg.connect(os.environ["LEDGER_URL"], autocommit=True) as connection:  # as if loaded in those days
        connection.execute(
            "UPDATE pipeline_lifecycle SET source_to_stage_ingestion_start_time = query_window_end_at + interval '1h'"
        )
    report = audit_windows(loaded.pipeline, Actor("audit_windows", "audit-1"), parse_audit({}, config))
    assert (report.days, report.changed) == (2, {"late_data": 1})
    assert {
        (str(r["target_day"]), r["days_after"], r["late_rows"]) for r in store.revisits(config.source_object, DAY)
    } == {
        ("2024-05-01", 3, 1),
        ("2024-05-02", 2, 0),
    }
    assert "x_time_back 72h instead of 1h would be long enough: 0.621 % came after" in report.recommendation
    again = audit_windows(loaded.pipeline, Actor("audit_windows", "audit-2"), parse_audit({}, config))
    assert again.windows == 0
    assert loaded.run(2) == 1
    loaded.assert_equal_ends()
    assert Counter(row.pipeline_final_status for row in store.find(source_object=config.source_object)) == {
        "COMPLETED": 4
    }
