"""In-memory source and stage: doubles that keep the promises of their ports, for tests and for trying things out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from include.implementation_modules.object_storage.stage import ObjectStorageStage, ObjectStorageStageOptions
from include.implementation_modules.object_storage.storage import StoredObject
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import IncompleteExtractError
from include.pipeline_framework.ports.source import BucketCount, Document, SourcePart, TimeUnit


class MemorySourceOptions(BaseModel):
    """How the double pages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page_size: int = Field(default=1_000, ge=1, description="Documents in one page.")


@dataclass(frozen=True)
class MemoryExtract:
    """A window as it was when the extract was opened."""

    expected_rows: int
    documents: Sequence[Document]
    page_size: int
    parts: Sequence[SourcePart] = ()
    time_unit: TimeUnit = "us"

    def pages(self) -> Iterator[Sequence[Document]]:
        """Every document once; IncompleteExtractError at the end when there are not as many as expected.

        The first page is empty, as that of a slice of Elasticsearch's without rows is.
        """
        yield ()
        for first in range(0, len(self.documents), self.page_size):
            yield self.documents[first : first + self.page_size]
        if len(self.documents) != self.expected_rows:
            raise IncompleteExtractError(
                f"{len(self.documents)} documents came, {self.expected_rows} were counted",
                where="memory source",
                meaning="The extract has a hole or a double and is thrown away",
                remedy="Extract again.",
            )


class MemorySource:
    """Documents in a dict by id; change `documents` between calls to play late data, updates and deletes.

    Args:
        documents: What the source holds.
        options: Page size.

    Attributes:
        undated: Ids of documents without a usable event time.
        lost_rows: Documents that each next extract counts and then doesn't deliver, as a failing shard would.
        fault: Raised by every call while it is set: a source that is down.
        consists_of: Name and identity of its parts.
    """

    Options = MemorySourceOptions
    settle: timedelta | None = None

    def __init__(self, documents: Iterable[Document] = (), options: MemorySourceOptions | None = None) -> None:
        self.options = options or MemorySourceOptions()
        self.documents = {document.id: document for document in documents}
        self.undated: set[str] = set()
        self.lost_rows = 0
        self.fault: Exception | None = None
        self.consists_of = {"memory": "1"}

    def parts(self) -> dict[str, str]:
        """Name and identity of its parts."""
        self._raise_fault()
        return dict(self.consists_of)

    def add(self, *documents: Document) -> None:
        """Insert, or replace by id."""
        self.documents |= {document.id: document for document in documents}

    def count(self, window: TimeWindow) -> int:
        """Rows of the window now."""
        return len(self._within(window))

    def count_undated(self) -> int:
        """Documents that belong to no window."""
        self._raise_fault()
        return len(self.undated)

    def fingerprint(self, window: TimeWindow) -> Fingerprint:
        """Count and id-hash sum of the window now."""
        return Fingerprint.of(document.id for document in self._within(window))

    def histogram(self, window: TimeWindow, buckets: Sequence[TimeWindow]) -> list[BucketCount]:
        """Rows per bucket, in the buckets' order."""
        times = [document.event_at for document in self._within(window)]
        return [BucketCount(bucket, sum(map(bucket.contains, times))) for bucket in buckets]

    @contextmanager
    def extract(self, window: TimeWindow) -> Iterator[MemoryExtract]:
        """A snapshot: what changes afterwards is not seen."""
        documents = self._within(window)
        delivered = documents[: max(0, len(documents) - self.lost_rows)]
        parts = [SourcePart(name, identity) for name, identity in self.consists_of.items()]
        yield MemoryExtract(len(documents), delivered, self.options.page_size, parts)

    def _within(self, window: TimeWindow) -> list[Document]:
        self._raise_fault()
        return [document for document in self.documents.values() if window.contains(document.event_at)]

    def _raise_fault(self) -> None:
        if self.fault is not None:
            raise self.fault


class MemoryStorage:
    """Object storage in a dict of bytes by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, content: BinaryIO, *, size: int, md5: bytes, sha256: bytes) -> None:
        """Keep the bytes."""
        self.objects[key] = content.read()

    def known_sha256(self, key: str) -> str | None:
        """None: a dict keeps no checksums."""

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """The bytes as a file; FileNotFoundError for an unknown key."""
        if key not in self.objects:
            raise FileNotFoundError(key)
        yield io.BytesIO(self.objects[key])

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Keys in order."""
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield StoredObject(key, len(self.objects[key]))

    def delete(self, keys: Iterable[str]) -> int:
        """Forget keys."""
        wanted = list(keys)
        for key in wanted:
            self.objects.pop(key, None)
        return len(wanted)

    def uri(self, key: str) -> str:
        """`memory:///key`."""
        return f"memory:///{key}"


class MemoryStage(ObjectStorageStage):
    """The object-storage stage over a dict.

    Args:
        options: Limits; the bucket is a name only.

    Attributes:
        storage: What was staged, by key (with the prefix): `stage.storage.objects`.
    """

    def __init__(self, options: ObjectStorageStageOptions | None = None) -> None:
        self.storage = MemoryStorage()
        super().__init__(self.storage, options or ObjectStorageStageOptions(bucket="memory"))
