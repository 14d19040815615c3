"""Show what a pipeline would do with a day; nothing is written, and the ledger is only read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.pipeline_framework.core.records.planning import plan_day
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.previews import TellsDefinitions, TellsQueries
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks.pipeline import Pipeline

DOCUMENTS = 3

Typed = Callable[[Document], Mapping[str, Any]]
"""Returns a document's typed columns as a target would load them; an `Exception` in place of a refused value."""


@dataclass(frozen=True, slots=True)
class PreviewedWindow:
    """A window of the day.

    Attributes:
        window: Its bounds.
        rows: What the source has in it now.
        status: Of its row in the ledger; None: it would be planned.
    """

    window: TimeWindow
    rows: int
    status: str | None


@dataclass(slots=True)
class Preview:
    """What a pipeline would do with a day.

    Attributes:
        day: The day.
        windows: Its windows as they are planned, or would be.
        shown: The first window that has rows; queries and documents are of it.
        queries: The requests that would read it.
        definitions: The statements that create the target's tables.
        documents: The first documents, each with its typed columns.
        looked_at: How many documents were tried as rows of the target.
        refused: Of these, how many a column can't hold, by the column's name and why.
        empty: Columns that are NULL in all of these.
    """

    day: LocalDay
    windows: list[PreviewedWindow]
    shown: TimeWindow | None = None
    queries: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    documents: list[tuple[Document, Mapping[str, Any]]] = field(default_factory=list)
    looked_at: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    empty: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Return the day's rows at the source."""
        return sum(one.rows for one in self.windows)


def preview(pipeline: Pipeline, day: LocalDay, typed: Typed) -> Preview:
    """Return the day's windows with their rows, and of the first one with rows what would be sent and loaded.

    Raises:
        InvalidInputError: The day is outside of the pipeline's horizon, or does not exist.
    """
    config = pipeline.config
    config.horizon.require(day, config.source_object)
    if day.window is None:
        raise InvalidInputError(f"{day} does not exist in {config.timezone}", remedy="Choose another day.")
    rows = pipeline.store.find(source_object=config.source_object, days=(day.date, day.date))
    status = {row.window: str(row.pipeline_final_status) for row in rows}
    windows = sorted({*status, *plan_day(day, config.window_granularity, list(status)).missing})
    counts = pipeline.source.histogram(TimeWindow(windows[0].start, windows[-1].end), windows)
    found = Preview(day, [PreviewedWindow(one.window, one.rows, status.get(one.window)) for one in counts])
    found.shown = next((one.window for one in found.windows if one.rows), None)
    if isinstance(pipeline.target, TellsDefinitions):
        found.definitions = pipeline.target.definitions()
    if isinstance(pipeline.source, TellsQueries):
        found.queries = pipeline.source.queries(found.shown or windows[0])
    if found.shown:
        _look_at_documents(found, pipeline, typed)
    return found


def _look_at_documents(found: Preview, pipeline: Pipeline, typed: Typed) -> None:
    if found.shown is None:
        return
    with pipeline.source.extract(found.shown) as extract:
        page = next((page for page in extract.pages() if page), [])  # a slice may have no row at all
    filled: dict[str, bool] = {}
    for document in page:
        values = typed(document)
        filled |= {name: filled.get(name, False) or value is not None for name, value in values.items()}
        found.looked_at += 1
        found.refused.update((name, str(value)) for name, value in values.items() if isinstance(value, Exception))
        if len(found.documents) < DOCUMENTS:
            found.documents.append((document, values))
    found.empty = [name for name, is_filled in filled.items() if not is_filled]
