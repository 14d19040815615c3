"""The publish protocol over a DB-API connection; a subclass adds its dialect, its load and its errors.

The order of a publish makes it safe to die at any point; several windows take each step together:

1. read floor and receipts: an older fence ends here, and a manifest that was received already is not loaded again;
   else load its files into a session-private table, check rows and fingerprint: nothing shared has changed;
2. one transaction: update the source object's guard row (its lock orders all publishes and deletes of the source
   object), then, in the next statement, which sees what the previous holder committed, read floor and receipts;
3. delete, insert, count, receipt, commit: the rows and their proof appear together or not at all.

Where nothing was ever loaded into the windows, there is a shorter way for a database that can write rows straight into
the target table: in one transaction write and count them, update the guard row, read floor and receipts, write the
receipt. Nobody sees rows that are not committed. If anything is not as it should be, all is rolled back, and the steps
above decide.

Where a step fails for several windows, so that nobody can say which one is at fault, each takes all steps alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from include.implementation_modules.sql_warehouse import publishing, statements
from include.implementation_modules.sql_warehouse.answers import held_rows_of, receipt_of
from include.implementation_modules.sql_warehouse.session import Session
from include.implementation_modules.sql_warehouse.sessions import SqlSessions
from include.implementation_modules.sql_warehouse.statements import MissingObjectError
from include.implementation_modules.sql_warehouse.together import (
    Asked,
    NothingPublishedError,
    Outcomes,
    publish_first_load,
    publish_together,
)
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import DELETE, HeldRows, Receipt
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    FenceLostError,
    PipelineError,
    PublishConflictError,
    ServiceUnavailableError,
    TargetBusyError,
    TerminalError,
    TornStageError,
)
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.ports.target import PublishOutcome, PublishRequest, PublishResult
from include.sql.text import SqlFragment, quoted

Turn = Callable[[], AbstractContextManager[None]]

MOST_TOGETHER = 100
"""Windows of one transaction; each is a part of several statements, whose size databases limit."""

_log = structlog.get_logger(__name__)


class SqlTarget(SqlSessions):
    """`Target` on a SQL database."""

    locks_table = False
    _typed_columns: Mapping[str, str] = {}
    """SQL types of the pipeline's own columns, by their names in the database."""

    # --- the parts of a dialect ---------------------------------------------------------------------------------------

    @abstractmethod
    def _create_missing(self, session: Session) -> None:
        """Create tables that are missing; may fail with `PublishConflictError` when another session does the same."""

    @abstractmethod
    def _load(self, session: Session, manifests: Sequence[Manifest], stage: Stage) -> None:
        """Load the manifests' files into a session-private table, each row with the `_lifecycle_id` of its manifest.

        Raises:
            TornStageError: A file is missing or damaged.
            BadDocumentError: A value can't be cast to its typed column.
        """

    def _columns_there(self, session: Session) -> set[str]:
        """Return the names of the target table's columns, in lower case; asked where there are `_typed_columns`."""
        del session
        return set()

    def _writer(self, session: Session, requests: Sequence[PublishRequest], stage: Stage) -> Callable[[], None] | None:
        """Return what writes the requests' rows straight into the target table; None where the database can't.

        It is called in a transaction. Any error of the function makes the windows go through the private table.
        """
        del session, requests, stage
        return None

    def _require_no_refused(self, session: Session, manifest: Manifest, figures: Sequence[Any]) -> None:
        """Refuse rows of the manifest whose values can't be cast, where the load keeps them until here.

        Args:
            session: Its landing table has the rows.
            manifest: The manifest of the rows.
            figures: What `check_loaded` of this database finds beside the figures of all databases.
        """
        del session, manifest, figures

    def _explained(self, session: Session, error: BadDocumentError) -> BadDocumentError:
        """Return the refusal of an insert with document and column, if the database can name them."""
        del session
        return error

    # --- Target -------------------------------------------------------------------------------------------------------

    def prepare(self, source_object: str) -> None:
        """See `Target.prepare`; it is one statement when everything exists, two with typed columns."""
        with self._session(source_object) as session:
            if not self._has_guard(session, source_object):
                self._retry(lambda: self._create_missing(session))
                self._in_transaction(session, lambda: self._insert_guard(session, source_object))
            self._add_columns(session)

    def _add_columns(self, session: Session) -> None:
        """Add the typed columns that the table lacks: its pipeline's file had not all of them when it was created."""
        there = self._columns_there(session) if self._typed_columns else set()
        for column, sql_type in self._typed_columns.items():
            if column.lower() in there:
                continue
            text = session.text("add_column", {"added_column": quoted(column), "added_type": SqlFragment(sql_type)})
            try:
                self._retry(partial(session.execute, text, None, doing="add_column", fetch=False))
            except TerminalError as error:
                raise ConfigurationError(
                    f"{self._table} has no column {column!r}, and it can't be added: {error.what}",
                    where=session.where,
                    meaning="Nothing was claimed and nothing was changed",
                    remedy=f"Let the table's owner run: ALTER TABLE {self._table} ADD COLUMN {column} {sql_type}; "
                    "or take the column out of the pipeline's file.",
                ) from error
            _log.warning("column added", table=self._table, column=column, type=sql_type)

    def fingerprint(self, source_object: str, window: TimeWindow) -> Fingerprint:
        """See `Target.fingerprint`."""
        with self._session(source_object, window) as session:
            return statements.count_windows(session, source_object, [window])[0]

    def receipt(self, source_object: str, window: TimeWindow) -> Receipt | None:
        """See `Target.receipt`."""
        with self._session(source_object, window) as session:
            (found,) = statements.read_guarded(session, source_object, [window])
            return publishing.live_receipt(window, found.overlapping)

    def confirm(self, source_object: str, window: TimeWindow, *, fence: int) -> Receipt | None:
        """See `Target.confirm`."""
        with self._session(source_object, window) as session:
            confirmed: list[Receipt] = []

            def work() -> Receipt | None:
                (guarded,) = statements.take_guard(session, source_object, [window])
                publishing.require_fence(fence, guarded.floor, guarded.overlapping, session.where)
                live = publishing.live_load(window, guarded.overlapping)
                if live is None or live.fingerprint != statements.count_windows(session, source_object, [window])[0]:
                    return None
                confirmed[:] = [replace(live, fence=fence, written_at=guarded.now)]
                statements.write_receipts(session, [(confirmed[0], guarded)])
                return confirmed[0]

            return self._in_transaction(session, work, committed=lambda: not confirmed or self._is_written(confirmed))

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
            self._in_transaction(
                session, lambda: statements.require_guard(session, session.change("raise_floor", raised))
            )

    def publish(
        self, requests: Sequence[PublishRequest], stage: Stage, *, turn: Turn = nullcontext
    ) -> list[PublishOutcome]:
        """See `Target.publish`."""
        outcomes = list[PublishOutcome]()
        for first in range(0, len(requests), MOST_TOGETHER):
            group = requests[first : first + MOST_TOGETHER]
            found = self._together(group, stage, turn) if len(group) > 1 else {}
            outcomes += [found.get(number) or self._alone(one, stage, turn) for number, one in enumerate(group)]
        return outcomes

    def delete(self, source_object: str, window: TimeWindow, *, fence: int, lifecycle_id: int) -> int:
        """See `Target.delete`."""
        with self._session(source_object, window) as session:
            written: list[Receipt] = []

            def work() -> int:
                (guarded,) = statements.take_guard(session, source_object, [window])
                publishing.require_fence(fence, guarded.floor, guarded.overlapping, session.where)
                deleted = statements.delete_rows(session, source_object, window, {})
                written[:] = [
                    Receipt(source_object, window, fence, lifecycle_id, DELETE, Fingerprint(), "", guarded.now)
                ]
                statements.write_receipts(session, [(written[0], guarded)])
                return deleted

            return self._in_transaction(session, work, committed=lambda: self._is_written(written))

    # --- publishing ---------------------------------------------------------------------------------------------------

    def _together(self, requests: Sequence[PublishRequest], stage: Stage, turn: Turn) -> dict[int, PublishOutcome]:
        """Publish the windows in one transaction; return outcomes by number, none for a window that has to go alone."""
        if not publishing.fit_together(requests):
            return {}
        try:
            found = self._published(requests, stage, turn)
        except (ServiceUnavailableError, PublishConflictError, TargetBusyError) as error:
            return dict.fromkeys(range(len(requests)), error)
        except PipelineError as error:
            _log.warning("windows can't be published together; each is published alone", reason=str(error))
            return {}
        rows = [request.lifecycle_id for request in requests]
        return {number: found[row] for number, row in enumerate(rows) if row in found}

    def _alone(self, request: PublishRequest, stage: Stage, turn: Turn) -> PublishOutcome:
        try:
            return self._published([request], stage, turn)[request.lifecycle_id]
        except PipelineError as error:
            return error

    def _published(self, requests: Sequence[PublishRequest], stage: Stage, turn: Turn) -> Outcomes:
        """Publish windows that fit together: one load, one transaction; return the outcomes of those that it settles.

        Raises:
            PipelineError: What concerns all of the windows, or the only one; nothing was changed.
        """
        for request in requests:
            publishing.require_own_manifest(request.manifest, request.lifecycle_id)
        source_object, windows = requests[0].manifest.source_object, [request.window for request in requests]
        span = TimeWindow(min(window.start for window in windows), max(window.end for window in windows))
        with self._session(source_object, span, is_last=True) as session:
            refused: Outcomes = {}
            group, missing = list[Asked](), list[Asked]()
            known = statements.read_guarded(session, source_object, windows)
            for request, found in zip(requests, known, strict=True):
                asked = Asked(request, self.where(source_object, request.window))
                try:
                    publishing.require_fence(request.fence, found.floor, found.overlapping, asked.where)
                except FenceLostError as refusal:
                    refused[asked.row] = refusal
                    continue
                group.append(asked)
                if not publishing.received(request.manifest, found.overlapping):
                    missing.append(asked)
            if missing == group and _is_first_load(group, known):
                outcomes = self._first_loaded(session, group, stage, turn)
                if outcomes:
                    return refused | outcomes
            refused |= self._landed(session, missing, stage)
            group = [asked for asked in group if asked.row not in refused]
            landed = {asked.row for asked in missing} - set(refused)
            if not group:
                return refused
            with turn():
                outcomes = self._committed(session, group, landed)
                if not outcomes and len(group) == 1:  # what was received has been touched since it was read
                    refused |= self._landed(session, group, stage)
                    outcomes = {} if refused else self._committed(session, group, {group[0].row})
            return refused | outcomes

    def _landed(self, session: Session, group: Sequence[Asked], stage: Stage) -> Outcomes:
        """Load the windows' files and check them; return the refusals.

        Raises:
            TornStageError: Files and manifests disagree; of several windows, any of them may be at fault.
        """
        if not group:
            return {}
        self._load(session, [asked.request.manifest for asked in group], stage)
        found = {None if row is None else int(row): figures for row, *figures in session.run("check_loaded")}
        rows = {row: Fingerprint(int(figures[0]), int(figures[1])) for row, figures in found.items()}
        if strays := set(rows) - {asked.row for asked in group}:
            raise TornStageError(
                f"{sum(rows[row].rows for row in strays)} staged rows lie in none of the windows",
                where=session.where,
                meaning="A staged file is not what was staged; nothing was changed in the target",
                remedy="Run the window again from its source.",
            )
        for asked in group:
            counted = rows.get(asked.row, Fingerprint())
            publishing.require_same(counted, asked.request.manifest, "The staged files hold", asked.where)
        refused: Outcomes = {}
        for asked in group:
            try:
                self._require_loadable(session, asked, found.get(asked.row, [0, 0, 0]))
            except BadDocumentError as refusal:
                refused[asked.row] = refusal
        return refused

    def _require_loadable(self, session: Session, asked: Asked, figures: Sequence[Any]) -> None:
        manifest, (count, _, ids, *others) = asked.request.manifest, figures
        self._require_no_refused(session, manifest, others)
        if int(count) != int(ids) and not asked.request.ids_repeat:
            document_id, times = session.run("find_repeated", {"lifecycle_id": asked.row})[0]
            publishing.require_distinct((str(document_id), int(times)), manifest, asked.where)

    def _first_loaded(self, session: Session, group: Sequence[Asked], stage: Stage, turn: Turn) -> Outcomes:
        """Publish windows that nothing was loaded into the short way; return nothing when they have to go the other."""
        try:
            write = self._writer(session, [asked.request for asked in group], stage)
            if write is None:
                return {}
            with turn():
                return self._in_one(session, lambda: publish_first_load(session, group, write), is_repeated=False)
        except (ServiceUnavailableError, TargetBusyError):
            raise
        except PipelineError as error:
            _log.info("loading again through a private table", reason=str(error))
            return {}

    def _committed(self, session: Session, group: Sequence[Asked], landed: set[int]) -> Outcomes:
        try:
            return self._in_one(session, lambda: publish_together(session, group, landed))
        except NothingPublishedError as nothing:
            return nothing.outcomes
        except BadDocumentError as error:
            raise self._explained(session, error) from error.__cause__

    def _in_one(self, session: Session, publish: Callable[[], Outcomes], *, is_repeated: bool = True) -> Outcomes:
        """Publish in one transaction; a lost answer to its COMMIT is settled by the receipts."""
        outcomes: list[Outcomes] = []  # of the last attempt: a lost answer is about this one

        def work() -> Outcomes:
            outcomes[:] = [publish()]
            return outcomes[0]

        def is_committed() -> bool:
            results = [result for result in outcomes[0].values() if isinstance(result, PublishResult)]
            return self._is_written([result.receipt for result in results])

        return self._in_transaction(session, work, committed=is_committed, is_repeated=is_repeated)

    def _is_written(self, receipts: Sequence[Receipt]) -> bool:
        """Ask on a new connection whether a transaction's receipts were committed: a lost answer decides nothing.

        One of them is enough: they were written in one transaction, and a newer start may have written over others.
        """
        source_object, windows = receipts[0].source_object, [receipt.window for receipt in receipts]
        with self._session(source_object, windows[0], is_first=True) as session:
            known = statements.read_guarded(session, source_object, windows)
        for receipt, found in zip(receipts, known, strict=True):
            exact = publishing.exact_receipt(receipt.window, found.overlapping)
            if exact is not None and replace(exact, written_at=receipt.written_at) == receipt:
                return True
        return False

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


def _is_first_load(group: Sequence[Asked], known: Sequence[publishing.Guarded]) -> bool:
    """Return whether nothing was ever loaded into the windows, and the publish deletes nothing."""
    is_new = not any(found.overlapping for found in known)
    return bool(group) and is_new and not any(asked.request.replaced for asked in group)
