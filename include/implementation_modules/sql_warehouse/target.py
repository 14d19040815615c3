"""The publish protocol over a DB-API connection; a subclass adds its dialect, its load and its errors.

The order of a publish makes it safe to die at any point:

1. load the manifest's files into a session-private table, check rows and fingerprint: nothing shared has changed;
2. one transaction: update the source object's guard row (its lock orders all publishes and deletes of the source
   object), then, in the next statement, which sees what the previous holder committed, read floor and receipts;
3. delete, insert, count, receipt, commit: the rows and their proof appear together or not at all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from include.implementation_modules.sql_warehouse import publishing
from include.implementation_modules.sql_warehouse.answers import held_rows_of, receipt_of, utc
from include.implementation_modules.sql_warehouse.dialect import Dialect
from include.implementation_modules.sql_warehouse.session import Session
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import DELETE, LOAD, HeldRows, Receipt
from include.pipeline_framework.core.proof.vanishing import VanishedDataLimit
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    PipelineError,
    PublishConflictError,
    ServiceUnavailableError,
)
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.ports.target import PublishResult
from include.sql.text import SqlFragment

T = TypeVar("T")


class MissingObjectError(ConfigurationError):
    """A table, column or stage that a statement names does not exist, or the role can't see it."""


class SqlTarget(ABC):
    """`Target` on a SQL database.

    Args:
        connect: Returns a new DB-API connection; the target closes it.
        table: The target table's name, for messages.
        fragments: The identifiers that the statements name.
        guard_wait_seconds: Longest wait for the guard row.
    """

    DIALECT: ClassVar[Dialect]
    locks_table = False

    def __init__(
        self, connect: Callable[[], Any], *, table: str, fragments: Mapping[str, SqlFragment], guard_wait_seconds: float
    ) -> None:
        self._connect = connect
        self._table = table
        self._fragments = fragments
        self._guard_wait_seconds = guard_wait_seconds

    # --- the parts of a dialect ---------------------------------------------------------------------------------------

    @abstractmethod
    def _set_up(self, session: Session) -> None:
        """Put a new connection into autocommit, and bound its waits for locks."""

    @abstractmethod
    def _create_missing(self, session: Session) -> None:
        """Create tables that are missing; may fail with `PublishConflictError` when another session does the same."""

    @abstractmethod
    def _load(self, session: Session, manifest: Manifest, stage: Stage) -> int:
        """Load the manifest's files into a session-private table and check rows, fingerprint and casts there.

        Returns:
            The number of rows whose id another row has as well.
        """

    @abstractmethod
    def _translate(self, error: Exception, where: str) -> PipelineError | None:
        """Return the framework's error for an error of the client library; None for any other error."""

    def _explained(self, session: Session, error: BadDocumentError) -> BadDocumentError:
        """Return the refusal of an insert with document and column, if the database can name them."""
        del session
        return error

    def _session_fragments(self) -> Mapping[str, SqlFragment]:
        """Return the identifiers that differ from session to session."""
        return {}

    # --- Target -------------------------------------------------------------------------------------------------------

    def prepare(self, source_object: str) -> None:
        """See `Target.prepare`; it is one statement when everything exists."""
        with self._session(source_object) as session:
            if not self._has_guard(session, source_object):
                self._retry(lambda: self._create_missing(session))
                self._in_transaction(session, lambda: self._insert_guard(session, source_object))

    def fingerprint(self, source_object: str, window: TimeWindow) -> Fingerprint:
        """See `Target.fingerprint`."""
        with self._session(source_object, window) as session:
            return self._count(session, source_object, window)

    def receipt(self, source_object: str, window: TimeWindow) -> Receipt | None:
        """See `Target.receipt`."""
        with self._session(source_object, window) as session:
            return publishing.live_receipt(window, self._read_receipts(session, source_object, window).overlapping)

    def confirm(self, source_object: str, window: TimeWindow, *, fence: int) -> Receipt | None:
        """See `Target.confirm`."""
        with self._session(source_object, window) as session:
            confirmed: list[Receipt] = []

            def work() -> Receipt | None:
                guarded = self._take_guard(session, source_object, window)
                publishing.require_fence(fence, guarded.floor, guarded.overlapping, session.where)
                live = publishing.live_load(window, guarded.overlapping)
                if live is None or live.fingerprint != self._count(session, source_object, window):
                    return None
                confirmed[:] = [replace(live, fence=fence, written_at=guarded.now)]
                self._write_receipt(session, confirmed[0], guarded)
                return confirmed[0]

            return self._in_transaction(
                session, work, committed=lambda: not confirmed or self._is_written(confirmed[0])
            )

    def receipts(self, source_object: str) -> list[Receipt]:
        """See `Target.receipts`."""
        return [receipt_of(row) for row in self._read_prepared("all_receipts", source_object)]

    def held_rows(self, source_object: str) -> list[HeldRows]:
        """See `Target.held_rows`."""
        return [held_rows_of(row) for row in self._read_prepared("held_rows", source_object)]

    def fence_floor(self, source_object: str) -> int:
        """See `Target.fence_floor`."""
        return max((int(floor) for (floor,) in self._read_prepared("read_guard", source_object)), default=0)

    def raise_floor(self, source_object: str, floor: int) -> None:
        """See `Target.raise_floor`."""
        with self._session(source_object) as session:
            parameters = {"source_object": source_object, "floor": floor}
            self._in_transaction(
                session, lambda: self._require_guard(session, session.change("raise_floor", parameters))
            )

    def publish(
        self,
        manifest: Manifest,
        stage: Stage,
        *,
        fence: int,
        lifecycle_id: int,
        replaced: Mapping[int, TimeWindow] | None = None,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
        ids_repeat: bool = False,
        removable: VanishedDataLimit | None = None,
    ) -> PublishResult:
        """See `Target.publish`."""
        publishing.require_own_manifest(manifest, lifecycle_id)
        with self._session(manifest.source_object, manifest.window) as session:
            if self._load(session, manifest, stage) and not ids_repeat:
                document_id, times = session.run("find_repeated")[0]
                publishing.require_distinct((str(document_id), int(times)), manifest, session.where)
            outcome: list[PublishResult] = []  # of the last attempt: a lost answer to COMMIT is about this one

            def work() -> PublishResult:
                outcome[:] = [self._publish(session, manifest, fence, replaced or {}, removable)]
                return outcome[0]

            with turn():
                try:
                    return self._in_transaction(session, work, committed=lambda: self._is_written(outcome[0].receipt))
                except BadDocumentError as error:
                    raise self._explained(session, error) from error.__cause__

    def delete(self, source_object: str, window: TimeWindow, *, fence: int, lifecycle_id: int) -> int:
        """See `Target.delete`."""
        with self._session(source_object, window) as session:
            written: list[Receipt] = []

            def work() -> int:
                guarded = self._take_guard(session, source_object, window)
                publishing.require_fence(fence, guarded.floor, guarded.overlapping, session.where)
                deleted = self._delete_rows(session, source_object, window, {})
                written[:] = [
                    Receipt(source_object, window, fence, lifecycle_id, DELETE, Fingerprint(), "", guarded.now)
                ]
                self._write_receipt(session, written[0], guarded)
                return deleted

            return self._in_transaction(session, work, committed=lambda: self._is_written(written[0]))

    # --- inside the transaction ---------------------------------------------------------------------------------------

    def _publish(
        self,
        session: Session,
        manifest: Manifest,
        fence: int,
        replaced: Mapping[int, TimeWindow],
        removable: VanishedDataLimit | None,
    ) -> PublishResult:
        source_object, window = manifest.source_object, manifest.window
        guarded = self._take_guard(session, source_object, window)
        publishing.require_fence(fence, guarded.floor, guarded.overlapping, session.where)
        receipt = Receipt(
            source_object,
            window,
            fence,
            manifest.lifecycle_id,
            LOAD,
            manifest.fingerprint,
            manifest.location,
            guarded.now,
        )
        if publishing.received(manifest, guarded.overlapping):
            self._write_receipt(session, receipt, guarded)
            return PublishResult(receipt, self._count(session, source_object, window), already_received=True)
        if removable is not None and publishing.may_take_rows_away(guarded.overlapping, replaced):
            held, vanishing = session.run("count_vanishing", self._range(source_object, window))[0]
            publishing.require_kept(int(vanishing), int(held), removable, manifest, session.where)
        deleted = self._delete_rows(session, source_object, window, replaced)
        if replaced:
            withdrawn = {
                **self._range(source_object, window),
                **self._replaced(window, replaced),
                "now": guarded.now,
            }
            session.change("withdraw_receipts", withdrawn)
        session.change("insert_rows", publishing.row_columns(manifest, fence))
        loaded = self._count(session, source_object, window)
        publishing.require_same(loaded, manifest, publishing.AFTER_INSERT, session.where)
        self._write_receipt(session, receipt, guarded)
        return PublishResult(receipt, loaded, deleted)

    def _take_guard(self, session: Session, source_object: str, window: TimeWindow) -> publishing.Guarded:
        self._require_guard(session, session.change("take_guard", {"source_object": source_object}))
        return self._read_receipts(session, source_object, window)

    def _require_guard(self, session: Session, updated: int) -> None:
        if updated < 1:
            raise MissingObjectError(
                f"the receipts table of {self._table} has no guard row for this source object",
                where=session.where,
                meaning="Without it two publishes could run at once; nothing was changed",
                remedy="Call prepare() for this source object before anything publishes in parallel.",
            )

    def _read_receipts(self, session: Session, source_object: str, window: TimeWindow) -> publishing.Guarded:
        rows = session.run("read_receipts", self._range(source_object, window))
        guards = [row for row in rows if row[0] == "guard"]
        receipts = tuple(receipt_of(row) for row in rows if row[0] != "guard")
        now = utc(rows[0][-1]) if rows else datetime.min.replace(tzinfo=UTC)
        return publishing.Guarded(now, max((int(row[9]) for row in guards), default=0), receipts)

    def _write_receipt(self, session: Session, receipt: Receipt, guarded: publishing.Guarded) -> None:
        exists = publishing.exact_receipt(receipt.window, guarded.overlapping) is not None
        parameters = {
            **self._range(receipt.source_object, receipt.window),
            "kind": receipt.kind,
            "fence": receipt.fence,
            "lifecycle_id": receipt.lifecycle_id,
            "row_count": receipt.fingerprint.rows,
            "hash_sum": receipt.fingerprint.hash_sum,
            "manifest": receipt.manifest,
            "now": receipt.written_at,
        }
        session.change("update_receipt" if exists else "insert_receipt", parameters)

    def _delete_rows(
        self, session: Session, source_object: str, window: TimeWindow, replaced: Mapping[int, TimeWindow]
    ) -> int:
        return session.change("delete_rows", {**self._range(source_object, window), **self._replaced(window, replaced)})

    def _replaced(self, window: TimeWindow, replaced: Mapping[int, TimeWindow]) -> dict[str, Any]:
        """Return ids of replaced ledger rows and the span of their windows; another ledger may have used these ids."""
        span = publishing.span_of(replaced) or window
        return {
            "replaced": list(replaced) or [None],
            "replaced_start": span.start,
            "replaced_end": span.end,
        }

    def _count(self, session: Session, source_object: str, window: TimeWindow) -> Fingerprint:
        rows, hash_sum = session.run("count_window", self._range(source_object, window))[0]
        return Fingerprint(int(rows), int(hash_sum))

    def _is_written(self, receipt: Receipt) -> bool:
        """Ask on a new connection whether the receipt was committed: a lost answer to COMMIT decides nothing."""
        with self._session(receipt.source_object, receipt.window) as session:
            found = self._read_receipts(session, receipt.source_object, receipt.window).overlapping
        exact = publishing.exact_receipt(receipt.window, found)
        return exact is not None and replace(exact, written_at=receipt.written_at) == receipt

    # --- connections, transactions ------------------------------------------------------------------------------------

    @contextmanager
    def _session(self, source_object: str, window: TimeWindow | None = None) -> Iterator[Session]:
        where = f"{source_object} {window or ''}".rstrip() + f" in {self._table}"
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
            yield session
        finally:
            session.close()

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
        self, session: Session, work: Callable[[], T], committed: Callable[[], bool] | None = None
    ) -> T:
        """Run `work` between BEGIN and COMMIT, again after a conflict; any other error causes a rollback and is raised.

        Args:
            session: Its connection is in autocommit.
            work: Its statements; called once per attempt.
            committed: Called when COMMIT got no answer; without it the error is raised.
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

        return self._retry(attempt)

    @staticmethod
    def _roll_back(session: Session) -> None:
        """Roll back without hiding the error that is being raised; if that fails, the session closes the connection."""
        with suppress(Exception):
            session.execute("ROLLBACK", None, doing="rollback", fetch=False)

    def _read_prepared(self, name: str, source_object: str) -> list[Any]:
        """Return the rows of a statement that reads the source object; none while its tables are missing."""
        with self._session(source_object) as session, suppress(MissingObjectError):
            return session.run(name, {"source_object": source_object})
        return []

    def _has_guard(self, session: Session, source_object: str) -> bool:
        try:
            return bool(session.run("read_guard", {"source_object": source_object}))
        except MissingObjectError:
            return False

    def _insert_guard(self, session: Session, source_object: str) -> None:
        """Insert the guard row unless it exists; call it in a transaction."""
        session.run("insert_guard", {"source_object": source_object})

    # --- values -------------------------------------------------------------------------------------------------------

    def _range(self, source_object: str, window: TimeWindow) -> dict[str, Any]:
        return {"source_object": source_object, "start": window.start, "end": window.end}
