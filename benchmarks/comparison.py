"""What a benchmark returns: the same work done by the product, the build before, a floor and peers, in one run.

A benchmark is a module with `measure(*, is_short: bool, base: Path | None) -> list[Comparison]`; `base` is a checkout
of the build to compare with, None: without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["product", "before", "floor", "peer", "tried"]
"""`before` is the build to compare with; `tried` is a variant of the product that lost."""


@dataclass(frozen=True)
class Measured:
    """One way to do the work.

    Attributes:
        what: What was run, for people.
        role: Its part in the comparison.
        figures: By the name of the figure with its unit, such as `client CPU-s`, `wall s`, `RSS MB`, `statements`.
    """

    what: str
    role: Role
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """Several ways to do the same work.

    Attributes:
        name: Heading in the table.
        per: What the figures are for, such as "a million documents of 440 bytes".
        command: The command that prints this table alone.
        rows: The ways.
        figure: The figure whose ratios are shown, and drawn.
        notes: Sentences about how it was measured.
        pictures: Further pictures in SVG, by their title.
    """

    name: str
    per: str
    command: str
    rows: list[Measured]
    figure: str
    notes: list[str] = field(default_factory=list)
    pictures: Mapping[str, str] = field(default_factory=dict)

    def ratio(self, row: Measured, to: Measured) -> float | None:
        """Return how many times as much the row takes; None when either has no such figure."""
        mine, theirs = row.figures.get(self.figure), to.figures.get(self.figure)
        return None if mine is None or not theirs else mine / theirs
