"""Limit how many loaded rows may be deleted before a person agrees.

A source can show less than it held without an error: an index is closed, an alias points elsewhere, a right was
removed, a replica lags. Loading a window again from such a source replaces good rows by fewer ones, and every count
agrees afterwards. So a load that is repeated automatically has a limit, and beyond it a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VanishedDataLimit:
    """The rows that may be deleted without a question; either bound suffices, both are inclusive.

    >>> VanishedDataLimit(rows=0, percent=1).of(950)
    9
    """

    rows: int = 0
    percent: float = 0.0

    def of(self, held: int) -> int:
        """Return how many of `held` rows may be deleted; never more than there are."""
        return min(held, max(self.rows, int(held * self.percent / 100)))


def lost_parts(loaded_from: Mapping[str, str] | None, there_now: Mapping[str, str]) -> list[str]:
    """Return the parts a window was loaded from that the source no longer has, as texts for people.

    Args:
        loaded_from: Name and identity of the parts that held the window's rows; None: they were not recorded.
        there_now: Name and identity of every part of the source.

    >>> lost_parts({"logs-a": "u1", "logs-b": "u2"}, {"logs-a": "u9"})
    ['logs-a is another one now', 'logs-b is not there any more']
    """
    lost = []
    for name, identity in sorted((loaded_from or {}).items()):
        if name not in there_now:
            lost.append(f"{name} is not there any more")
        elif there_now[name] != identity:
            lost.append(f"{name} is another one now")
    return lost
