"""A target in memory: the same rules as the real ones, for tests of what uses a target."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from include.implementation_modules.sql_warehouse import publishing
from include.implementation_modules.sql_warehouse.answers import TICK
from include.implementation_modules.sql_warehouse.columns import (
    Columns,
    Name,
    convert,
    parse_document,
    refused_value,
    value_at,
)
from include.implementation_modules.staged_lines import staged_lines
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import DELETE, LOAD, HeldRows, Receipt
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import ConfigurationError, PipelineError
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.ports.target import PublishOutcome, PublishRequest, PublishResult

Row = dict[str, Any]
Turn = Callable[[], AbstractContextManager[None]]
_CLOCK = datetime(2013, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _State:
    """Everything that a transaction can change; replaced as a whole by its commit."""

    rows: tuple[Row, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    floors: tuple[tuple[str, int], ...] = ()


class MemoryTarget:
    """`Target` in this process; safe to share between threads.

    Args:
        connect: Not used; every target is built the same way.
        options: The pipeline's target settings.
        clock: What `written_at` shows.

    Attributes:
        before_commit: Called before a transaction takes effect; tests let it raise.
        after_commit: Called after it took effect; tests let it raise, as if the answer were lost.
    """

    locks_table = False

    class Options(BaseModel):
        """Settings of a target in memory."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        table: Name = Field(default="memory", description="Name for messages.")
        columns: Columns = Field(default=(), description="Typed columns: name to type, or to {type, path, format}.")

    def __init__(
        self,
        connect: Callable[[], Any] | None = None,
        options: Options | None = None,
        *,
        clock: Callable[[], datetime] = lambda: _CLOCK,
    ) -> None:
        self._options = options or self.Options()
        self._state = _State()
        self._lock = threading.RLock()
        self._clock = clock
        self.before_commit: Callable[[], None] = lambda: None
        self.after_commit: Callable[[], None] = lambda: None

    @property
    def rows(self) -> list[Row]:
        """The table's rows by column name."""
        return [dict(row) for row in self._state.rows]

    def connected(self) -> AbstractContextManager[None]:
        """Nothing is open."""
        return nullcontext()

    def prepare(self, source_object: str) -> None:
        """See `Target.prepare`."""
        with self._lock:
            if source_object not in dict(self._state.floors):
                self._state = replace(self._state, floors=(*self._state.floors, (source_object, 0)))

    def fingerprint(self, source_object: str, window: TimeWindow) -> Fingerprint:
        """See `Target.fingerprint`."""
        return _fingerprint(row for row in self._state.rows if _lies_in(row, source_object, window))

    def receipt(self, source_object: str, window: TimeWindow) -> Receipt | None:
        """See `Target.receipt`."""
        return publishing.live_receipt(window, self._overlapping(source_object, window))

    def confirm(self, source_object: str, window: TimeWindow, *, fence: int) -> Receipt | None:
        """See `Target.confirm`."""
        where = f"{source_object} {window} in {self._options.table}"
        with self._transaction():
            overlapping = self._overlapping(source_object, window)
            publishing.require_fence(fence, self._floor(source_object), overlapping, where)
            live = publishing.live_load(window, overlapping)
            if live is None or live.fingerprint != self.fingerprint(source_object, window):
                return None
            confirmed = replace(live, fence=fence, written_at=self._clock())
            self._write(confirmed)
            return confirmed

    def receipts(self, source_object: str) -> list[Receipt]:
        """See `Target.receipts`."""
        own = [receipt for receipt in self._state.receipts if receipt.source_object == source_object]
        return sorted(own, key=lambda receipt: receipt.window)

    def held_rows(self, source_object: str) -> list[HeldRows]:
        """See `Target.held_rows`."""
        with self._lock:
            rows = [row for row in self._state.rows if row["_source_object"] == source_object]
            loads = [receipt.window for receipt in self.receipts(source_object) if receipt.kind == LOAD]
        held = []
        for lifecycle_id in sorted({row["_lifecycle_id"] for row in rows}):
            own = [row for row in rows if row["_lifecycle_id"] == lifecycle_id]
            times = [row["_event_at"] for row in own]
            span = TimeWindow(min(times), max(times) + TICK)
            held.append(HeldRows(lifecycle_id, _fingerprint(own), span, is_total=True))
            for window in loads:
                inside = _fingerprint(row for row in own if window.contains(row["_event_at"]))
                held += [HeldRows(lifecycle_id, inside, window)] if inside.rows else []
        return held

    def fence_floor(self, source_object: str) -> int:
        """See `Target.fence_floor`."""
        return dict(self._state.floors).get(source_object, 0)

    def raise_floor(self, source_object: str, floor: int) -> None:
        """See `Target.raise_floor`."""
        with self._lock:
            floors = dict(self._state.floors)
            floors[source_object] = max(self._floor(source_object), floor)
            self._state = replace(self._state, floors=tuple(floors.items()))

    def publish(
        self, requests: Sequence[PublishRequest], stage: Stage, *, turn: Turn = nullcontext
    ) -> list[PublishOutcome]:
        """See `Target.publish`; one window after the other."""
        outcomes = list[PublishOutcome]()
        for request in requests:
            try:
                outcomes.append(self.publish_one(request, stage, turn))
            except PipelineError as error:
                outcomes.append(error)
        return outcomes

    def publish_one(self, request: PublishRequest, stage: Stage, turn: Turn) -> PublishResult:
        """Publish one window, or raise its error."""
        manifest, fence, lifecycle_id = request.manifest, request.fence, request.lifecycle_id
        replaced, ids_repeat, removable = request.replaced, request.ids_repeat, request.removable
        publishing.require_own_manifest(manifest, lifecycle_id)
        source_object, window = manifest.source_object, manifest.window
        where = f"{source_object} {window} in {self._options.table}"
        loading = list[Row]()
        if not publishing.received(manifest, self._overlapping(source_object, window)):
            loading = self._load(manifest, stage, fence, where, ids_repeat=ids_repeat)
        with turn(), self._transaction():
            overlapping = self._overlapping(source_object, window)
            publishing.require_fence(fence, self._floor(source_object), overlapping, where)
            receipt = Receipt(
                source_object,
                window,
                fence,
                lifecycle_id,
                LOAD,
                manifest.fingerprint,
                manifest.location,
                self._clock(),
            )
            if publishing.received(manifest, overlapping):
                self._write(receipt)
                return PublishResult(receipt, self.fingerprint(source_object, window), already_received=True)
            loading = loading or self._load(manifest, stage, fence, where, ids_repeat=ids_repeat)
            if removable is not None and publishing.may_take_rows_away(overlapping, replaced):
                held = [row["_id"] for row in self._state.rows if _lies_in(row, source_object, window)]
                vanishing = len(set(held) - {row["_id"] for row in loading})
                publishing.require_kept(vanishing, len(held), removable, manifest, where)
            deleted = self._delete(source_object, window, replaced)
            self._withdraw(source_object, replaced)
            self._state = replace(self._state, rows=(*self._state.rows, *loading))
            loaded = self.fingerprint(source_object, window)
            publishing.require_same(loaded, manifest, publishing.AFTER_INSERT, where)
            self._write(receipt)
            return PublishResult(receipt, loaded, deleted)

    def delete(self, source_object: str, window: TimeWindow, *, fence: int, lifecycle_id: int) -> int:
        """See `Target.delete`."""
        where = f"{source_object} {window} in {self._options.table}"
        with self._transaction():
            publishing.require_fence(fence, self._floor(source_object), self._overlapping(source_object, window), where)
            deleted = self._delete(source_object, window, {})
            self._write(Receipt(source_object, window, fence, lifecycle_id, DELETE, Fingerprint(), "", self._clock()))
            return deleted

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            before = self._state
            try:
                yield
                self.before_commit()
            except BaseException:
                self._state = before
                raise
            self.after_commit()

    def _load(self, manifest: Manifest, stage: Stage, fence: int, where: str, *, ids_repeat: bool) -> list[Row]:
        loading = list(self._typed_rows(manifest, stage, fence, where))
        publishing.require_same(_fingerprint(loading), manifest, "The staged files hold", where)
        times = Counter(row["_id"] for row in loading)
        if not ids_repeat:
            repeated = min(((name, number) for name, number in times.items() if number > 1), default=None)
            publishing.require_distinct(repeated, manifest, where)
        return loading

    def _typed_rows(self, manifest: Manifest, stage: Stage, fence: int, where: str) -> Iterator[Row]:
        for line in staged_lines(manifest, stage):
            document = parse_document(bytes(line.doc))
            row = {
                "_source_object": manifest.source_object,
                "_id": line.id,
                "_id_hash": line.id_hash,
                "_event_at": datetime.fromisoformat(line.event_at),
                "_lifecycle_id": manifest.lifecycle_id,
                "_fence": fence,
                "_file": publishing.lineage(manifest),
                "doc": json.loads(bytes(line.doc)),
            }
            for column in self._options.columns:
                try:
                    row[column.name] = convert(value_at(document, column.path), column.type, column.format)
                except ValueError as error:
                    raise refused_value(line.id, column, where) from error
            yield row

    def _floor(self, source_object: str) -> int:
        floors = dict(self._state.floors)
        if source_object not in floors:
            raise ConfigurationError(
                "the target has no guard row for this source object",
                where=f"{source_object} in {self._options.table}",
                remedy="Call prepare() for this source object before anything publishes in parallel.",
            )
        return floors[source_object]

    def _overlapping(self, source_object: str, window: TimeWindow) -> list[Receipt]:
        return [receipt for receipt in self.receipts(source_object) if receipt.window.overlaps(window)]

    def _delete(self, source_object: str, window: TimeWindow, replaced: Mapping[int, TimeWindow]) -> int:
        span = publishing.span_of(replaced)
        kept = tuple(
            row
            for row in self._state.rows
            if row["_source_object"] != source_object
            or not (
                _lies_in(row, source_object, window)
                or (span and row["_lifecycle_id"] in replaced and span.contains(row["_event_at"]))
            )
        )
        deleted = len(self._state.rows) - len(kept)
        self._state = replace(self._state, rows=kept)
        return deleted

    def _withdraw(self, source_object: str, replaced: Mapping[int, TimeWindow]) -> None:
        span = publishing.span_of(replaced)
        receipts = tuple(
            replace(receipt, kind=DELETE, fingerprint=Fingerprint(), manifest="", written_at=self._clock())
            if receipt.source_object == source_object
            and span
            and receipt.lifecycle_id in replaced
            and receipt.window.overlaps(span)
            else receipt
            for receipt in self._state.receipts
        )
        self._state = replace(self._state, receipts=receipts)

    def _write(self, receipt: Receipt) -> None:
        others = tuple(
            other
            for other in self._state.receipts
            if (other.source_object, other.window) != (receipt.source_object, receipt.window)
        )
        self._state = replace(self._state, receipts=(*others, receipt))


def _lies_in(row: Row, source_object: str, window: TimeWindow) -> bool:
    return row["_source_object"] == source_object and window.contains(row["_event_at"])


def _fingerprint(rows: Any) -> Fingerprint:
    hashes = [row["_id_hash"] for row in rows]
    return Fingerprint(len(hashes), sum(hashes))
