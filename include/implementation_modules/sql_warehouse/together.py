"""The transaction of a publish: one for all windows of a group, and in it each window's own decision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from include.implementation_modules.sql_warehouse import parameters, publishing, statements
from include.implementation_modules.sql_warehouse.publishing import Guarded
from include.implementation_modules.sql_warehouse.session import Session
from include.pipeline_framework.core.proof.receipts import LOAD, Receipt
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import FenceLostError, PipelineError, RowsWouldVanishError
from include.pipeline_framework.ports.target import PublishOutcome, PublishRequest, PublishResult

Outcomes = dict[int, PublishOutcome]
"""What became of each window, by its ledger row; a window that is left out needs a transaction of its own."""


class NothingPublishedError(Exception):
    """The transaction has nothing to commit: every window was refused, or has to be loaded first."""

    def __init__(self, outcomes: Outcomes) -> None:
        super().__init__("nothing to commit")
        self.outcomes = outcomes


@dataclass(frozen=True, slots=True)
class Asked:
    """A window to publish, and what an error says about its place."""

    request: PublishRequest
    where: str

    @property
    def row(self) -> int:
        """Return the ledger row."""
        return self.request.lifecycle_id

    @property
    def window(self) -> TimeWindow:
        """Return the window."""
        return self.request.window


@dataclass(frozen=True, slots=True)
class _Held:
    """A window whose receipts were read under the guard row."""

    asked: Asked
    found: Guarded

    @property
    def receipt(self) -> Receipt:
        """Return the receipt that the window's publish leaves."""
        request, manifest = self.asked.request, self.asked.request.manifest
        return Receipt(
            manifest.source_object,
            manifest.window,
            request.fence,
            request.lifecycle_id,
            LOAD,
            manifest.fingerprint,
            manifest.location,
            self.found.now,
        )


def publish_together(session: Session, group: Sequence[Asked], landed: Collection[int]) -> Outcomes:
    """Publish the windows of one source object; call it in a transaction, whose commit makes the outcomes true.

    Args:
        session: Its landing table has the rows of the ledger rows in `landed`, checked.
        group: The windows, see `publishing.fit_together`.
        landed: The ledger rows that were loaded; another one can only be found to be received already.

    Raises:
        NothingPublishedError: With the outcomes; roll back.
        TornStageError: A window does not hold what was inserted; roll back.
    """
    source_object = group[0].request.manifest.source_object
    outcomes: Outcomes = {}
    received, loading = list[_Held](), list[_Held]()
    taken = statements.take_guard(session, source_object, [asked.window for asked in group])
    for held in map(_Held, group, taken):
        asked, request = held.asked, held.asked.request
        try:
            publishing.require_fence(request.fence, held.found.floor, held.found.overlapping, asked.where)
        except FenceLostError as refusal:
            outcomes[asked.row] = refusal
            continue
        if publishing.received(request.manifest, held.found.overlapping):
            received.append(held)
        elif asked.row in landed:
            loading.append(held)
    vanishing = _would_vanish(session, loading)
    outcomes |= vanishing
    loading = [held for held in loading if held.asked.row not in vanishing]
    if not received and not loading:
        raise NothingPublishedError(outcomes)
    deleted = _emptied(session, loading)
    if loading:
        own_columns = [parameters.of_loading(held.asked.request) for held in loading]
        session.change_each("insert_rows", "loading_window", own_columns)
    written = [*loading, *received]
    counts = statements.count_windows(session, source_object, [held.asked.window for held in written])
    for number, (held, count) in enumerate(zip(written, counts, strict=True)):
        asked, is_loaded = held.asked, number < len(loading)
        if is_loaded:
            publishing.require_same(count, asked.request.manifest, publishing.AFTER_INSERT, asked.where)
        outcomes[asked.row] = PublishResult(
            held.receipt, count, deleted.get(asked.row, 0), already_received=not is_loaded
        )
    statements.write_receipts(session, [(held.receipt, held.found) for held in written])
    return outcomes


class NoFirstLoadError(PipelineError):
    """The windows have to be loaded with a private table between; roll back."""


def publish_first_load(session: Session, group: Sequence[Asked], write: Callable[[], None]) -> Outcomes:
    """Publish windows that nothing was ever loaded into; call it in a transaction, whose commit makes it true.

    The rows are written and counted before the guard row is taken: nobody sees them until the commit, and whoever
    changes the window meanwhile leaves a receipt.

    Args:
        session: Its connection has written nothing yet.
        group: The windows, see `publishing.fit_together`.
        write: Writes the rows of all windows into the target table.

    Raises:
        NoFirstLoadError: Something was loaded meanwhile, or two rows may have one id.
        TornStageError: A window does not hold exactly its manifest's rows.
        FenceLostError: A window has a newer start.
    """
    write()
    source_object, windows = group[0].request.manifest.source_object, [asked.window for asked in group]
    counts = statements.count_distinct(session, source_object, windows)
    for asked, (count, hashes) in zip(group, counts, strict=True):
        publishing.require_same(count, asked.request.manifest, publishing.AFTER_INSERT, asked.where)
        if hashes != count.rows and not asked.request.ids_repeat:
            raise _no_first_load(f"{count.rows} rows have {hashes} different id hashes", asked)
    taken = statements.take_guard(session, source_object, windows)
    held = [_Held(asked, found) for asked, found in zip(group, taken, strict=True)]
    for one in held:
        publishing.require_fence(one.asked.request.fence, one.found.floor, one.found.overlapping, one.asked.where)
        if one.found.overlapping:
            raise _no_first_load("the window has a receipt by now", one.asked)
    statements.write_receipts(session, [(one.receipt, one.found) for one in held])
    return {one.asked.row: PublishResult(one.receipt, count) for one, (count, _) in zip(held, counts, strict=True)}


def _no_first_load(what: str, asked: Asked) -> NoFirstLoadError:
    return NoFirstLoadError(
        what,
        where=asked.where,
        meaning="Somebody else has loaded it meanwhile, or ids repeat; nothing was changed",
        remedy="Nothing: the rows are loaded again through a private table, which finds out.",
    )


def _would_vanish(session: Session, loading: Sequence[_Held]) -> Outcomes:
    """Return the refusals of loads that would take more rows away than they may."""
    outcomes: Outcomes = {}
    asked = [
        (held.asked, removable)
        for held in loading
        if (removable := held.asked.request.removable) is not None
        and publishing.may_take_rows_away(held.found.overlapping, held.asked.request.replaced)
    ]
    bound = [
        {**parameters.of_window(one.request.manifest.source_object, one.window), "lifecycle_id": one.row}
        for one, _ in asked
    ]
    for (one, removable), ((held, vanishing),) in zip(asked, session.run_each("count_vanishing", bound), strict=True):
        try:
            publishing.require_kept(int(vanishing), int(held), removable, one.request.manifest, one.where)
        except RowsWouldVanishError as refusal:
            outcomes[one.row] = refusal
    return outcomes


def _emptied(session: Session, loading: Sequence[_Held]) -> dict[int, int]:
    """Delete what the windows hold and what replaced rows have loaded; return the numbers of rows.

    Of several windows most are empty: they are counted at once, and only those that hold something are deleted.
    """
    requests = [held.asked.request for held in loading]
    may_hold = [True] * len(requests)
    if len(requests) > 1:
        windows = [request.window for request in requests]
        counts = statements.count_windows(session, requests[0].manifest.source_object, windows)
        may_hold = [count.rows > 0 for count in counts]
    deleted = {}
    for held, request, is_held in zip(loading, requests, may_hold, strict=True):
        source_object = request.manifest.source_object
        if is_held or request.replaced:
            number = statements.delete_rows(session, source_object, request.window, request.replaced)
            deleted[request.lifecycle_id] = number
        if request.replaced:
            withdrawn = {
                **parameters.of_window(source_object, request.window),
                **parameters.of_replaced(request.window, request.replaced),
                "now": held.found.now,
            }
            session.change("withdraw_receipts", withdrawn)
    return deleted
