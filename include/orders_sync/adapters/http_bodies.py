"""The whole body of an HTTP answer: every member of a gzip stream, to its end, and nothing that was not asked for.

The client library stops after the first member of a gzip body, and takes one that was cut off for whole: half a report,
and no error. So it is asked for gzip alone, and unpacked here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

ACCEPTED = "gzip"
"""What a request says that it takes, beside a body as it is."""

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1024 * 1024


class BodyError(ValueError):
    """Why a body can't be unpacked."""


def read_body(pieces: Iterable[bytes], encoding: str, longest: int) -> bytes:
    """The body, unpacked; a longer one is read to the first byte beyond `longest`, which tells.

    Args:
        pieces: As they come from the connection.
        encoding: `Content-Encoding`, empty when there is none.
        longest: Bytes after unpacking.

    Raises:
        BodyError: It is packed in a way that was not asked for, is damaged, cut off, or followed by something else.

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
    """Every member of a gzip stream (RFC 1952, 2.2), with the zeros that may fill up its end."""
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
