"""Cuts a page of Elasticsearch into lines, without taking its documents apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from include.implementation_modules.elasticsearch.answers import Hit, SearchAnswer, decode_page
from include.implementation_modules.staged_lines import LINES, Line

_HITS = b'"hits":['
_NEXT_HIT = b'},{"_index":"'
_NEXT_LINE = _NEXT_HIT.replace(b",", b"\n")
_ANSWER = msgspec.json.Decoder(SearchAnswer)


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        answer: The answer that proves it whole; its hits may have been cut out.
        hits: Ids and sort values, in order.
        bodies: The documents, each on one line; empty where `lines` is given.
        lines: The hits as the server sent them, one per line; None where the page is not as it usually is.
        size: Bytes of the answer.
    """

    answer: SearchAnswer
    hits: Sequence[Hit | Line]
    bodies: list[bytes]
    lines: bytes | None
    size: int


def read_page(raw: bytes, where: str, *, has_documents: bool) -> Page:
    """Return a page, cut into lines if it has documents and is as it usually is.

    Raises:
        IncompleteExtractError: The answer is cut off, or lacks the fields that prove it whole.
    """
    if has_documents and (cut := _cut(raw)):
        answer, hits, lines = cut
        return Page(answer, hits, [], lines, len(raw))
    answer, bodies = decode_page(raw, where)
    return Page(answer, answer.hits.hits, bodies, None, len(raw))


def _cut(raw: bytes) -> tuple[SearchAnswer, list[Line], bytes] | None:
    """Return the answer without its hits, and the hits as lines; None where a page has to be decoded as a whole.

    That every line is decoded by itself proves the cuts: where one is missing, or lies inside of a document that has
    the same bytes, a line is no JSON object with an id, a document and sort values. That a document is an object needs
    no look: Elasticsearch takes nothing else.
    """
    first, last = raw.find(_HITS) + len(_HITS), raw.rfind(b"]")
    if first < len(_HITS) or last <= first or b"\n" in raw or b"\r" in raw:
        return None
    try:
        answer = _ANSWER.decode(raw[:first] + raw[last:])
        lines = raw[first:last].replace(_NEXT_HIT, _NEXT_LINE) + b"\n"
        hits = LINES.decode_lines(lines)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return answer, hits, lines
