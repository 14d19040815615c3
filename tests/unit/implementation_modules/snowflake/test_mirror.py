"""How rows travel to Snowflake: in statements that its limit of one megabyte allows, and what its errors become."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from snowflake.connector import errors as client
from snowflake.connector.converter import SnowflakeConverter

from include.implementation_modules.snowflake.mirror import SnowflakeMirror
from include.pipeline_framework.core.watching.mirror import MirrorColumn
from include.pipeline_framework.errors import PublishConflictError, TerminalError
from tests.unit.implementation_modules.snowflake.test_target import CONFLICT, Recorder

COLUMNS = [MirrorColumn("id", "bigint"), MirrorColumn("target_day", "date"), MirrorColumn("range", "tstzrange")]
AT = datetime(2013, 3, 9, 12, tzinfo=UTC)
LIMIT = 1_000_000


def mirror(recorder: Recorder) -> SnowflakeMirror:
    return SnowflakeMirror(recorder.connect, SnowflakeMirror.Options(table="FLIGHTS"))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    monkeypatch.setattr(SnowflakeMirror, "_require_newest", lambda *_: None)
    return found


def test_no_statement_is_longer_than_snowflake_allows(recorder: Recorder) -> None:
    lines = [json.dumps([str(n), "2013-03-09", "'\"\\" * 300]) for n in range(3_000)]
    mirror(recorder).replace(COLUMNS, lines, mirrored_at=AT, all_of=None)
    sent = [p["lines"] for sql, p in recorder.statements if sql.startswith("INSERT INTO") and "lines" in p]
    assert [line for array in sent for line in json.loads(array)] == [json.loads(line) for line in lines]
    assert max(len(SnowflakeConverter().escape(array).encode()) for array in sent) < LIMIT


def test_everything_shared_changes_between_begin_and_commit(recorder: Recorder) -> None:
    mirror(recorder).replace(COLUMNS, ['["1","2013-03-09",null]'], mirrored_at=AT, all_of=["main"])
    shared = [" ".join(sql.split()[:2]) for sql, _ in recorder.statements if not sql.startswith(("ALTER", "CREATE"))]
    assert shared[1:] == ["BEGIN", "DELETE FROM", "DELETE FROM", "INSERT INTO", "COMMIT"]
    assert recorder.closed == recorder.opened == 1
    (insert,) = [sql for sql, p in recorder.statements if sql.startswith("INSERT") and "mirrored_at" in p]
    assert "line[0]::TEXT::NUMBER(37, 0), TO_DATE(line[1]::TEXT, 'YYYY-MM-DD'), line[2]::TEXT" in insert


@pytest.mark.parametrize(
    ("error", "expected"),
    [(CONFLICT, PublishConflictError), (client.ProgrammingError("Insufficient privileges", errno=3001), TerminalError)],
)
def test_an_error_rolls_back_and_says_that_nothing_is_lost(
    recorder: Recorder, error: Exception, expected: type[Exception]
) -> None:
    recorder.faults.append(("DELETE", error))
    with pytest.raises(expected, match="nothing is lost"):
        mirror(recorder).replace(COLUMNS, [], mirrored_at=AT, all_of=None)
    assert recorder.starts()[-1] == "ROLLBACK"
    assert recorder.closed == 1
