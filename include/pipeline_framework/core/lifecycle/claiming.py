"""Limit how many windows a claim takes, and whose: limits of concurrency, and the share that backfills never get."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from include.pipeline_framework.core.records.ledger_row import LedgerRow


@dataclass(frozen=True, slots=True)
class Cap:
    """Allows at most `limit` windows in progress among the rows with the given column values; None: any value.

    >>> Cap(3, source_name="elasticsearch").name
    'source_name=elasticsearch'
    """

    limit: int
    source_object: str | None = None
    source_name: str | None = None
    target_name: str | None = None
    target_object: str | None = None

    @property
    def columns(self) -> dict[str, str | None]:
        """Return the ledger's columns and the values that they must have."""
        names = ("source_object", "source_name", "target_name", "target_object")
        return {name: getattr(self, name) for name in names}

    @property
    def name(self) -> str:
        """Return a text that is the same for every claim that this limit concerns: claims take turns under it."""
        return ",".join(f"{name}={value}" for name, value in self.columns.items() if value is not None)

    def concerns(self, row: LedgerRow) -> bool:
        """True when a ledger row counts toward this limit."""
        if self.target_name is not None and row.target_object != self.target_object:
            return False
        return all(getattr(row, name) == value for name, value in self.columns.items() if value is not None)


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """The rules that a claim has to respect beside its own limit.

    Attributes:
        caps: Limits of windows in progress, exact under claims at once.
        scheduled_share_percent: Part of every claim that is kept for windows of no campaign, as long as there are any.
        any_campaign: The windows were asked for explicitly, so they are claimed from any campaign, even a paused one.
        not_after: Windows whose `phase_completed` is one of these are left out: they are as far as was asked for.
    """

    caps: tuple[Cap, ...] = ()
    scheduled_share_percent: int = 50
    any_campaign: bool = False
    not_after: tuple[str, ...] = ()


NO_RULES = ClaimRules()
"""Rules without limits; backfills get at most half of a claim while scheduled windows wait."""


def allot(
    slots: int, share_percent: int, scheduled: Sequence[LedgerRow], campaigns: Iterable[Sequence[LedgerRow]]
) -> list[LedgerRow]:
    """Return the candidates that a claim takes: first the share of scheduled ones, then all others by priority.

    Slots that one side can't use go to the other one. At equal priority, scheduled windows come first.

    Args:
        slots: The most windows that the claim takes.
        share_percent: Share of the slots, rounded up, that is for scheduled windows.
        scheduled: Windows of no campaign, in claim order.
        campaigns: For each running campaign its claimable windows, in its order; the most important campaign first.

    >>> from types import SimpleNamespace
    >>> row = lambda name, priority=0: SimpleNamespace(name=name, priority=priority)
    >>> [r.name for r in allot(3, 50, [row("a"), row("b"), row("c")], [[row("x", 1), row("y", 1)]])]
    ['a', 'b', 'x']
    """
    reserved = math.ceil(slots * share_percent / 100)
    first, rest = list(scheduled[:reserved]), list(scheduled[reserved:])
    others = sorted([*rest, *(row for rows in campaigns for row in rows)], key=lambda row: -row.priority)
    return [*first, *others][:slots]
