"""The lines of staged files, see `Stage`: pages that come as lines, documents that become lines, and reading both.

A line is written only for a document that every target can hold; any other document is named in an error, before
anything is loaded.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, overload

import msgspec
from isal import igzip, isal_zlib

from include.pipeline_framework.core.proof.fingerprints import Fingerprint, id_hash, id_hashes
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.errors import BadDocumentError, TornStageError
from include.pipeline_framework.ports.source import Document, TimeUnit
from include.pipeline_framework.ports.stage import Manifest, Stage

PER_MICROSECOND: Mapping[TimeUnit, tuple[int, int]] = {"ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}
"""A unit's count is multiplied by the first number and divided by the second one to give whole microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_decoded = msgspec.json.Decoder(msgspec.Raw).decode
_ESCAPE = re.compile(rb"\\(u0000|.)", re.DOTALL)


class Line(msgspec.Struct, gc=False):
    """One line of version 2; `sort` has the event time second."""

    id: str = msgspec.field(name="_id")
    source: msgspec.Raw = msgspec.field(name="_source")
    sort: list[int]


LINES = msgspec.json.Decoder(Line)


class LinePage(Sequence[Document]):
    """A page of documents as lines of version 2, which are only taken apart for those who ask for documents.

    Args:
        ids: The documents' ids, in the order of the lines.
        text: The lines: valid JSON, except that nobody has looked whether strings are UTF-8; each ends with a line
            break, and there is no other one.
        time_unit: The unit of the event times.
    """

    __slots__ = ("_documents", "ids", "text", "time_unit")

    def __init__(self, ids: Sequence[str], text: bytes, time_unit: TimeUnit) -> None:
        self.ids, self.text, self.time_unit = ids, text, time_unit
        self._documents: list[Document] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Document: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Document]: ...

    def __getitem__(self, index: int | slice) -> Document | Sequence[Document]:
        if self._documents is None:
            lines = LINES.decode_lines(self.text)
            self._documents = [
                Document(line.id, _instant(line.sort[1], self.time_unit), bytes(line.source)) for line in lines
            ]
        return self._documents[index]


class LineWriter:
    """Turns the pages of one window into lines of version 2.

    Args:
        where: Pipeline and window, for messages.
        time_unit: The unit of the event times.
        max_line_bytes: Longest line without its line break; a loader reads a whole line into one value.
        refuse_nul: Refuse documents with a NUL character, which Postgres can't hold and Snowflake can.
    """

    def __init__(self, where: str, time_unit: TimeUnit, *, max_line_bytes: int, refuse_nul: bool) -> None:
        self._where, self._max_line_bytes, self._refuse_nul = where, max_line_bytes, refuse_nul
        self._unit = time_unit
        self._factor, self._divisor = PER_MICROSECOND[time_unit]

    def whole(self, page: Sequence[Document]) -> tuple[bytes, Fingerprint] | None:
        """Return the lines of a page that came as lines, if targets can hold them all; None: each has to be looked at.

        The checks are those of `line`, for the whole page at once.
        """
        if not isinstance(page, LinePage) or page.time_unit != self._unit:
            return None
        text = page.text
        if len(text) > self._max_line_bytes and max(map(len, text.split(b"\n"))) > self._max_line_bytes:
            return None
        if self._refuse_nul and b"\\u0000" in text:
            return None
        try:
            if not text.isascii():
                text.decode()
            return text, Fingerprint.of(page.ids)
        except UnicodeError:
            return None

    def line(self, document: Document) -> tuple[bytes, int]:
        """Return the line of one document, ending with its only line break, and the id's hash.

        Raises:
            BadDocumentError: A target can't hold the document; the message names its id.
        """
        body = document.body
        try:
            digest = id_hash(document.id)
        except UnicodeEncodeError as error:
            raise self._bad(document, "its id has half of a surrogate pair") from error
        try:
            _decoded(body)
            if not body.isascii():
                body.decode()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._bad(document, _fault(body)) from error
        if not body.startswith(b"{"):
            raise self._bad(document, "it is not a JSON object")
        if self._refuse_nul and (_has_nul(body) or "\0" in document.id):
            raise self._bad(document, "it has a NUL character")
        line = b'{"_id":%b,"_source":%b,"sort":[0,%d]}' % (
            msgspec.json.encode(document.id),
            body.translate(None, b"\r\n"),
            (document.event_at - _EPOCH) // _MICROSECOND * self._divisor // self._factor,
        )
        if len(line) > self._max_line_bytes:
            raise self._bad(document, f"it has {len(body):,} bytes and a line at most {self._max_line_bytes:,}")
        return line + b"\n", digest

    def quarantine_line(self, document: Document, reason: str) -> bytes:
        """Return a line for people: the document as text; bytes that are not UTF-8 become lone surrogates."""
        entry = {
            "_id": document.id,
            "_event_at": iso_utc(document.event_at),
            "reason": reason,
            "body": document.body.decode("utf-8", "surrogateescape"),
        }
        return json.dumps(entry).encode() + b"\n"

    def _bad(self, document: Document, reason: str) -> BadDocumentError:
        return BadDocumentError(
            f"Document {document.id!r} can't be loaded: {reason}",
            where=self._where,
            meaning="No target can hold it, and a window without it would not be complete",
            remedy="Correct or delete it at the source, or set on_bad_document: quarantine for the pipeline.",
        )


def _has_nul(body: bytes) -> bool:
    return b"\\u0000" in body and any(match[1] == b"u0000" for match in _ESCAPE.finditer(body))


def _fault(body: bytes) -> str:
    """Return why msgspec refused the document."""
    try:
        json.loads(body)
    except UnicodeDecodeError:
        return "it is not UTF-8"
    except RecursionError:
        return "it is nested too deeply"
    except ValueError:
        return "it is not valid JSON"
    return "it has half of a surrogate pair, or a value that is no JSON"


def _instant(count: int, unit: TimeUnit) -> datetime:
    """Return the instant, with finer parts than microseconds cut off."""
    factor, divisor = PER_MICROSECOND[unit]
    return _EPOCH + timedelta(0, 0, count * factor // divisor)


class StagedLine(msgspec.Struct, frozen=True):
    """One staged line of either version; `doc` is the document's JSON text, byte for byte.

    `event_at` is ISO 8601 UTC with six digits of a second and a `Z`.
    """

    id: str = msgspec.field(name="_id")
    id_hash: int = msgspec.field(name="_id_hash")
    event_at: str = msgspec.field(name="_event_at")
    doc: msgspec.Raw


_OLD_LINES = msgspec.json.Decoder(StagedLine)
_PAGE_BYTES = 512 * 1024
_BAD_GZIP: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # isal 1.9.1 calls the class an instance


@dataclass(frozen=True, slots=True)
class StagedPage:
    """Some staged lines of either version, one list for each member of `StagedLine`."""

    ids: Sequence[str]
    id_hashes: Sequence[int]
    event_times: Sequence[str]
    docs: Sequence[msgspec.Raw]


def staged_pages(manifest: Manifest, stage: Stage) -> Iterator[StagedPage]:
    """Yield every line of the manifest's files, in order, in pages of about half a megabyte.

    Raises:
        TornStageError: A file is missing, cut short, or holds something that is no staged line.
    """
    for file in manifest.files:
        try:
            with stage.open(file.key) as stored, igzip.open(stored) as lines:
                for text in _whole_lines(lines):
                    yield _page_of(text, manifest.time_unit)
        except (FileNotFoundError, EOFError, IndexError, gzip.BadGzipFile, _BAD_GZIP, msgspec.MsgspecError) as error:
            raise _damaged(f"can't be read ({type(error).__name__})", file.key) from error


def staged_lines(manifest: Manifest, stage: Stage) -> Iterator[StagedLine]:
    """Yield every line of the manifest's files, in order, see `staged_pages`."""
    for page in staged_pages(manifest, stage):
        yield from map(StagedLine, page.ids, page.id_hashes, page.event_times, page.docs)


def _whole_lines(file: Any) -> Iterator[bytes]:
    """Yield the file in pieces that end with a line, a line that is longer than a piece as one piece."""
    begun: list[bytes] = []
    while block := file.read(_PAGE_BYTES):
        whole, line_break, rest = block.rpartition(b"\n")
        if line_break:
            yield b"".join([*begun, whole])
            begun = []
        begun.append(rest)
    if last := b"".join(begun):
        yield last


def _page_of(text: bytes, unit: TimeUnit | None) -> StagedPage:
    if unit is None:
        old = _OLD_LINES.decode_lines(text)
        return StagedPage(
            [line.id for line in old],
            [line.id_hash for line in old],
            [line.event_at for line in old],
            [line.doc for line in old],
        )
    lines = LINES.decode_lines(text)
    ids = [line.id for line in lines]
    times = _times([line.sort[1] for line in lines], unit)
    return StagedPage(ids, id_hashes(ids), times, [line.source for line in lines])


def _times(counts: Sequence[int], unit: TimeUnit) -> list[str]:
    """Return the instants as text, see `StagedLine`, with finer parts than microseconds cut off."""
    factor, divisor = PER_MICROSECOND[unit]
    parts = [divmod(count * factor // divisor, 1_000_000) for count in counts]
    return [f"{_second(second)}.{micros:06d}Z" for second, micros in parts]


@lru_cache(maxsize=4_096)
def _second(count: int) -> str:
    """Return the second since 1970 as text, without a zone."""
    return (_EPOCH + timedelta(seconds=count)).replace(tzinfo=None).isoformat()


def _damaged(what: str, key: str) -> TornStageError:
    return TornStageError(
        f"a staged file {what}",
        where=key,
        meaning="The file is missing, cut short or damaged; nothing was changed in the target",
        remedy="Run the window again from its source.",
    )
