"""What `doctor` says of a Snowflake with roles, and what its refusals are called: the emulator here has neither.

The errors are the connector's own; those of the login come from the real connector and a server that refuses it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import errors as client

from include.implementation_modules.snowflake.checking import check
from include.implementation_modules.snowflake.errors import translated_error
from include.implementation_modules.snowflake.target import SnowflakeTarget
from include.pipeline_framework.core.watching.verdicts import CheckState, Verdict
from include.pipeline_framework.errors import ConfigurationError
from include.pipeline_framework.ports.checking import Look

NOON = datetime(2013, 3, 9, 12, tzinfo=UTC)
LOOK = Look("target_snowflake", timedelta(days=1), lambda: NOON)
OWN = [
    ("_SOURCE_OBJECT", "VARCHAR(16777216)"), ("_ID", "VARCHAR(16777216)"), ("_ID_HASH", "NUMBER(19,0)"),
    ("_EVENT_AT", "TIMESTAMP_NTZ(6)"), ("_LIFECYCLE_ID", "NUMBER(38,0)"), ("_FENCE", "NUMBER(38,0)"),
    ("_FILE", "VARCHAR(16777216)"), ("DOC", "VARIANT"),
]  # fmt: skip
MISSING = client.ProgrammingError("Object 'X' does not exist or not authorized.", errno=2003, sqlstate="42S02")


class Played:
    """A connection that answers by a statement's beginning, or raises."""

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        grants = [("LOADER", "ROLE", right) for right in ("SELECT", "INSERT", "UPDATE", "DELETE")]
        rights = [("LOADER", "ROLE", right) for right in ("USAGE", "CREATE TABLE", "CREATE STAGE")]
        columns = [(name, kind, "COLUMN", "Y", None, "N") for name, kind in OWN]
        self.closed = False
        self.statements: list[str] = []
        self.answers: dict[str, Any] = {
            "SELECT SYSDATE": [(NOON.replace(tzinfo=None),)],
            "SELECT CURRENT_ROLE": [("LOADER",)],
            "SELECT CURRENT_DATABASE": [("ANALYTICS", "PUBLIC")],
            "SHOW DATABASES": (["created_on", "name"], [(NOON, "ANALYTICS")]),
            "SHOW SCHEMAS": (["created_on", "name"], [(NOON, "PUBLIC")]),
            "SHOW GRANTS ON SCHEMA": (["grantee_name", "granted_to", "privilege"], rights),
            "SHOW GRANTS ON TABLE": (["grantee_name", "granted_to", "privilege"], grants),
            "SELECT IS_ROLE_IN_SESSION": [(True,)],
            "DESCRIBE TABLE": columns,
            **(answers or {}),
        }

    def cursor(self) -> Any:
        return PlayedCursor(self)

    def close(self) -> None:
        self.closed = True


class PlayedCursor:
    def __init__(self, played: Played) -> None:
        self._played = played
        self.description: list[tuple[str]] | None = None
        self._rows: list[Any] = []

    def execute(self, sql: str, _parameters: Any) -> None:
        self._played.statements.append(text := " ".join(sql.split()))
        known = [start for start in self._played.answers if text.startswith(start)]
        answer = self._played.answers[max(known, key=len)] if known else []
        if isinstance(answer, Exception):
            raise answer
        names, self._rows = answer if isinstance(answer, tuple) else (["value"], answer)
        self.description = [(name,) for name in names]

    def fetchall(self) -> list[Any]:
        return self._rows


def found(played: Played, **options: Any) -> list[Verdict]:
    return list(check(lambda: played, SnowflakeTarget.Options(**{"table": "FLIGHTS", **options}), LOOK))


def only_wrong(verdicts: list[Verdict]) -> Verdict:
    (wrong,) = [verdict for verdict in verdicts if verdict.state is CheckState.WRONG]
    return wrong


def test_all_is_well_and_nothing_stays() -> None:
    played = Played()
    assert {verdict.state for verdict in found(played)} == {CheckState.OK}
    assert played.closed
    changing = [text for text in played.statements if not text.startswith(("SHOW", "SELECT", "DESCRIBE", "USE"))]
    assert [" ".join(text.split()[:4]) for text in changing[:1]] == ["CREATE OR REPLACE TEMPORARY"]
    assert all('"DOCTOR_' in text for text in changing)


def test_grants_that_the_role_lacks() -> None:
    select = (["grantee_name", "granted_to", "privilege"], [("LOADER", "ROLE", "SELECT")])
    verdicts = found(Played({"SHOW GRANTS ON TABLE": select}))
    remedies = [verdict.remedy for verdict in verdicts if verdict.state is CheckState.WRONG]
    assert remedies == [
        "GRANT INSERT, DELETE ON TABLE ANALYTICS.PUBLIC.FLIGHTS TO ROLE LOADER;",
        "GRANT INSERT, UPDATE, DELETE ON TABLE ANALYTICS.PUBLIC.FLIGHTS_RECEIPTS TO ROLE LOADER;",
    ]


def test_a_grant_to_a_role_that_the_session_has_not_counts_nothing_and_ownership_counts_for_all() -> None:
    other = Played({"DESCRIBE TABLE": MISSING, "SELECT IS_ROLE_IN_SESSION": [(False,)]})
    wrong = only_wrong(found(other))
    assert wrong.remedy == "GRANT CREATE TABLE, CREATE STAGE ON SCHEMA ANALYTICS.PUBLIC TO ROLE LOADER;"
    owner = (["privilege", "granted_to", "grantee_name"], [("OWNERSHIP", "ROLE", "LOADER")])
    verdicts = found(Played({"DESCRIBE TABLE": MISSING, "SHOW GRANTS ON SCHEMA": owner}))
    assert {verdict.state for verdict in verdicts} == {CheckState.OK}


def test_grants_that_can_not_be_read_are_unknown() -> None:
    refused = client.ProgrammingError("syntax error", errno=1003, sqlstate="42000")
    verdicts = found(Played({"SHOW GRANTS ON TABLE": refused}))
    assert [verdict.check for verdict in verdicts if verdict.state is CheckState.UNKNOWN] == ["may load", "may load"]
    assert CheckState.WRONG not in {verdict.state for verdict in verdicts}


def test_a_warehouse_that_can_not_be_used() -> None:
    refused = client.ProgrammingError("No active warehouse selected in the current session.", errno=606)
    wrong = only_wrong(found(Played({"INSERT INTO": refused})))
    assert wrong.check == "warehouse"
    assert "GRANT USAGE ON WAREHOUSE" in wrong.remedy


def test_a_session_without_a_database() -> None:
    verdicts = found(Played({"SELECT CURRENT_DATABASE": [(None, None)]}))
    wrong = [(verdict.check, verdict.remedy) for verdict in verdicts if verdict.state is CheckState.WRONG]
    assert [check for check, _ in wrong] == ["database", "schema"]
    assert all("target_snowflake" in remedy for _, remedy in wrong)


@pytest.mark.parametrize(
    ("number", "text", "says", "remedy"),
    [
        (
            2003,
            "SQL compilation error: Database 'A' does not exist or not authorized.",
            "The database A does",
            "CREATE",
        ),
        (
            2003,
            "SQL compilation error:\nSchema 'A.B' does not exist or not authorized.",
            "The schema A.B",
            "GRANT USAGE",
        ),
        (2043, "Warehouse 'W' does not exist or not authorized.", "The warehouse W", "GRANT USAGE ON WAREHOUSE W"),
        (606, "No active warehouse selected", "has no warehouse", "GRANT USAGE ON WAREHOUSE"),
        (
            3001,
            "SQL access control error:\nInsufficient privileges to operate on schema 'PUBLIC'",
            "A privilege is missing",
            "GRANT USAGE, CREATE TABLE, CREATE STAGE ON SCHEMA PUBLIC TO ROLE <role>;",
        ),
        (
            3001,
            "SQL access control error:\nInsufficient privileges to operate on table 'FLIGHTS'",
            "A privilege is missing",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE FLIGHTS TO ROLE <role>;",
        ),
        (90105, "Cannot perform CREATE TABLE. This session does not have a current database.", "no database", "Set"),
        (90106, "Cannot perform CREATE TABLE. This session does not have a current schema.", "no schema", "Set"),
        (390201, "The requested warehouse does not exist or not authorized.", "what the connection names", "WAREHOUSE"),
        (390186, "Role 'R' specified in the connect string is not granted to this user.", "role", "GRANT ROLE"),
        (390422, "Incoming request with IP/Token is not allowed to access Snowflake.", "address", "network policy"),
    ],
)
def test_a_refusal_is_named_as_what_it_is(number: int, text: str, says: str, remedy: str) -> None:
    """Their SQLSTATEs are those of documents (22000) or of connections that break (08001), among others."""
    for state in ("22000", "08001", "02000"):
        error = translated_error(client.ProgrammingError(text, errno=number, sqlstate=state), "flights")
        assert isinstance(error, ConfigurationError)
        assert says in error.what
        assert remedy in error.remedy


def test_any_other_missing_object_is_told_as_before() -> None:
    error = translated_error(MISSING, "flights")
    assert isinstance(error, ConfigurationError)
    assert "no such table, column or stage" in error.what


@contextmanager
def refusing_logins(code: str, message: str) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            body = json.dumps({"data": None, "code": code, "message": message, "success": False}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("code", "message", "step", "says"),
    [
        ("390100", "Incorrect username or password was specified.", "authenticated", "refuses the login"),
        ("390144", "JWT token is invalid.", "authenticated", "refuses the login"),
        ("390186", "Role 'R' specified in the connect string is not granted to this user.", "role", "role"),
    ],
)
def test_a_refused_login_is_not_a_server_that_does_not_answer(code: str, message: str, step: str, says: str) -> None:
    with refusing_logins(code, message) as port:

        def connect() -> Any:
            where = {"account": "a", "host": "127.0.0.1", "port": port, "protocol": "http"}
            return snowflake.connector.connect(user="loader", password="top-secret", login_timeout=20, **where)

        (verdict,) = check(connect, SnowflakeTarget.Options(table="FLIGHTS"), LOOK)
    assert (verdict.check, verdict.state) == (step, CheckState.WRONG)
    assert says in verdict.said
    assert "top-secret" not in str(verdict)
