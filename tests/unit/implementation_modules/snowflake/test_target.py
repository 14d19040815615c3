"""What Snowflake is sent, in which order, and what becomes of its errors; a double stands for the connector."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from snowflake.connector import errors as client

from include.implementation_modules.snowflake.target import SnowflakeTarget
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    PipelineError,
    PublishConflictError,
    ServiceUnavailableError,
    TerminalError,
    TornStageError,
)
from include.pipeline_framework.ports.stage import Manifest, StagedFile
from include.sql.text import quoted, sql_text
from tests.publishing import publish_one

NOON = datetime(2013, 3, 9, 12, tzinfo=UTC)
WINDOW = TimeWindow(NOON, NOON + timedelta(hours=1))
SQL = Path(__file__).resolve().parents[4] / "include" / "sql"
CONFLICT = client.ProgrammingError("Statement has locked table", errno=625, sqlstate="57014")


class Recorder:
    """A connection that remembers statements, answers queries, and raises `faults` by a statement's start."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[tuple[str, Exception]] = []
        self.fingerprint = Fingerprint(2, 3)
        self.opened = self.closed = 0

    def connect(self) -> Any:
        self.opened += 1
        return self

    def cursor(self) -> Any:
        return RecordingCursor(self)

    def close(self) -> None:
        self.closed += 1

    def starts(self) -> list[str]:
        return [" ".join(sql.split()[:2]) for sql, _ in self.statements]


class RecordingCursor:
    rowcount = 1
    description: Any = None

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._rows: list[Any] = []

    def execute(self, sql: str, parameters: Any) -> None:
        self._recorder.statements.append((sql, parameters))
        for fault in self._recorder.faults:
            if sql.startswith(fault[0]):
                self._recorder.faults.remove(fault)
                raise fault[1]
        found = self._recorder.fingerprint
        if "refused_count" in sql:
            self._rows = [(7, found.rows, found.hash_sum, found.rows, 0)]
        elif "SUM(_id_hash" in sql:
            self._rows = [(found.rows, found.hash_sum)]
        elif "now_at" in sql:
            now = NOON.replace(tzinfo=None)
            self._rows = [("guard", "flights", None, None, 0, 0, 0, 0, "", 0, now, now)]
        else:
            self._rows = []
        self.description = [("x",)] if self._rows else None

    def fetchall(self) -> list[Any]:
        return self._rows


class Files:
    """A stage that is only asked for addresses, and for whether it is whole."""

    def __init__(self, root: str = "s3://bucket/prefix/", is_torn: bool = False) -> None:
        self.root, self.is_torn = root, is_torn

    def uri(self, key: str) -> str:
        return self.root + key

    def read_manifest(self, location: str) -> None:
        if self.is_torn:
            raise TornStageError("a staged file is missing")

    @contextmanager
    def open(self, key: str) -> Iterator[Any]:
        yield io.BytesIO()


def manifest(files: int = 1) -> Manifest:
    staged = tuple(StagedFile(f"flights/1/part-{n}.gz", 1, 1, "") for n in range(files))
    return Manifest("flights/1", 7, "flights", WINDOW, 5, 2, Fingerprint(2, 3), staged)


def target(recorder: Recorder, **options: Any) -> SnowflakeTarget:
    return SnowflakeTarget(recorder.connect, SnowflakeTarget.Options(table="flights", **options))


def publish(recorder: Recorder, files: int = 1, stage: Any = None, **options: Any) -> Any:
    return publish_one(target(recorder, **options), manifest(files), stage or Files(), fence=5, lifecycle_id=7)


def test_ddl_and_copy_come_before_the_transaction_and_nothing_after_it() -> None:
    recorder = Recorder()
    publish(recorder)
    starts = recorder.starts()
    begin = starts.index("BEGIN")
    assert [start.split()[0] for start in starts[:begin]] == [
        *("ALTER", "ALTER", "SELECT", "CREATE", "COPY", "CREATE", "SELECT")
    ]
    assert [start.split()[0] for start in starts[begin:]] == [
        *("BEGIN", "UPDATE", "SELECT", "DELETE", "INSERT", "SELECT", "INSERT", "COMMIT"),
    ]
    assert (recorder.opened, recorder.closed) == (1, 1)


def test_files_are_named_at_most_a_thousand_at_a_time_and_loaded_again() -> None:
    recorder = Recorder()
    publish(recorder, files=2_001)
    copies = [(sql, values) for sql, values in recorder.statements if sql.startswith("COPY")]
    assert [len(values["files"]) for _, values in copies] == [1_000, 1_000, 1]
    for sql, _ in copies:
        assert "FORCE = TRUE" in sql and "ON_ERROR = ABORT_STATEMENT" in sql and "PATTERN" not in sql


def test_temporary_tables_differ_between_sessions() -> None:
    recorder = Recorder()
    publish(recorder)
    publish(recorder)
    created = [sql for sql, _ in recorder.statements if "TEMPORARY TABLE" in sql]
    assert len({sql.splitlines()[0] for sql in created}) == len(created) == 4


def test_names_are_upper_case_quoted_and_qualified() -> None:
    recorder = Recorder()
    publish(recorder, database="lake", schema_name="raw", columns={"select": "text"})
    text = "\n".join(sql for sql, _ in recorder.statements)
    assert 'DELETE FROM "LAKE"."RAW"."FLIGHTS"' in text
    assert 'UPDATE "LAKE"."RAW"."FLIGHTS_RECEIPTS"' in text
    assert '@"LAKE"."RAW"."PIPELINE_STAGE_' in text
    assert '"SELECT"' in text
    assert not re.search(r"\{[a-z_]+\}", text)


def named_stage(root: str, **options: Any) -> str:
    recorder = Recorder()
    publish(recorder, stage=Files(root), **options)
    (copy,) = [sql for sql, _ in recorder.statements if sql.startswith("COPY")]
    found = re.search(r"FROM @(\S+)", copy)
    assert found
    return found[1]


def test_each_root_has_an_external_stage_of_its_own_unless_one_is_named() -> None:
    digest = hashlib.sha256(b"s3://bucket/prefix/").hexdigest()[:8].upper()
    assert named_stage("s3://bucket/prefix/") == f'"PIPELINE_STAGE_{digest}"'
    roots = ("s3://bucket/prefix/", "s3://bucket/other/", "gs://bucket/prefix/")
    assert len({named_stage(root) for root in roots}) == 3
    assert {named_stage(root, stage_name="lake") for root in roots} == {'"LAKE"'}
    assert named_stage("file:///tmp/", stage_name="by_hand") == '"BY_HAND"', "made by hand, whatever the address"


def test_a_missing_stage_is_created_at_the_root_and_the_copy_repeated() -> None:
    recorder = Recorder()
    recorder.faults = [("COPY", client.ProgrammingError("Stage does not exist", errno=2003, sqlstate="02000"))]
    publish(recorder, stage=Files("gs://bucket/prefix/"), storage_integration="lake")
    create = next((sql, values) for sql, values in recorder.statements if sql.startswith("CREATE STAGE"))
    assert create[1] == {"url": "gcs://bucket/prefix/"}
    assert 'STORAGE_INTEGRATION = "LAKE"' in create[0]
    (name,) = {re.search(r'"PIPELINE_STAGE_\w{8}"', sql)[0] for sql, _ in recorder.statements if "_STAGE_" in sql}  # type: ignore[index]
    assert name in create[0]
    assert recorder.starts().count("COPY INTO") == 2


def test_a_stage_that_snowflake_cannot_read_is_a_matter_of_configuration() -> None:
    recorder = Recorder()
    recorder.faults = [("COPY", client.ProgrammingError("Stage does not exist", errno=2003, sqlstate="02000"))]
    with pytest.raises(ConfigurationError, match="file://"):
        publish(recorder, stage=Files("file:///tmp/"))


def test_a_copy_that_fails_over_missing_files_is_a_torn_stage() -> None:
    for is_torn, expected in ((True, TornStageError), (False, BadDocumentError)):
        recorder = Recorder()
        recorder.faults = [
            ("COPY", client.ProgrammingError("Remote file was not found", errno=91016, sqlstate="22000"))
        ]
        with pytest.raises(expected):
            publish(recorder, stage=Files(is_torn=is_torn))
        assert "BEGIN" not in recorder.starts()


@pytest.mark.parametrize("statement", ["UPDATE", "DELETE", "INSERT", "COMMIT"])
def test_a_lost_lock_is_rolled_back_and_tried_again_inside(statement: str) -> None:
    recorder = Recorder()
    recorder.faults = [(statement, CONFLICT), (statement, CONFLICT)]
    assert publish(recorder).loaded == Fingerprint(2, 3)
    starts = recorder.starts()
    assert (starts.count("BEGIN"), starts.count("ROLLBACK"), starts.count("COMMIT")) in {(3, 2, 1), (3, 2, 3)}
    assert starts.count("COPY INTO") == 1, "the temporary table is still there"


def test_a_lock_that_stays_lost_is_a_conflict() -> None:
    recorder = Recorder()
    recorder.faults = [("UPDATE", CONFLICT)] * 100
    with pytest.raises(PublishConflictError, match="SHOW LOCKS"):
        publish(recorder, guard_wait_seconds=0.2)


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt(), client.ProgrammingError("no", errno=1003)])
def test_whatever_happens_inside_the_transaction_is_rolled_back(error: Any) -> None:
    recorder = Recorder()
    recorder.faults = [("INSERT", error)]
    with pytest.raises((type(error), TerminalError)):
        publish(recorder)
    assert recorder.starts()[-1] == "ROLLBACK"
    assert recorder.closed == 1


def test_a_count_that_differs_after_the_insert_is_rolled_back() -> None:
    recorder = Recorder()
    real = RecordingCursor.execute

    class Losing(RecordingCursor):
        def execute(self, sql: str, parameters: Any) -> None:
            real(self, sql, parameters)
            if "SUM(_id_hash" in sql and "refused_count" not in sql:
                self._rows = [(1, 3)]

    recorder.cursor = lambda: Losing(recorder)  # type: ignore[method-assign]
    with pytest.raises(TornStageError, match="After the insert"):
        publish(recorder)
    assert recorder.starts()[-1] == "ROLLBACK"


def test_a_failing_close_hides_nothing() -> None:
    recorder = Recorder()

    def close() -> None:
        raise client.OperationalError("gone")

    recorder.close = close  # type: ignore[method-assign]
    assert publish(recorder).loaded == Fingerprint(2, 3)


ERRORS: list[tuple[Callable[[], Exception], type[PipelineError]]] = [
    (lambda: CONFLICT, PublishConflictError),
    (lambda: client.ProgrammingError("cancelled", errno=604, sqlstate="57014"), ServiceUnavailableError),
    (lambda: client.ProgrammingError("timeout", errno=630, sqlstate="57014"), ServiceUnavailableError),
    (lambda: client.ProgrammingError("session gone", errno=390111), ServiceUnavailableError),
    (lambda: client.OperationalError("connection", errno=250001, sqlstate="08001"), ServiceUnavailableError),
    (lambda: client.OperationalError("connection"), ServiceUnavailableError),
    (lambda: client.ServiceUnavailableError(), ServiceUnavailableError),
    (lambda: client.InternalServerError(), ServiceUnavailableError),
    (lambda: ConnectionResetError("reset"), ServiceUnavailableError),
    (lambda: client.DatabaseError("Incorrect username or password", errno=250001), TerminalError),
    (lambda: client.ForbiddenError(), TerminalError),
    (lambda: client.ProgrammingError("no privileges", errno=3001, sqlstate="42501"), TerminalError),
    (lambda: client.ProgrammingError("no table", errno=2003, sqlstate="42S02"), ConfigurationError),
    (lambda: client.ProgrammingError("invalid identifier", errno=904, sqlstate="42000"), ConfigurationError),
    (lambda: client.ProgrammingError("secret value 'x'", errno=100069, sqlstate="22P02"), BadDocumentError),
]


@pytest.mark.parametrize(("make", "expected"), ERRORS)
def test_errors_of_the_connector_become_the_frameworks(
    make: Callable[[], Exception], expected: type[PipelineError]
) -> None:
    recorder = Recorder()
    recorder.faults = [("SELECT", make())]
    with pytest.raises(expected) as caught:
        target(recorder).fingerprint("flights", WINDOW)
    assert type(caught.value).__mro__.index(expected) <= 1
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is not None
    assert "flights 2013-03-09T12:00:00Z" in str(caught.value)


def test_a_connection_that_cannot_be_opened_is_an_outage() -> None:
    def connect() -> Any:
        raise client.OperationalError("no route", errno=250001, sqlstate="08001")

    with pytest.raises(ServiceUnavailableError):
        SnowflakeTarget(connect, SnowflakeTarget.Options(table="flights")).prepare("flights")


def test_no_statement_depends_on_a_session_parameter_for_time() -> None:
    snowflake = target(Recorder())
    fragments = {**snowflake._fragments, **snowflake._session_fragments(), "target_index": quoted("INDEX")}
    fragments |= dict.fromkeys(("each", "query", "number", "added_column", "added_type"), quoted("PART"))
    texts = {path.name: sql_text(f"snowflake/{path.stem}") for path in (SQL / "snowflake").glob("*.sql")}
    texts |= {path.name: snowflake.DIALECT.text(path.stem, fragments) for path in (SQL / "sql_target").glob("*.sql")}
    bounds = 0
    for name, text in texts.items():
        for before, after in re.findall(r"(\S*)%\((?:start|end|now|replaced_start|replaced_end)\)s(.{0,5})", text):
            assert (before, after[:3]) == ("TO_TIMESTAMP_NTZ(", ", '"), name
            bounds += 1
        assert not re.search(
            r"CURRENT_TIMESTAMP|GETDATE|TIMESTAMP_LTZ|TIMESTAMP_TZ|::TIMESTAMP(?!_NTZ)|::DATETIME", text
        )
    assert bounds > 10


def test_the_time_zone_of_the_window_does_not_matter() -> None:
    recorder = Recorder()
    target(recorder).fingerprint("flights", WINDOW)
    assert recorder.statements[-1][1]["start"] == "2013-03-09T12:00:00.000000"
