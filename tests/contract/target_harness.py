"""What a target's author gives the contract suite: how a target is built, looked into, and broken at COMMIT."""

from __future__ import annotations

import copy
import json
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.source import Document, TimeUnit
from include.pipeline_framework.ports.stage import Manifest, Stage, StageRequest
from tests.contract.faulty_connections import Faults, FaultyConnection
from tests.doubles.memory_transfer import MemoryExtract, MemoryStage
from tests.publishing import publish_one

HOUR = timedelta(hours=1)
NOON = datetime(2013, 3, 9, 12, tzinfo=UTC)
FLIGHTS = "flights"
COLUMNS = {"origin": "text", "delay": {"type": "integer", "path": "flight.delay"}}

Row = dict[str, Any]


def window(first: float = 0, last: float = 1) -> TimeWindow:
    """Hours after noon."""
    return TimeWindow(NOON + first * HOUR, NOON + last * HOUR)


def document(name: str, at: datetime = NOON, **content: Any) -> Document:
    return Document(name, at, json.dumps({"origin": "JFK", "flight": {"delay": 5}} | content).encode())


def documents(count: int, within: TimeWindow | None = None, prefix: str = "d") -> list[Document]:
    within = within or window()
    step = within.duration / max(count, 1)
    return [document(f"{prefix}-{within.start:%H%M}-{n}", within.start + n * step) for n in range(count)]


class TargetHarness(ABC):
    """One target table that nobody has prepared, ways to look into it, and ways to break its COMMIT.

    Args:
        stage: Where the suite stages what it publishes; `MemoryStage()` unless the target itself reads the stage.
        faults: What `build` gives to every target that it makes; see `faulty_connections`.

    Attributes:
        target: The target under test.
    """

    def __init__(self, stage: Stage, faults: Faults) -> None:
        self.stage, self.faults = stage, faults
        self._fences: Iterator[int] = iter(range(10, 10_000))
        self.target = self.build()

    # --- what an author writes ----------------------------------------------------------------------------------------

    @abstractmethod
    def build(self, columns: Any = COLUMNS, table: str | None = None, guard_wait_seconds: float = 20) -> Any:
        """Return a target of these typed columns: on the table under test, or on another one that does not exist."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """Return the rows of the table under test, by names in lower case.

        Instants are `datetime` (without a zone they count as UTC), days `date`, truth values `bool`, absent ones None.
        `doc` is the parsed document or its text.
        """

    @abstractmethod
    def remove_row(self, row_id: str) -> None:
        """Remove a row behind the target's back."""

    # --- what the suite uses ------------------------------------------------------------------------------------------

    def another(self, **options: Any) -> TargetHarness:
        """The same place under a target of other options; see `build`."""
        found = copy.copy(self)
        found.target = self.build(**options)
        return found

    def staged(
        self,
        content: Sequence[Document],
        within: TimeWindow | None = None,
        row: int = 1,
        source: str = FLIGHTS,
        time_unit: TimeUnit = "us",
    ) -> Manifest:
        within, fence = within or window(), next(self._fences)
        inside = [item for item in content if within.contains(item.event_at)]
        extract = MemoryExtract(len(inside), inside, page_size=1_000, time_unit=time_unit)
        return self.stage.write(StageRequest(row, source, "2013-03-09", within, fence), extract)

    def publish(self, manifest: Manifest, fence: int | None = None, **arguments: Any) -> Any:
        fence = fence or manifest.fence
        return publish_one(
            self.target, manifest, self.stage, fence=fence, lifecycle_id=manifest.lifecycle_id, **arguments
        )

    def load(self, content: Sequence[Document], within: TimeWindow | None = None, **arguments: Any) -> Any:
        return self.publish(self.staged(content, within, **arguments))

    def ids(self) -> list[str]:
        return sorted(row["_id"] for row in self.rows())


class SqlTargetHarness(TargetHarness):
    """A harness for a subclass of `SqlTarget`; `rows` may need an override where a driver gives no Python values.

    Args:
        adapter: The target's class; its `Options` have `table`, `columns` and `guard_wait_seconds`.
        connect: Returns a new DB-API connection.
        unanswered: Returns the error that the driver raises when the connection is lost.
        stage: As `TargetHarness`'s; in memory when left out.
        options: Further options of the adapter.

    Attributes:
        table: The table under test, as SQL spells it; a new name for every harness.
        PLACEHOLDER: How the driver spells a parameter by position.
    """

    PLACEHOLDER: ClassVar[str] = "%s"

    def __init__(
        self,
        adapter: Any,
        connect: Callable[[], Any],
        unanswered: Callable[[], Exception],
        stage: Stage | None = None,
        **options: Any,
    ) -> None:
        self.table = "flights_" + uuid.uuid4().hex[:8]
        self.connect = connect
        self._adapter, self._options = adapter, options
        super().__init__(stage or MemoryStage(), Faults(unanswered))

    def build(self, columns: Any = COLUMNS, table: str | None = None, guard_wait_seconds: float = 20) -> Any:
        options = self._adapter.Options(
            table=table or self.table, columns=columns, guard_wait_seconds=guard_wait_seconds, **self._options
        )
        return self._adapter(lambda: FaultyConnection(self.connect(), self.faults), options)

    def rows(self) -> list[Row]:
        return self.select(f"SELECT * FROM {self.table}")

    def remove_row(self, row_id: str) -> None:
        connection = self.connect()
        try:
            connection.cursor().execute(f"DELETE FROM {self.table} WHERE _id = {self.PLACEHOLDER}", (row_id,))
            connection.commit()
        finally:
            connection.close()

    def select(self, query: str) -> list[Row]:
        """Return a query's rows by names in lower case."""
        connection = self.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(query)
            names = [column[0].lower() for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            connection.close()


def in_threads(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Results or errors in the calls' order; all start together."""
    outcomes: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(index: int) -> None:
        start.wait()
        try:
            outcomes[index] = calls[index]()
        except Exception as error:  # noqa: BLE001 - a thread's error is its outcome
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
