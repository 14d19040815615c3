"""What every `Target` promises; the same tests run in memory, on a real Postgres and on the Snowflake emulator."""

from __future__ import annotations

import dataclasses
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.implementation_modules.memory_target import MemoryTarget
from include.implementation_modules.memory_transfer import MemorySource, MemoryStage
from include.implementation_modules.postgres_target import PostgresTarget
from include.implementation_modules.snowflake_target import SnowflakeTarget
from include.pipeline_framework.core.fingerprints import Fingerprint, id_hash
from include.pipeline_framework.core.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    FenceLostError,
    InvalidInputError,
    PipelineError,
    PublishConflictError,
    ServiceUnavailableError,
    TornStageError,
)
from include.pipeline_framework.ports import Document, Manifest, Stage, StageRequest

HOUR = timedelta(hours=1)
NOON = datetime(2013, 3, 9, 12, tzinfo=UTC)
FLIGHTS = "flights"
COLUMNS = {"origin": "text", "delay": {"type": "integer", "path": "flight.delay"}}


def window(first: float = 0, last: float = 1) -> TimeWindow:
    """Hours after noon."""
    return TimeWindow(NOON + first * HOUR, NOON + last * HOUR)


def document(name: str, at: datetime = NOON, **content: Any) -> Document:
    return Document(name, at, json.dumps({"origin": "JFK", "flight": {"delay": 5}} | content).encode())


def documents(count: int, within: TimeWindow | None = None, prefix: str = "d") -> list[Document]:
    within = within or window()
    step = within.duration / max(count, 1)
    return [document(f"{prefix}-{within.start:%H%M}-{n}", within.start + n * step) for n in range(count)]


class Break(Exception):
    """The process died here; no client library knows this error."""


class Unanswered(Exception):
    """Stands for the client's own error when the network goes away."""


@dataclass
class Harness:
    """One target table, ways to look into it, and ways to break its connections at COMMIT."""

    target: Any
    stage: Stage
    rows: Callable[[], list[dict[str, Any]]]
    connections: Faults
    another: Callable[..., Any]
    fences: Iterator[int] = field(default_factory=lambda: iter(range(10, 10_000)))

    def staged(
        self, content: Sequence[Document], within: TimeWindow | None = None, row: int = 1, source: str = FLIGHTS
    ) -> Manifest:
        within, fence = within or window(), next(self.fences)
        with MemorySource(content).extract(within) as extract:
            return self.stage.write(StageRequest(row, source, "2013-03-09", within, fence), extract)

    def publish(self, manifest: Manifest, fence: int | None = None, **arguments: Any) -> Any:
        return self.target.publish(
            manifest, self.stage, fence=fence or manifest.fence, lifecycle_id=manifest.lifecycle_id, **arguments
        )

    def load(self, content: Sequence[Document], within: TimeWindow | None = None, **arguments: Any) -> Any:
        return self.publish(self.staged(content, within, **arguments))

    def ids(self) -> list[str]:
        return sorted(row["_id"] for row in self.rows())


class Faults:
    """What goes wrong at the next COMMIT: nothing, a death before it, or a lost answer after it."""

    def __init__(self, unanswered: Callable[[], Exception]) -> None:
        self.unanswered = unanswered
        self.before: Exception | None = None
        self.after: Exception | None = None

    def die_before_commit(self) -> None:
        self.before = Break()

    def lose_request(self) -> None:
        self.before = self.unanswered()

    def lose_answer(self) -> None:
        self.after = self.unanswered()

    def raise_before(self) -> None:
        error, self.before = self.before, None
        if error:
            raise error

    def raise_after(self) -> None:
        error, self.after = self.after, None
        if error:
            raise error


class FaultyConnection:
    """A connection whose COMMIT fails as told."""

    def __init__(self, connection: Any, faults: Faults) -> None:
        object.__setattr__(self, "_connection", connection)
        object.__setattr__(self, "_faults", faults)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._connection, name, value)

    def cursor(self) -> Any:
        return FaultyCursor(self._connection.cursor(), self._faults)


class FaultyCursor:
    def __init__(self, cursor: Any, faults: Faults) -> None:
        self._cursor, self._faults = cursor, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, sql: str, parameters: Any = None) -> Any:
        if sql != "COMMIT":
            return self._cursor.execute(sql, parameters)
        self._faults.raise_before()
        result = self._cursor.execute(sql, parameters)
        self._faults.raise_after()
        return result


@pytest.fixture
def memory_harness() -> Harness:
    def build(columns: Any = COLUMNS, **_: Any) -> MemoryTarget:
        return MemoryTarget(options=MemoryTarget.Options(columns=columns))

    target = build()
    faults = Faults(lambda: ServiceUnavailableError("no answer"))
    target.before_commit, target.after_commit = faults.raise_before, faults.raise_after
    return Harness(target, MemoryStage(), lambda: target.rows, faults, build)


def sql_harness(
    adapter: Any, connect: Callable[[], Any], unanswered: Callable[[], Exception], stage: Stage, table: str, **options: Any
) -> Harness:
    faults = Faults(unanswered)

    def build(columns: Any = COLUMNS, table: str = table, guard_wait_seconds: float = 20, wrap: Any = None) -> Any:
        checked = adapter.Options(table=table, columns=columns, guard_wait_seconds=guard_wait_seconds, **options)
        return adapter(wrap or (lambda: FaultyConnection(connect(), faults)), checked)

    def rows() -> list[dict[str, Any]]:
        connection = connect()
        try:
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM {table}")
            names = [column[0].lower() for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            if "v_timestamp" in names and adapter is SnowflakeTarget:  # fakesnow 0.12.1 sends NULL as 1970
                cursor.execute(f"SELECT _id FROM {table} WHERE v_timestamp IS NULL")
                empty = {name for (name,) in cursor.fetchall()}
                found = [row | ({"v_timestamp": None} if row["_id"] in empty else {}) for row in found]
            return found
        finally:
            connection.close()

    return Harness(build(), stage, rows, faults, build)


@pytest.fixture
def postgres_harness(scratch_postgres_url: str) -> Harness:
    import psycopg

    return sql_harness(
        PostgresTarget,
        lambda: psycopg.connect(scratch_postgres_url),
        lambda: psycopg.OperationalError("server closed the connection unexpectedly"),
        MemoryStage(),
        "flights_" + uuid.uuid4().hex[:8],
    )


@pytest.fixture
def snowflake_harness(snowflake_connect: Callable[[], Any], s3_client: Any, s3_bucket: str) -> Harness:
    from snowflake.connector.errors import OperationalError

    from include.implementation_modules.object_storage import S3Storage
    from include.implementation_modules.object_storage_stage import ObjectStorageStage

    name = uuid.uuid4().hex[:8]
    stage = ObjectStorageStage(
        S3Storage(s3_client, s3_bucket), ObjectStorageStage.Options(bucket=s3_bucket, prefix=f"target-contract/{name}")
    )
    return sql_harness(
        SnowflakeTarget,
        snowflake_connect,
        lambda: OperationalError("250003: no answer"),
        stage,
        "FLIGHTS_" + name,
        stage_name="STAGE_" + name,
    )


@pytest.fixture(
    params=[
        "memory",
        pytest.param("postgres", marks=pytest.mark.integration),
        pytest.param("snowflake", marks=pytest.mark.integration),
    ]
)
def harness(request: pytest.FixtureRequest) -> Harness:
    found: Harness = request.getfixturevalue(f"{request.param}_harness")
    found.target.prepare(FLIGHTS)
    return found


def test_publish_loads_the_window_and_leaves_its_receipt(harness: Harness) -> None:
    content = documents(3)
    manifest = harness.staged(content)
    result = harness.publish(manifest)

    expected = Fingerprint.of(item.id for item in content)
    assert (result.loaded, result.deleted_rows, result.already_received) == (expected, 0, False)
    assert result.receipt == harness.target.receipt(FLIGHTS, window())
    receipt = result.receipt
    assert (receipt.fence, receipt.lifecycle_id, receipt.kind) == (manifest.fence, 1, "load")
    assert (receipt.fingerprint, receipt.manifest, receipt.window) == (expected, manifest.location, window())
    assert receipt.written_at.tzinfo is not None
    assert harness.target.fingerprint(FLIGHTS, window()) == expected
    row = min(harness.rows(), key=lambda found: found["_id"])
    assert (row["_id"], row["_source_object"], row["_lifecycle_id"]) == (content[0].id, FLIGHTS, 1)
    assert (row["_id_hash"], row["_fence"]) == (id_hash(content[0].id), manifest.fence)
    assert (row["_file"], row["origin"], row["delay"]) == (manifest.files[0].key, "JFK", 5)
    assert row["_event_at"].replace(tzinfo=UTC) == NOON


def test_prepare_can_be_repeated_and_keeps_everything(harness: Harness) -> None:
    harness.load(documents(2))
    harness.target.prepare(FLIGHTS)
    assert len(harness.rows()) == 2
    assert harness.target.receipt(FLIGHTS, window()) is not None


def test_publish_needs_a_prepared_source_object(harness: Harness) -> None:
    with pytest.raises(PipelineError, match="prepare"):
        harness.load(documents(1), source="unprepared")
    assert harness.rows() == []


def test_a_manifest_that_was_received_is_not_loaded_again(harness: Harness) -> None:
    manifest = harness.staged(documents(3))
    harness.publish(manifest)
    again = harness.publish(manifest, fence=manifest.fence + 500)
    assert (again.already_received, again.deleted_rows, again.loaded.rows) == (True, 0, 3)
    receipt = harness.target.receipt(FLIGHTS, window())
    assert receipt.fence == manifest.fence + 500
    assert {row["_fence"] for row in harness.rows()} == {manifest.fence}
    with pytest.raises(FenceLostError):
        harness.publish(manifest, fence=manifest.fence + 499)


def test_an_older_fence_is_refused(harness: Harness) -> None:
    zombie = harness.staged(documents(5, prefix="zombie"))
    harness.load(documents(2))
    with pytest.raises(FenceLostError, match=f"fence {zombie.fence} is older"):
        harness.publish(zombie)
    assert len(harness.ids()) == 2


def test_a_newer_manifest_replaces_the_window(harness: Harness) -> None:
    harness.load(documents(4, prefix="old"))
    result = harness.load(documents(2, prefix="new"))
    assert (result.deleted_rows, result.loaded.rows) == (4, 2)
    assert all(name.startswith("new") for name in harness.ids())
    assert [receipt.fence for receipt in harness.target.receipts(FLIGHTS)] == [result.receipt.fence]


@pytest.mark.parametrize("other", [window(-1, 2), window(0.25, 0.5), window(0.5, 3)], ids=["wider", "narrower", "across"])
def test_an_overlapping_window_with_a_greater_fence_wins(harness: Harness, other: TimeWindow) -> None:
    zombie = harness.staged(documents(4))
    harness.load(documents(2, other, "other"), other, row=2)
    before = harness.rows()
    with pytest.raises(FenceLostError, match="row 2|Row 2"):
        harness.publish(zombie)
    assert harness.rows() == before


@pytest.mark.parametrize("other", [window(-1, 2), window(0.25, 0.5)], ids=["wider", "narrower"])
def test_an_overlapping_window_with_a_smaller_fence_is_overwritten_where_they_overlap(
    harness: Harness, other: TimeWindow
) -> None:
    outside = [document("outside", other.start)] if other.start < NOON else []
    harness.load([*outside, document("inside", NOON + HOUR / 3)], other, row=2)
    result = harness.load(documents(3))
    assert result.deleted_rows == 1
    assert harness.ids() == sorted([item.id for item in documents(3)] + [item.id for item in outside])


def test_touching_windows_do_not_overlap(harness: Harness) -> None:
    first = harness.staged(documents(2, window(0, 1)), window(0, 1))
    harness.load(documents(2, window(1, 2)), window(1, 2), row=2)
    assert harness.publish(first).loaded.rows == 2
    assert len(harness.ids()) == 4


def test_a_manifest_whose_window_was_touched_since_is_loaded_again(harness: Harness) -> None:
    manifest = harness.staged(documents(4))
    harness.publish(manifest)
    harness.load([], window(0, 0.5), row=2)
    assert harness.target.receipt(FLIGHTS, window()) is None, "superseded: what it proves is no longer there"
    assert len(harness.ids()) == 2
    result = harness.publish(manifest, fence=900)
    assert (result.already_received, result.loaded.rows) == (False, 4)
    assert len(harness.ids()) == 4


def test_rows_on_the_boundaries_belong_to_one_window(harness: Harness) -> None:
    tick = timedelta(microseconds=1)
    edges = [document("before", NOON - tick), document("start", NOON), document("last", NOON + HOUR - tick)]
    edges.append(document("end", NOON + HOUR))
    harness.load(edges, window(-1, 0), row=1)
    harness.load(edges, window(0, 1), row=2)
    harness.load(edges, window(1, 2), row=3)
    assert {row["_id"]: row["_lifecycle_id"] for row in harness.rows()} == {"before": 1, "start": 2, "last": 2, "end": 3}
    assert harness.target.fingerprint(FLIGHTS, window()) == Fingerprint.of(["start", "last"])
    assert harness.target.delete(FLIGHTS, window(), fence=5_000, lifecycle_id=2) == 2
    assert harness.ids() == ["before", "end"]


def test_rows_of_replaced_ids_are_deleted_outside_the_window_too_and_no_others(harness: Harness) -> None:
    harness.load(documents(4, window(0, 2)), window(0, 2), row=1)
    harness.load(documents(3, window(2, 3)), window(2, 3), row=2)
    result = harness.publish(harness.staged(documents(5), row=3), replaced_ids=[1])
    assert (result.deleted_rows, result.loaded.rows) == (4, 5)
    counted = [row["_lifecycle_id"] for row in harness.rows()]
    assert (counted.count(1), counted.count(2), counted.count(3)) == (0, 3, 5)


def test_receipts_of_replaced_rows_say_that_their_rows_are_gone(harness: Harness) -> None:
    old = harness.load(documents(4, window(0, 2)), window(0, 2), row=1).receipt
    harness.publish(harness.staged(documents(2, window(0, 1)), window(0, 1), row=3), replaced_ids=[1])
    later = harness.staged(documents(2, window(1, 2)), window(1, 2), row=4)
    found = {receipt.window: receipt for receipt in harness.target.receipts(FLIGHTS)}[window(0, 2)]
    assert (found.kind, found.fence, found.fingerprint) == ("delete", old.fence, Fingerprint())
    assert harness.publish(later, replaced_ids=[1]).loaded.rows == 2


def test_two_source_objects_in_one_table_leave_each_other_alone(harness: Harness) -> None:
    harness.target.prepare("it's/another")
    harness.load(documents(3, prefix="theirs"), row=8, source="it's/another")
    assert harness.target.fingerprint(FLIGHTS, window()) == Fingerprint()
    harness.publish(harness.staged(documents(2), row=9), replaced_ids=[8])
    assert harness.target.delete(FLIGHTS, window(), fence=9_000, lifecycle_id=9) == 2
    assert harness.target.fingerprint("it's/another", window()).rows == 3
    assert harness.target.receipt("it's/another", window()).kind == "load"


def test_an_empty_manifest_is_still_a_publish(harness: Harness) -> None:
    harness.load(documents(3))
    manifest = harness.staged([])
    result = harness.publish(manifest)
    assert (result.deleted_rows, result.loaded) == (3, Fingerprint())
    receipt = harness.target.receipt(FLIGHTS, window())
    assert (receipt.kind, receipt.fingerprint, receipt.manifest) == ("load", Fingerprint(), manifest.location)
    assert harness.rows() == []


def test_a_delete_leaves_a_receipt_that_is_no_load(harness: Harness) -> None:
    manifest = harness.staged(documents(3))
    harness.publish(manifest)
    assert harness.target.delete(FLIGHTS, window(), fence=500, lifecycle_id=1) == 3
    receipt = harness.target.receipt(FLIGHTS, window())
    assert (receipt.kind, receipt.fence, receipt.fingerprint, receipt.manifest) == ("delete", 500, Fingerprint(), "")
    with pytest.raises(FenceLostError):
        harness.publish(manifest, fence=499)
    assert harness.target.delete(FLIGHTS, window(), fence=500, lifecycle_id=1) == 0, "repeated: nothing left"
    assert harness.publish(manifest, fence=501).already_received is False
    assert len(harness.ids()) == 3


def test_an_older_delete_is_refused(harness: Harness) -> None:
    harness.load(documents(3))
    with pytest.raises(FenceLostError):
        harness.target.delete(FLIGHTS, window(0.5, 2), fence=1, lifecycle_id=2)
    assert len(harness.ids()) == 3


def test_a_fence_below_the_floor_is_refused(harness: Harness) -> None:
    manifest = harness.staged(documents(1))
    harness.target.raise_floor(FLIGHTS, 1_000)
    harness.target.raise_floor(FLIGHTS, 10)
    with pytest.raises(FenceLostError, match="floor 1000"):
        harness.publish(manifest, fence=999)
    with pytest.raises(FenceLostError, match="floor"):
        harness.target.delete(FLIGHTS, window(), fence=999, lifecycle_id=1)
    assert harness.publish(manifest, fence=1_000).loaded.rows == 1


def test_a_death_before_commit_leaves_everything_as_it_was(harness: Harness) -> None:
    harness.load(documents(2, prefix="old"))
    before, manifest = harness.rows(), harness.staged(documents(5, prefix="new"))
    harness.connections.die_before_commit()
    with pytest.raises(Break):
        harness.publish(manifest)
    assert harness.rows() == before
    assert harness.target.receipt(FLIGHTS, window()).manifest != manifest.location
    assert harness.publish(manifest).loaded.rows == 5


def test_a_request_to_commit_that_never_arrived_is_an_outage(harness: Harness) -> None:
    manifest = harness.staged(documents(5))
    harness.connections.lose_request()
    with pytest.raises(ServiceUnavailableError):
        harness.publish(manifest)
    assert harness.rows() == []
    assert harness.publish(manifest, fence=700).already_received is False


def test_a_torn_stage_changes_nothing(harness: Harness) -> None:
    harness.load(documents(2, prefix="old"))
    before, manifest = harness.rows(), harness.staged(documents(5))
    lies = [
        dataclasses.replace(manifest, fingerprint=Fingerprint(4, manifest.fingerprint.hash_sum)),
        dataclasses.replace(manifest, fingerprint=Fingerprint(5, manifest.fingerprint.hash_sum - 1)),
        dataclasses.replace(manifest, files=manifest.files * 2),
        dataclasses.replace(manifest, files=()),
        dataclasses.replace(manifest, window=window(0, 0.5)),
    ]
    for lie in lies:
        with pytest.raises(TornStageError, match="manifest"):
            harness.publish(lie)
        assert harness.rows() == before
    assert harness.target.receipt(FLIGHTS, window(0, 0.5)) is None


def test_a_missing_file_changes_nothing(harness: Harness) -> None:
    harness.load(documents(2, prefix="old"))
    before, manifest = harness.rows(), harness.staged(documents(5))
    harness.stage.delete(manifest.location)
    with pytest.raises(PipelineError):
        harness.publish(manifest)
    assert harness.rows() == before


def test_a_manifest_of_another_row_is_refused(harness: Harness) -> None:
    manifest = harness.staged(documents(1), row=1)
    with pytest.raises(InvalidInputError):
        harness.target.publish(manifest, harness.stage, fence=99, lifecycle_id=2)
    assert harness.rows() == []


def test_a_value_that_its_column_cannot_hold_changes_nothing_and_is_named(harness: Harness) -> None:
    harness.load(documents(2, prefix="old"))
    before = harness.rows()
    bad = [document("fine"), document("broken", flight={"delay": "rather late"})]
    manifest = harness.staged(bad)
    with pytest.raises(BadDocumentError, match="'broken'.*'delay'") as caught:
        harness.publish(manifest)
    assert "rather late" not in str(caught.value)
    assert harness.rows() == before
    assert harness.target.receipt(FLIGHTS, window()).manifest != manifest.location


def test_windows_of_one_source_object_published_at_once_all_land(harness: Harness) -> None:
    hours = [window(n, n + 1) for n in range(6)]
    manifests = [harness.staged(documents(20, hour), hour, row=n) for n, hour in enumerate(hours, 1)]
    outcomes = in_threads([lambda manifest=manifest: harness.publish(manifest) for manifest in manifests])
    assert [outcome.loaded.rows for outcome in outcomes] == [20] * 6
    assert len(harness.rows()) == 120
    assert len(harness.target.receipts(FLIGHTS)) == 6


def test_one_manifest_published_by_two_tries_at_once_lands_once(harness: Harness) -> None:
    manifest = harness.staged(documents(20))
    outcomes = in_threads([lambda fence=fence: harness.publish(manifest, fence=fence) for fence in (700, 701)])
    assert len(harness.rows()) == 20
    loads = [outcome for outcome in outcomes if not isinstance(outcome, FenceLostError) and not outcome.already_received]
    assert len(loads) == 1


def test_preparing_at_once_leaves_one_guard_row(harness: Harness) -> None:
    outcomes = in_threads([lambda: harness.target.prepare("fresh")] * 4)
    assert outcomes == [None] * 4
    manifest = harness.staged(documents(2), source="fresh")
    assert harness.publish(manifest).loaded.rows == 2


def in_threads(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Results or errors in the calls' order; all start together."""
    outcomes: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(index: int) -> None:
        start.wait()
        try:
            outcomes[index] = calls[index]()
        except Exception as error:  # noqa: BLE001 - a thread's error is its outcome
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


# --- what only a database can show ------------------------------------------------------------------------------------


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.integration) for name in ("postgres", "snowflake")])
def database(request: pytest.FixtureRequest) -> Harness:
    found: Harness = request.getfixturevalue(f"{request.param}_harness")
    found.target.prepare(FLIGHTS)
    return found


def test_a_lost_answer_to_commit_is_a_success_when_the_receipt_is_there(database: Harness) -> None:
    manifest = database.staged(documents(5))
    database.connections.lose_answer()
    result = database.publish(manifest)
    assert (result.loaded.rows, result.already_received) == (5, False)
    database.connections.lose_answer()
    assert database.target.delete(FLIGHTS, window(), fence=900, lifecycle_id=1) == 5
    assert database.rows() == []


def test_a_guard_row_that_stays_locked_is_a_conflict(database: Harness) -> None:
    target = database.another(guard_wait_seconds=0.5)
    manifest = database.staged(documents(1))
    with target._session(FLIGHTS, window()) as holder:
        holder.execute(target.BEGIN, None, doing="begin", fetch=False)
        assert holder.change("take_guard", {"source_object": FLIGHTS}) == 1
        with pytest.raises(PublishConflictError, match="lock"):
            target.publish(manifest, database.stage, fence=99, lifecycle_id=1)
        holder.execute("ROLLBACK", None, doing="rollback", fetch=False)
    assert database.rows() == []
    assert database.publish(manifest).loaded.rows == 1


def test_numbers_survive_in_the_document_as_far_as_the_target_allows(database: Harness) -> None:
    body = b'{"big": 12345678901234567890123456789, "above": 9007199254740993, "one": 1.0, "hundred": 1e2, "text": "\\u00e9\\\\u0000"}'
    database.load([Document("numbers", NOON, body)])
    doc = database.rows()[0]["doc"]
    found = json.loads(doc) if isinstance(doc, str) else doc
    assert found == json.loads(body)
    assert isinstance(found["above"], int)


NAMES = ("integer", "number", "boolean", "timestamp", "date", "text")
INSTANT = datetime(2013, 3, 9, 5, 6, 7, 123456, tzinfo=UTC)
ACCEPTED = [
    ("integer", "1", 1),
    ("integer", "1.0", 1),
    ("integer", "1e2", 100),
    ("integer", "-12345678901234567890123456789", -12345678901234567890123456789),
    ("integer", '"007"', 7),
    ("number", "1.5", 1.5),
    ("number", '"-1.5e3"', -1500.0),
    ("number", "2", 2.0),
    ("boolean", "true", True),
    ("boolean", '"False"', False),
    ("timestamp", '"2013-03-09T05:06:07.123456Z"', INSTANT),
    ("timestamp", '"2013-03-09T05:06:07.123456999Z"', INSTANT),
    ("timestamp", '"2013-03-09 10:36:07.123456+05:30"', INSTANT),
    ("timestamp", '"2013-03-08T21:06:07.123456-0800"', INSTANT),
    ("timestamp", '"2013-03-09T05:06"', INSTANT.replace(second=0, microsecond=0)),
    ("timestamp", '"2013-03-09"', INSTANT.replace(hour=0, minute=0, second=0, microsecond=0)),
    ("timestamp", "1362805567123", INSTANT.replace(microsecond=123000)),
    ("timestamp", "0", datetime(1970, 1, 1, tzinfo=UTC)),
    ("timestamp", "-1", datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
    ("date", '"2013-03-09"', INSTANT.date()),
    ("date", '"2013-03-08T21:06:07-08:00"', INSTANT.date()),
    ("text", '"a\\"b\\\\c"', 'a"b\\c'),
    ("text", "12", "12"),
    ("text", "true", "true"),
    ("text", '{"a":[1,"x"]}', '{"a":[1,"x"]}'),
    *((name, "null", None) for name in NAMES),
]
REFUSED = [
    *(("integer", value) for value in ("1.5", '"1.5"', '"x"', '""', "true", "[1]", '{"a":1}', "1e20", "1" * 38)),
    *(("number", value) for value in ('"x"', '"NaN"', '"inf"', "1e999", "false", "[1.5]", '"1,5"')),
    *(("boolean", value) for value in ("1", '"yes"', '"t"', "[true]")),
    *(("timestamp", value) for value in ('"2013-02-30"', '"2013-03-09T24:00:00Z"', '"2013"', '"yesterday"', '"1362805567123"')),
    *(("timestamp", value) for value in ("true", "1.5", "123456789012345", '["2013-03-09"]', '"2013-03-09T05:06:07 UTC"')),
    *(("date", value) for value in ('"09.03.2013"', '"2013-13-01"', "false")),
]


def typed_body(column_type: str, value: str) -> bytes:
    return b'{"v_%s": %s}' % (column_type.encode(), value.encode())


@pytest.fixture
def typed(request: pytest.FixtureRequest) -> Callable[[str], tuple[Harness, Any]]:
    def build(name: str) -> tuple[Harness, Any]:
        found: Harness = request.getfixturevalue(f"{name}_harness")
        target = found.another(columns={f"v_{column}": column for column in NAMES})
        target.prepare(FLIGHTS)
        return found, target

    return build


EVERYWHERE = pytest.mark.parametrize(
    "name",
    ["memory", *(pytest.param(name, marks=pytest.mark.integration) for name in ("postgres", "snowflake"))],
)


@EVERYWHERE
def test_a_column_type_means_the_same_everywhere(typed: Any, name: str) -> None:
    found, target = typed(name)
    content = [Document(f"{n:03}", NOON, typed_body(column, value)) for n, (column, value, _) in enumerate(ACCEPTED)]
    manifest = found.staged(content)
    target.publish(manifest, found.stage, fence=manifest.fence, lifecycle_id=1)
    rows = {row["_id"]: row for row in (target.rows if name == "memory" else found.rows())}
    for n, (column, value, expected) in enumerate(ACCEPTED):
        loaded = rows[f"{n:03}"][f"v_{column}"]
        if isinstance(loaded, datetime):
            loaded = loaded.replace(tzinfo=UTC) if loaded.tzinfo is None else loaded.astimezone(UTC)
        assert loaded == expected, f"{column} {value}"
        absent = {f"v_{other}" for other in NAMES} - {f"v_{column}"}
        assert {rows[f"{n:03}"][other] for other in absent} == {None}, f"{column} {value}"


@EVERYWHERE
def test_what_a_column_refuses_is_the_same_everywhere(typed: Any, name: str) -> None:
    found, target = typed(name)
    content = [Document(f"{n:03}", NOON, typed_body(column, value)) for n, (column, value) in enumerate(REFUSED)]
    good = document("good")
    if name == "snowflake":  # it counts them all, so one publish shows it
        manifest = found.staged([*content, good])
        with pytest.raises(BadDocumentError, match=rf"'000' \(and {len(REFUSED) - 1} more documents\)"):
            target.publish(manifest, found.stage, fence=manifest.fence, lifecycle_id=1)
        return
    for bad, (column, _) in zip(content, REFUSED, strict=True):
        manifest = found.staged([bad, good])
        with pytest.raises(BadDocumentError, match=f"{bad.id!r}.*'v_{column}'"):
            target.publish(manifest, found.stage, fence=manifest.fence, lifecycle_id=1)
    assert (target.rows if name == "memory" else found.rows()) == []
