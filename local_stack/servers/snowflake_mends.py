"""What fakesnow 0.12.1 lacks for a real Snowflake client, each mend with its reason.

1. *Unsupported SQL is a SQL error.* fakesnow answers HTTP 500, which the connector retries for minutes, and drops the
   cause. Here the client gets errno 2 (0A000) with the cause at once; a write conflict is errno 625 (57014), the
   number of Snowflake for a lost wait for a lock (the emulator does not wait: the second writer of a row fails).
2. *A COMMIT that loses work says so.* After an error DuckDB rolls the transaction back, and fakesnow's COMMIT then
   reports success. Here it fails with errno 2 and the transaction is rolled back. (Real Snowflake would keep the
   statements before the failing one.)
3. *MERGE works inside a transaction*: its temporary table got a NULL comment, written to a second database.
4. *Statements that make no sense here succeed without effect*: `NO_OPERATION`.
5. *Memory is bounded*: fakesnow keeps the result of every statement for ever.
6. *A vanished client loses its transaction.* The session of a killed process would block its rows until a restart;
   real Snowflake rolls back after minutes. Here: when a session with an open transaction was silent for a while,
   it is rolled back, and the session ends, so that a client that was only frozen can't commit half of its work.
   A session without one ends after four hours of silence, as in Snowflake.
7. *`MD5_NUMBER_UPPER64` is known*.
8. *A statement that is sent twice runs once.* The connector repeats a request whose answer was lost, under the same
   request id, and Snowflake answers it without running the statement again; fakesnow ran it again.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import duckdb
from snowflake.connector.errors import Error as SnowflakeError
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB

NO_OPERATION = (
    r"^\s*ALTER\s+SESSION\s+(SET|UNSET)\s+(?!AUTOCOMMIT)",
    r"^\s*GRANT\b",
    r"^\s*CREATE\s+(OR\s+REPLACE\s+)?(WAREHOUSE|ROLE|STORAGE\s+INTEGRATION|RESOURCE\s+MONITOR)",
    r"^\s*USE\s+SECONDARY\s+ROLES",
)
_KEPT_RESULTS = 256
_KEPT_ANSWERS = 64
_LONGEST_SILENCE_SECONDS = 4 * 3_600.0
_SILENCE_VARIABLE = "LOCAL_STACK_SNOWFLAKE_IDLE_TRANSACTION_SECONDS"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class RecentResults(OrderedDict[str, tuple[Any, ...]]):
    """The results of the last statements only; RESULT_SCAN of an older one fails as after Snowflake's 24 hours."""

    def __setitem__(self, key: str, value: tuple[Any, ...]) -> None:
        super().__setitem__(key, value)
        while len(self) > _KEPT_RESULTS:
            with suppress(KeyError):  # another thread was faster
                self.popitem(last=False)


def patch_fakesnow() -> None:
    """Mends 1 to 3 and 7, in the classes of fakesnow and sqlglot."""
    from fakesnow import info_schema
    from fakesnow.cursor import FakeSnowflakeCursor

    comment_sql = info_schema.insert_table_comment_sql

    def without_null_comment(catalog: str, schema: str, table: str, comment: str | None) -> str:
        return "SELECT 1" if comment is None else str(comment_sql(catalog, schema, table, comment))

    execute = FakeSnowflakeCursor.execute

    def execute_with_sql_errors(cursor: Any, command: str, *args: Any, **kwargs: Any) -> Any:
        if command.strip().rstrip(";").strip().upper() == "COMMIT":
            _refuse_lost_commit(cursor)
        try:
            return execute(cursor, command, *args, **kwargs)
        except SnowflakeError:
            raise
        except duckdb.TransactionException as error:
            if "conflict" in str(error).lower():
                raise ProgrammingError(
                    f"Lock not available, the row has another writer: {error}", 625, "57014"
                ) from error
            raise ProgrammingError(f"Transaction error: {error}", 2, "0A000") from error
        except Exception as error:
            raise ProgrammingError(f"Emulator: {type(error).__name__}: {error}", 2, "0A000") from error

    DuckDB.Generator.TRANSFORMS[exp.MD5NumberUpper64] = _md5_number_upper64
    info_schema.insert_table_comment_sql = without_null_comment
    FakeSnowflakeCursor.execute = execute_with_sql_errors


def _md5_number_upper64(generator: Any, call: Any) -> str:
    """The first half of an MD5 as a number; DuckDB's `md5_number_upper` takes its bytes in the other order."""
    digits = f"LEFT(MD5({generator.sql(call, 'this')}), 16)"
    return f"CAST('0x' || {digits} AS UBIGINT)"


def _duckdb_of(fake: Any) -> Any:
    """The DuckDB connection of fakesnow's cursor or connection, which has no public name there (0.12.1)."""
    return fake._duck_conn  # noqa: SLF001


def _refuse_lost_commit(cursor: Any) -> None:
    connection = _duckdb_of(cursor)
    try:
        connection.execute("SELECT 1")
    except duckdb.TransactionException as error:
        connection.rollback()
        raise ProgrammingError(
            "COMMIT refused: a statement of this transaction failed, and the emulator has rolled all of it back.",
            2,
            "0A000",
        ) from error


class MendedApp:
    """fakesnow's ASGI application with mends 1 (what the cursor can't see), 6 and 8."""

    def __init__(self, server: ModuleType) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()
        self._last_seen: dict[str, float] = {}
        self._seen_silent: set[str] = set()
        self._awake = 0.0
        self._answers: OrderedDict[str, asyncio.Future[list[Message]]] = OrderedDict()
        silence = float(os.environ.get(_SILENCE_VARIABLE) or 30)
        threading.Thread(target=self._watch, args=(silence,), daemon=True).start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, a repeated one from the first one's answer."""
        if scope["type"] != "http":
            await self._server.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        if request_id in self._answers:
            for message in await asyncio.shield(self._answers[request_id]):
                await send(message)
            return
        messages: list[Message] = []

        async def send_and_keep(message: Message) -> None:
            messages.append(message)
            await send(message)

        answer: asyncio.Future[list[Message]] = asyncio.get_running_loop().create_future()
        if request_id:
            self._answers[request_id] = answer
            while len(self._answers) > _KEPT_ANSWERS:
                self._answers.popitem(last=False)
        try:
            if not await self._serve(scope, receive, send_and_keep):
                self._answers.pop(request_id, None)
        finally:
            answer.set_result(messages)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """A status of 500 becomes a SQL error, which the client raises at once; whether fakesnow did answer."""
        status, refused, has_answered = 200, bytearray(), True

        async def send_unless_failed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            if status < 500:
                await send(message)
            else:
                refused.extend(message.get("body", b""))

        token = _token(scope)
        with self._lock:
            self._busy[token] += 1
        try:
            await self._server.app(scope, receive, send_unless_failed)
        except Exception as error:  # noqa: BLE001 - any bug of the emulator must reach the client as an answer
            status, has_answered = 500, False
            refused.extend(repr(error).encode())
        finally:
            with self._lock:
                self._busy[token] -= 1
                self._last_seen[token] = self._awake
                self._seen_silent.discard(token)
        if status >= 500:
            await _send_sql_error(send, _reason(bytes(refused)))
        return has_answered

    def _watch(self, silence: float) -> None:
        """Look at a session once each time it has fallen silent: nothing can begin in it without another request."""
        pause = min(1.0, silence / 3)
        while True:
            began = time.monotonic()
            time.sleep(pause)
            # while this process was frozen or starved, its clients were not silent: it did not listen
            self._awake += min(time.monotonic() - began, 2 * pause)
            with self._lock:
                self._look(silence)

    def _look(self, silence: float) -> None:
        for token in set(self._server.sessions) - set(self._last_seen):
            self._last_seen[token] = self._awake
        for token, last_seen in list(self._last_seen.items()):
            if self._busy[token] or self._awake - last_seen <= silence:
                continue
            if token not in self._server.sessions:
                self._forget(token)
            elif self._awake - last_seen > _LONGEST_SILENCE_SECONDS:
                self._server.sessions.pop(token, None)
            elif token not in self._seen_silent:
                self._seen_silent.add(token)
                self._end_transaction(token)

    def _forget(self, token: str) -> None:
        self._seen_silent.discard(token)
        self._last_seen.pop(token, None)
        self._busy.pop(token, None)

    def _end_transaction(self, token: str) -> None:
        connection = self._server.sessions.get(token)
        if connection is not None:
            with suppress(duckdb.Error):  # "no transaction is active": the session may stay
                _duckdb_of(connection).rollback()
                self._server.sessions.pop(token, None)


def _token(scope: Scope) -> str:
    """The session's token as fakesnow reads it: `Snowflake Token="…"`."""
    header = dict(scope["headers"]).get(b"authorization", b"")
    return str(header.decode()[17:-1])


def _request_id(scope: Scope) -> str:
    """Of a statement; empty for all other requests."""
    if not str(scope["path"]).endswith("/query-request"):
        return ""
    return "".join(parse_qs(scope["query_string"].decode()).get("requestId", ()))


def _reason(body: bytes) -> str:
    with suppress(ValueError, AttributeError, OSError):
        return str(json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)["message"])
    return body[:500].decode(errors="replace")


async def _send_sql_error(send: Send, reason: str) -> None:
    answer = {
        "data": {"errorCode": "000002", "sqlState": "0A000"},
        "code": "000002",
        "message": f"Emulator: {reason}",
        "success": False,
    }
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
