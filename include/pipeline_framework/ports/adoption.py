"""The port for adopting an older state table: one database transaction over that table and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from include.pipeline_framework.config.adoption_mapping import AdoptionMapping
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.restoring.adoption import Superseded
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.ledger import Record


class StateImport(Protocol):
    """One import of an older table, inside its transaction."""

    table: str
    notes: list[str]

    def now(self) -> datetime:
        """Return the time of the ledger's clock."""

    def sources(self) -> list[Record]:
        """Return one record per source.

        It has `source_object`, `total`, first and last start, `timezone`, `has_two_timezones` and `granularity`.

        Raises:
            InvalidInputError: Some rows are no windows of a source, or have unknown statuses; both are listed.
        """

    def import_rows(self, scopes: Mapping[str, Sequence[LocalDay]]) -> int:
        """Import the rows of some sources, each with the local days of all its rows; return how many were new."""

    def give_way(self, source_objects: Sequence[str]) -> list[Superseded]:
        """Invalidate the imported rows that live rows of the ledger stand in the way of, and return them.

        From here on the facts also have the ledger's rows; those have negative ids.
        """

    def facts(self, scopes: Sequence[StateScope], *, of_ledger: bool = False) -> dict[str, StateFacts]:
        """Return the facts of the imported rows, or of the ledger as this transaction sees it."""

    def rows_of_days(
        self, source_object: str, days: Sequence[LocalDay], *, of_ledger: bool = False
    ) -> list[tuple[int, TimeWindow]]:
        """Return id and window of the days' imported rows, or of the ledger's rows."""

    def invalidate(self, reasons: Mapping[int, str]) -> None:
        """Invalidate the rows with these ids, each for its reason."""

    def run_again(self, source_objects: Sequence[str]) -> None:
        """Have kept rows run again that overlapped an invalidated row which may have been loaded."""

    def latest_rows(self) -> dict[str, Record]:
        """Return the latest imported row of each source."""

    def derive(self, derived: Callable[[Record], Record]) -> None:
        """Fill the derived columns of rows that will be moved."""

    def adopt(self, defaults: Sequence[Record], actor: Actor) -> None:
        """Enter all imported rows in the ledger; `defaults` has a row per source for what its rows don't say."""

    def plan(self, rows: Sequence[Record], actor: Actor) -> None:
        """Insert planned rows, each with its `event_reason`."""

    def link_replaced(self, actor: Actor) -> None:
        """Link invalidated rows to the rows that now cover their time."""

    def counts(self) -> dict[str, Record]:
        """Return per source `total`, `kept`, `run_again`, `invalidated`, `in_progress`."""


class LedgerReading(Protocol):
    """Reads the ledger as it is at one moment."""

    def now(self) -> datetime:
        """Return the time of the ledger's clock."""

    def sources(self) -> dict[str, tuple[str, str]]:
        """Return each source that has live rows, with time zone and granularity of the latest row."""

    def facts(self, scopes: Sequence[StateScope]) -> dict[str, StateFacts]:
        """See `LifecycleStore.state_facts`."""

    def rows_of_days(self, source_object: str, days: Sequence[LocalDay]) -> list[tuple[int, TimeWindow]]:
        """See `LifecycleStore.rows_of_days`."""


class Importing(Protocol):
    """Opens an import that commits at its end when it `keeps`, and never after an exception."""

    def __call__(
        self, table: str, mapping: AdoptionMapping, *, adopts: bool, keeps: bool
    ) -> AbstractContextManager[StateImport]:
        """See `PostgresAdoption.importing`."""
