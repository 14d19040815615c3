"""Read the whole body of an HTTP answer: every member of a gzip stream, to its end, and no other encoding.

The client library stops after the first member of a gzip body, and accepts a body that was cut off: half a report
without an error. Therefore requests accept gzip only, and the body is unpacked here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

ACCEPTED = "gzip"
"""The encoding that a request accepts, besides an unpacked body."""

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1024 * 1024


class BodyError(ValueError):
    """A body can't be unpacked; the message says why."""


def read_body(pieces: Iterable[bytes], encoding: str, longest: int) -> bytes:
    """Return the unpacked body; a longer one is read up to the first byte beyond `longest`, so that the caller sees it.

    Args:
        pieces: Parts of the body, as the connection delivers them.
        encoding: `Content-Encoding`, empty when there is none.
        longest: Bytes after unpacking.

    Raises:
        BodyError: The body has an encoding that was not requested, is damaged, cut off, or followed by other bytes.

    >>> import gzip
    >>> read_body([gzip.compress(b"a,"), gzip.compress(b"b")], "gzip", 100)
    b'a,b'
    """
    name = encoding.strip().lower()
    if name not in ("", "identity", "gzip", "x-gzip"):
        raise BodyError(f"it is packed as {name[:40]!r}, and only {ACCEPTED} was asked for")
    body = bytearray()
    for piece in pieces if name in ("", "identity") else _members(pieces):
        body += piece
        if len(body) > longest:
            return bytes(body[: longest + 1])
    return bytes(body)


def _members(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield every member of a gzip stream (RFC 1952, 2.2); zeros may fill up its end."""
    member = None
    is_begun = False
    for piece in pieces:
        data = piece
        while data:
            if member is None:
                data = data.lstrip(b"\0") if is_begun else data
                if not data:
                    break
                member, is_begun = zlib.decompressobj(_GZIP), True
            try:
                yield member.decompress(data, _PIECE)
            except zlib.error as error:
                raise BodyError(f"it is no gzip, or damaged ({error})") from error
            data = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                member = None
    if member is not None:
        raise BodyError("its gzip is cut off")
