"""Make rows for windows, as far as each window can have one; a window that can't have one does not stop the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.planning import RowMaker
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import TerminalError
from include.pipeline_framework.ports.ledger import Record


@dataclass(slots=True)
class Placed:
    """The rows to insert, and one text for each window that has none."""

    rows: list[Record] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def place(config: PipelineConfig, windows: Iterable[TimeWindow]) -> Placed:
    """Make a row for every window, without those that the pipeline's own functions or templates refuse."""
    maker, placed = RowMaker(config.final_config(), deriving), Placed()
    for window in windows:
        try:
            placed.rows.append(maker.row(window))
        except TerminalError as error:
            placed.left.append(told(config, f"the window {window} is not planned", error))
    return placed


def told(config: PipelineConfig, what: str, error: TerminalError) -> str:
    """Return a text that says what stays unchanged, and why."""
    return f"{config.source_object}: {what}: {error}"
