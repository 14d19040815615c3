"""Connections of a SQL target: opened, set up, shared between calls, and transactions that are tried again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from include.implementation_modules.sql_warehouse.dialect import Dialect
from include.implementation_modules.sql_warehouse.session import Session, SharedSession
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import PipelineError, PublishConflictError, ServiceUnavailableError
from include.sql.text import SqlFragment

if TYPE_CHECKING:
    from include.pipeline_framework.core.watching.queries import Answer

T = TypeVar("T")


class SqlSessions(ABC):
    """The sessions and transactions of a target.

    Args:
        connect: Returns a new DB-API connection; it is closed here.
        table: The target table's name, for messages.
        fragments: The identifiers that the statements name.
        guard_wait_seconds: Longest wait for another session's lock.
    """

    DIALECT: ClassVar[Dialect]
    TABLES: ClassVar[tuple[str, ...]] = ("create_target", "create_receipts")
    """Statements that create the tables, in their order."""

    def __init__(
        self, connect: Callable[[], Any], *, table: str, fragments: Mapping[str, SqlFragment], guard_wait_seconds: float
    ) -> None:
        self._connect = connect
        self._table = table
        self._fragments = fragments
        self._guard_wait_seconds = guard_wait_seconds
        self._shared = SharedSession()

    @abstractmethod
    def _set_up(self, session: Session) -> None:
        """Put a new connection into autocommit, and bound its waits for locks."""

    @abstractmethod
    def _translate(self, error: Exception, where: str) -> PipelineError | None:
        """Return the framework's error for an error of the client library; None for any other error."""

    def _session_fragments(self) -> Mapping[str, SqlFragment]:
        """Return the identifiers that differ from session to session."""
        return {}

    def connected(self) -> AbstractContextManager[None]:
        """See `Target.connected`."""
        return self._shared.sharing()

    def where(self, source_object: str, window: TimeWindow | None = None) -> str:
        """Return what errors say about the place."""
        return f"{source_object} {window or ''}".rstrip() + f" in {self._table}"

    def definitions(self) -> list[str]:
        """See `TellsDefinitions.definitions`."""
        return [self.DIALECT.text(name, self._fragments) for name in self.TABLES]

    def query(self, statement: str, limit: int) -> Answer:
        """See `Queryable.query`."""
        from include.pipeline_framework.core.watching.queries import Answer

        with self._session("query", is_first=True, is_last=True) as session:
            session.execute(self.DIALECT.begin_query, None, doing="begin", fetch=False)
            try:
                with session.translated("the query"):
                    session.cursor.execute(statement)
                    described = session.cursor.description or ()
                    rows = session.cursor.fetchmany(limit + 1) if described else []
                return Answer.of([str(column[0]) for column in described], rows, limit)
            finally:
                self._roll_back(session)

    @contextmanager
    def _session(
        self, source_object: str, window: TimeWindow | None = None, *, is_first: bool = False, is_last: bool = False
    ) -> Iterator[Session]:
        """Yield a session, inside of `connected` perhaps one that was used before.

        With `is_first` its connection is a new one, with `is_last` it is not used again: it has private tables.
        """
        where = self.where(source_object, window)
        session = None if is_first else self._shared.take()
        if session is None:
            session = self._open(where)
        session.where = where
        try:
            yield session
        except BaseException:
            session.close()
            raise
        if is_last:
            session.close()
        else:
            self._shared.give_back(session)

    def _open(self, where: str) -> Session:
        try:
            connection = self._connect()
        except Exception as error:
            translated = self._translate(error, f"{where} (connect)")
            if translated is None:
                raise
            raise translated from error
        session = Session(
            connection, self.DIALECT, {**self._fragments, **self._session_fragments()}, self._translate, where
        )
        try:
            self._set_up(session)
        except BaseException:
            session.close()
            raise
        return session

    def _retry(self, attempt: Callable[[], T]) -> T:
        """Repeat work that lost against another session's lock, with jitter, within the waiting time."""
        retrying = Retrying(
            retry=retry_if_exception_type(PublishConflictError),
            stop=stop_after_delay(self._guard_wait_seconds),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            reraise=True,
        )
        return retrying(attempt)

    def _in_transaction(
        self,
        session: Session,
        work: Callable[[], T],
        committed: Callable[[], bool] | None = None,
        *,
        is_repeated: bool = True,
    ) -> T:
        """Run `work` between BEGIN and COMMIT, again after a conflict; any other error causes a rollback and is raised.

        Args:
            session: Its connection is in autocommit.
            work: Its statements; called once per attempt.
            committed: Called when COMMIT got no answer; without it the error is raised.
            is_repeated: When False, a conflict is an error like any other.
        """

        def attempt() -> T:
            session.execute(self.DIALECT.begin, None, doing="begin", fetch=False)
            try:
                result = work()
            except BaseException:  # also for a time-out of the task: the lock must not remain
                self._roll_back(session)
                raise
            try:
                session.execute("COMMIT", None, doing="commit", fetch=False)
            except ServiceUnavailableError:
                if committed is None or not committed():
                    self._roll_back(session)
                    raise
            except BaseException:
                self._roll_back(session)
                raise
            return result

        return self._retry(attempt) if is_repeated else attempt()

    @staticmethod
    def _roll_back(session: Session) -> None:
        """Roll back without hiding the error that is being raised; if that fails, the session closes the connection."""
        with suppress(Exception):
            session.execute("ROLLBACK", None, doing="rollback", fetch=False)
