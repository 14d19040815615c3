"""One staged line per document: `{"_id", "_id_hash", "_event_at", "_lifecycle_id", "doc"}`, `doc` as it was sent.

A line is written only for a document that every target can hold; any other document is named in an error, before
anything is loaded.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from include.pipeline_framework.core.proof.fingerprints import id_hash
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.errors import BadDocumentError, TornStageError
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.ports.stage import Manifest, Stage

_decoded = msgspec.json.Decoder(msgspec.Raw).decode
_ESCAPE = re.compile(rb"\\(u0000|.)", re.DOTALL)
_WITHOUT_FRACTION = len('"2013-03-09T05:00:00Z"')
_WITH_FRACTION = len('"2013-03-09T05:00:00.000000Z"')


class LineWriter:
    """Turns documents into the lines of one window.

    Args:
        lifecycle_id: The ledger row, carried in every line.
        where: Pipeline and window, for messages.
        max_line_bytes: Longest line without its line break; a loader reads a whole line into one value.
        refuse_nul: Refuse documents with a NUL character, which Postgres can't hold and Snowflake can.
    """

    def __init__(self, lifecycle_id: int, where: str, *, max_line_bytes: int, refuse_nul: bool) -> None:
        self._where, self._max_line_bytes, self._refuse_nul = where, max_line_bytes, refuse_nul
        self._after_time = b',"_lifecycle_id":%d,"doc":' % lifecycle_id
        self._lifecycle_id = lifecycle_id

    def line(self, document: Document) -> tuple[bytes, int]:
        """Return the line, ending with a line break, and the id's hash; `joined` removes line breaks inside it.

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
        line = b'{"_id":%b,"_id_hash":%d,"_event_at":%b%b%b}\n' % (
            msgspec.json.encode(document.id),
            digest,
            _rendered(document.event_at),
            self._after_time,
            body,
        )
        if len(line) > self._max_line_bytes:
            raise self._bad(document, f"it has {len(body):,} bytes and a line at most {self._max_line_bytes:,}")
        return line, digest

    def quarantine_line(self, document: Document, reason: str) -> bytes:
        """Return a line for people: the document as text; bytes that are not UTF-8 become lone surrogates."""
        entry = {
            "_id": document.id,
            "_event_at": iso_utc(document.event_at),
            "_lifecycle_id": self._lifecycle_id,
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


def joined(lines: list[bytes]) -> bytes:
    """Return the lines one after the other; line breaks between the tokens of a document are removed."""
    text = b"".join(lines)
    if text.count(b"\n") == len(lines) and b"\r" not in text:
        return text
    return b"".join(line.translate(None, b"\r\n") + b"\n" for line in lines)


def _rendered(event_at: datetime) -> bytes:
    """Return ISO 8601 in quotes, UTC, with six decimals; msgspec does this four times as fast as isoformat."""
    rendered = msgspec.json.encode(event_at)
    if len(rendered) == _WITHOUT_FRACTION:
        return rendered[:-2] + b'.000000Z"'
    return rendered if len(rendered) == _WITH_FRACTION else _rendered(event_at.astimezone(UTC))


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


class StagedLine(msgspec.Struct, frozen=True):
    """One staged line; `doc` is the document's JSON text, byte for byte."""

    id: str = msgspec.field(name="_id")
    id_hash: int = msgspec.field(name="_id_hash")
    event_at: str = msgspec.field(name="_event_at")
    lifecycle_id: int = msgspec.field(name="_lifecycle_id")
    doc: msgspec.Raw


def staged_lines(manifest: Manifest, stage: Stage) -> Iterator[StagedLine]:
    """Yield every line of the manifest's files, in order.

    Raises:
        TornStageError: A file is missing, cut short, or holds something that is no staged line.
    """
    decoder = msgspec.json.Decoder(StagedLine)
    for file in manifest.files:
        try:
            with stage.open(file.key) as stored, gzip.open(stored) as lines:
                for text in lines:
                    line = decoder.decode(text)
                    if line.lifecycle_id != manifest.lifecycle_id:
                        raise _damaged(f"holds a row of another ledger row, {line.lifecycle_id}", file.key)
                    yield line
        except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error, msgspec.MsgspecError) as error:
            raise _damaged(f"can't be read ({type(error).__name__})", file.key) from error


def _damaged(what: str, key: str) -> TornStageError:
    return TornStageError(
        f"a staged file {what}",
        where=key,
        meaning="The file is missing, cut short or damaged; nothing was changed in the target",
        remedy="Run the window again from its source.",
    )
