"""How far a run is with the windows that it has claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import FINISHED, Status


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The live windows of a run, of one claim or of several.

    Attributes:
        rows: The ledger's rows, as the run has left them or as they are now.
        waiting: How many further windows of its range are due, and not claimed yet.
    """

    rows: tuple[LedgerRow, ...] = ()
    waiting: int = 0
    counts: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", Counter(str(row.pipeline_final_status) for row in self.rows))

    @classmethod
    def of(cls, rows: Iterable[LedgerRow], waiting: int = 0) -> RunProgress:
        """Leave out what was replaced: of a window that was cut, its pieces count."""
        return cls(tuple(sorted((row for row in rows if row.is_live), key=lambda row: row.window)), waiting)

    @property
    def total(self) -> int:
        """Return how many windows there are to load, claimed or not."""
        return len(self.rows) + self.waiting

    @property
    def ended(self) -> list[LedgerRow]:
        """Return the windows that this run will do nothing more for: all but those in progress."""
        return [row for row in self.rows if row.pipeline_final_status != Status.IN_PROGRESS]

    @property
    def running(self) -> list[LedgerRow]:
        """Return the windows in progress."""
        return [row for row in self.rows if row.pipeline_final_status == Status.IN_PROGRESS]

    @property
    def unfinished(self) -> list[LedgerRow]:
        """Return the windows that are neither completed nor skipped."""
        return [row for row in self.rows if row.pipeline_final_status not in FINISHED]

    @property
    def loaded_rows(self) -> int:
        """Return how many rows the target holds of the windows that are finished."""
        return sum(row.target_count or 0 for row in self.rows if row.pipeline_final_status in FINISHED)

    def seconds_to_go(self, seconds: float) -> float | None:
        """Return how long the rest takes at the pace so far; None before the first window has ended.

        Args:
            seconds: Since the windows were claimed.
        """
        ended = len(self.ended)
        return seconds / ended * (self.total - ended) if ended else None

    def sentence(self) -> str:
        """Return the numbers in words.

        >>> RunProgress().sentence()
        'no window'
        """
        if not self.rows:
            return "no window"
        told = ", ".join(f"{number:,} {status.lower().replace('_', ' ')}" for status, number in self.counts.items())
        return f"{len(self.rows):,} window{'s' if len(self.rows) > 1 else ''}: {told}; {self.loaded_rows:,} rows"
