"""The publish protocol over a DB-API connection; a subclass adds its dialect, its load and its errors.

The order of a publish makes it safe to die at any point:

1. read floor and receipts: an older fence ends here, and a manifest that was received already is not loaded again;
   else load its files into a session-private table, check rows and fingerprint: nothing shared has changed;
2. one transaction: update the source object's guard row (its lock orders all publishes and deletes of the source
   object), then, in the next statement, which sees what the previous holder committed, read floor and receipts;
3. delete, insert, count, receipt, commit: the rows and their proof appear together or not at all.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from include.implementation_modules.sql_warehouse import parameters, publishing
from include.implementation_modules.sql_warehouse.answers import held_rows_of, receipt_of, utc
from include.implementation_modules.sql_warehouse.session import Session
from include.implementation_modules.sql_warehouse.sessions import SqlSessions
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import DELETE, LOAD, HeldRows, Receipt
from include.pipeline_framework.core.proof.vanishing import VanishedDataLimit
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
)
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.ports.target import PublishResult


class MissingObjectError(ConfigurationError):
    """A table, column or stage that a statement names does not exist, or the role can't see it."""


class _NotLoadedError(Exception):
    """The receipt that made a load needless is no longer the newest."""


class SqlTarget(SqlSessions):
    """`Target` on a SQL database."""

    locks_table = False

    # --- the parts of a dialect ---------------------------------------------------------------------------------------

    @abstractmethod
    def _create_missing(self, session: Session) -> None:
        """Create tables that are missing; may fail with `PublishConflictError` when another session does the same."""

    @abstractmethod
    def _load(self, session: Session, manifest: Manifest, stage: Stage) -> int:
        """Load the manifest's files into a session-private table and check rows, fingerprint and casts there.

        Returns:
            The number of rows whose id another row has as well.
        """

    def _explained(self, session: Session, error: BadDocumentError) -> BadDocumentError:
        """Return the refusal of an insert with document and column, if the database can name them."""
        del session
        return error

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
            raised = {"source_object": source_object, "floor": floor}
            self._in_transaction(session, lambda: self._require_guard(session, session.change("raise_floor", raised)))

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
        with self._session(manifest.source_object, manifest.window, is_last=True) as session:
            known = self._read_receipts(session, manifest.source_object, manifest.window)
            publishing.require_fence(fence, known.floor, known.overlapping, session.where)
            is_loaded = not publishing.received(manifest, known.overlapping)
            if is_loaded:
                self._load_checked(session, manifest, stage, ids_repeat=ids_repeat)
            outcome: list[PublishResult] = []  # of the last attempt: a lost answer to COMMIT is about this one

            def work() -> PublishResult:
                outcome[:] = [self._publish(session, manifest, fence, replaced or {}, removable, is_loaded=is_loaded)]
                return outcome[0]

            def commit() -> PublishResult:
                return self._in_transaction(session, work, committed=lambda: self._is_written(outcome[0].receipt))

            with turn():
                try:
                    try:
                        return commit()
                    except _NotLoadedError:  # what was received has been touched since it was read
                        self._load_checked(session, manifest, stage, ids_repeat=ids_repeat)
                        is_loaded = True
                        return commit()
                except BadDocumentError as error:
                    raise self._explained(session, error) from error.__cause__

    def _load_checked(self, session: Session, manifest: Manifest, stage: Stage, *, ids_repeat: bool) -> None:
        if self._load(session, manifest, stage) and not ids_repeat:
            document_id, times = session.run("find_repeated")[0]
            publishing.require_distinct((str(document_id), int(times)), manifest, session.where)

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
        *,
        is_loaded: bool,
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
        if not is_loaded:
            raise _NotLoadedError
        if removable is not None and publishing.may_take_rows_away(guarded.overlapping, replaced):
            held, vanishing = session.run("count_vanishing", parameters.of_window(source_object, window))[0]
            publishing.require_kept(int(vanishing), int(held), removable, manifest, session.where)
        deleted = self._delete_rows(session, source_object, window, replaced)
        if replaced:
            withdrawn = {
                **parameters.of_window(source_object, window),
                **parameters.of_replaced(window, replaced),
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
        rows = session.run("read_receipts", parameters.of_window(source_object, window))
        guards = [row for row in rows if row[0] == "guard"]
        receipts = tuple(receipt_of(row) for row in rows if row[0] != "guard")
        now = utc(rows[0][-1]) if rows else datetime.min.replace(tzinfo=UTC)
        return publishing.Guarded(now, max((int(row[9]) for row in guards), default=0), receipts)

    def _write_receipt(self, session: Session, receipt: Receipt, guarded: publishing.Guarded) -> None:
        exists = publishing.exact_receipt(receipt.window, guarded.overlapping) is not None
        session.change("update_receipt" if exists else "insert_receipt", parameters.of_receipt(receipt))

    def _delete_rows(
        self, session: Session, source_object: str, window: TimeWindow, replaced: Mapping[int, TimeWindow]
    ) -> int:
        bound = {**parameters.of_window(source_object, window), **parameters.of_replaced(window, replaced)}
        return session.change("delete_rows", bound)

    def _count(self, session: Session, source_object: str, window: TimeWindow) -> Fingerprint:
        rows, hash_sum = session.run("count_window", parameters.of_window(source_object, window))[0]
        return Fingerprint(int(rows), int(hash_sum))

    def _is_written(self, receipt: Receipt) -> bool:
        """Ask on a new connection whether the receipt was committed: a lost answer to COMMIT decides nothing."""
        with self._session(receipt.source_object, receipt.window, is_first=True) as session:
            found = self._read_receipts(session, receipt.source_object, receipt.window).overlapping
        exact = publishing.exact_receipt(receipt.window, found)
        return exact is not None and replace(exact, written_at=receipt.written_at) == receipt

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
