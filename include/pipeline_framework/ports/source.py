"""The port to a source: documents of a window, counts, and the parts that the source consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow

TimeUnit = Literal["ms", "us", "ns"]
"""The unit of a staged event time, counted since 1970: milliseconds, microseconds or nanoseconds."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document as the source sent it.

    Attributes:
        id: The source's own id, unique in the source object.
        event_at: The source's normalised event time (UTC, microseconds, finer parts cut off); no text is parsed again.
        body: JSON text of the document, UTF-8 bytes exactly as the source sent them (line breaks between tokens may
            have been removed, so that it fits on one line).
    """

    id: str
    event_at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class BucketCount:
    """Rows whose event time lies in `window`."""

    window: TimeWindow
    rows: int


@dataclass(frozen=True, slots=True)
class SourcePart:
    """An index, a table or another part that a source consists of.

    Attributes:
        name: The source's own name for it.
        identity: A text that another part of the same name would not have (an index's uuid, a server's identifier).
        rows: Rows of the window; None when the source doesn't count them by part.
    """

    name: str
    identity: str
    rows: int | None = None


class Extract(Protocol):
    """One complete read of one window from one consistent view of the source."""

    expected_rows: int
    """The source's own count of the window on that view, known before the first page."""

    parts: Sequence[SourcePart]
    """Every part of that view, with or without rows of the window."""

    time_unit: TimeUnit
    """The unit in which event times are staged: the source's own, at least as fine as its event times are here."""

    def pages(self) -> Iterator[Sequence[Document]]:
        """Return every document of the window exactly once, in pages; the source chooses the order.

        A page that is a `staged_lines.LinePage` has its documents as the lines of a staged file already.

        Raises:
            IncompleteExtractError: Partial results, failed shards, or fewer or more rows than `expected_rows`: raised
                at the latest after the last page, so a caller that sees the iterator end has everything.
            BadDocumentError: A document has several values in its time field; the message names it.
            ServiceUnavailableError: The source did not answer.
        """
        ...


class Source(Protocol):
    """Reads and never writes. Every answer is complete or an error: a count from half of the shards is an error.

    A source that shows less than it holds without saying so (closed indices, rows hidden by rights, documents that are
    not visible yet, a replica that lags) is refused as far as it can be asked; docs/GUARANTEES.md says how far that is.
    """

    settle: timedelta | None
    """How long windows rest after their end before they are read (`x_time_back`): rows that the source shows later than
    that would be missing. The wiring sets it. None: not known, so only what is never shown can be refused."""

    def parts(self) -> Mapping[str, str]:
        """Return name and identity of every part that the source has now; see `SourcePart`."""
        ...

    def count(self, window: TimeWindow) -> int:
        """Count the rows whose event time lies in the window now."""
        ...

    def count_undated(self) -> int:
        """Count the documents without a usable event time: they belong to no window and are only reported."""
        ...

    def fingerprint(self, window: TimeWindow) -> Fingerprint:
        """Return count and id-hash sum of the window now; reads every id of the window."""
        ...

    def histogram(self, window: TimeWindow, buckets: Sequence[TimeWindow]) -> list[BucketCount]:
        """Count the rows per bucket with one request; the buckets tile (a part of) the window."""
        ...

    def extract(self, window: TimeWindow) -> AbstractContextManager[Extract]:
        """Open a consistent view of the window; leaving the context releases it at the source."""
        ...
