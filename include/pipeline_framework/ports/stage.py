"""The port to a stage: files of one window, and the manifest that lists them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.source import Extract, SourcePart, TimeUnit


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One file of a manifest.

    Attributes:
        key: Object key, relative to the stage's root.
        rows: Lines in the file.
        bytes: Size as stored (compressed).
        sha256: Hex digest of the stored bytes.
    """

    key: str
    rows: int
    bytes: int
    sha256: str


MAX_PARTS_IN_LEDGER = 100
"""The most parts of its source that a row of the ledger names; the row's manifest names all."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files that one fence staged for one window; written last, so its presence proves that all files are complete.

    Attributes:
        location: Key prefix of the files, ends with the fence; the manifest's own key is `<location>/manifest.json`.
        lifecycle_id: The ledger row.
        source_object: The ledger's key of the pipeline.
        window: The window that was read.
        fence: The fence under which it was staged.
        source_rows: The source's own count on the view that was read.
        fingerprint: Rows and hash sum of the staged lines.
        files: All files to load; a load never lists a prefix instead.
        quarantined: Count of documents put aside: `fingerprint.rows + quarantined == source_rows`.
        parts: The parts that the source consisted of.
        time_unit: The unit of the event times in the lines; None for lines of version 1, see `Stage`.
    """

    location: str
    lifecycle_id: int
    source_object: str
    window: TimeWindow
    fence: int
    source_rows: int
    fingerprint: Fingerprint
    files: tuple[StagedFile, ...]
    quarantined: int = 0
    parts: tuple[SourcePart, ...] = ()
    time_unit: TimeUnit | None = None

    @property
    def bytes(self) -> int:
        """Return the stored bytes of all files together."""
        return sum(file.bytes for file in self.files)

    def columns(self) -> dict[str, Any]:
        """Return the ledger's columns of a window that is staged."""
        return {
            "stage_location": self.location,
            "stage_file_count": len(self.files),
            "stage_byte_count": self.bytes,
            "staged_count": self.fingerprint.rows,
            "staged_fingerprint": self.fingerprint.hash_sum,
            "quarantined_count": self.quarantined,
            "source_count": self.source_rows,
            "source_parts": self._parts_with_rows(),
        }

    def _parts_with_rows(self) -> dict[str, str] | None:
        """Return name and identity of the parts that rows came from: a part without rows may come and go."""
        found = {part.name: part.identity for part in self.parts if part.rows != 0}
        return found if len(found) <= MAX_PARTS_IN_LEDGER else None


@dataclass(frozen=True, slots=True)
class StageRequest:
    """The window to stage, and the fence under which it is staged."""

    lifecycle_id: int
    source_object: str
    target_day: str
    window: TimeWindow
    fence: int


class Stage(Protocol):
    """Object storage between source and target: gzip-compressed NDJSON, one line per document.

    A staged line of version 2 is `{"_id": str, "_source": document, "sort": [any number, event time]}`: a hit of
    Elasticsearch, which may have other members, and the same shape from other sources. The event time is a whole number
    in the manifest's `time_unit`, the document has the bytes that the source sent. A line of version 1, which earlier
    builds wrote, is `{"_id": str, "_id_hash": int, "_event_at": text, "_lifecycle_id": int, "doc": document}` with the
    event time as ISO 8601 UTC with six digits of a second and a `Z`; it stays readable.
    """

    def write(self, request: StageRequest, extract: Extract, *, on_bad_document: str = "fail") -> Manifest:
        """Write every document of the extract, then the manifest, under a path that contains the fence.

        Args:
            request: Names the window and the fence.
            extract: It is read to its end; nothing counts as staged before it ended without an error.
            on_bad_document: With `fail`, a document that targets can't hold raises; with `quarantine`, it goes to
                `<location>/quarantine.ndjson` and is counted.

        Raises:
            BadDocumentError: With `fail`; the message names the document's id.
            ServiceUnavailableError: The storage did not answer.
        """
        ...

    def read_manifest(self, location: str, *, is_checked: bool = True) -> Manifest:
        """Return the manifest at a location, after checking that every file exists with its size and checksum.

        Args:
            location: The text that a manifest or `locations` has for it.
            is_checked: When False, the manifest is returned as it was written, and no file is looked at.

        Raises:
            TornStageError: There is no manifest, or a file is missing or differs.
        """
        ...

    def locations(self, source_object: str) -> list[str]:
        """Return every location of the source object that has a manifest, in order of the names."""
        ...

    def delete(self, location: str) -> int:
        """Delete everything under a location and return the number of objects; it is no error to delete none."""
        ...

    def uri(self, key: str) -> str:
        """Return the absolute address of a key, as a target's loader needs it (`s3://bucket/prefix/key`, `file:///…`)."""
        ...

    def open(self, key: str) -> AbstractContextManager[Any]:
        """Open a binary file object of the stored bytes, for targets that can't read the storage themselves."""
        ...
