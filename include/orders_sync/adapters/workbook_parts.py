"""Reads an XML part of a workbook in pieces: in full by callbacks, or as plain text that was proven well formed."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO
from xml.parsers import expat

from include.orders_sync.adapters.workbook_errors import WorkbookError

MAIN_NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
_MAIN = tuple(f"{namespace} " for namespace in MAIN_NAMESPACES)
_PIECE = 64 * 1024
_HEAD = re.compile(
    r"\ufeff?(?:<\?xml version=[\"']1\.0[\"'](?: encoding=[\"'](?i:utf-8)[\"'])?(?: standalone=[\"']\w+[\"'])? ?\?>)?"
    r"\s*<(?:worksheet|sst)((?: [^<>']*)?)>"
)
_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([a-z]+));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


class NotPlainError(Exception):
    """The part is none of those that `plain_pieces` and its callers read; it has to be read in full."""


def parse(
    part: BinaryIO,
    name: str,
    start: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], object] = lambda _tag: None,
    text: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Call the callbacks for the elements of a part, by their names without the format's namespace; yield in between.

    Raises:
        WorkbookError: The part is not well formed, or declares entities.
    """
    parser = _parser()
    parser.StartElementHandler = lambda tag, attributes: start(_local(tag), attributes)
    parser.EndElementHandler = lambda tag: end(_local(tag))
    if text is not None:
        parser.CharacterDataHandler = text
    for _piece in _proven(parser, part, name):
        yield


def plain_pieces(part: BinaryIO, name: str) -> Iterator[str]:
    """Yield the text of a part after its root's tag, in pieces, each already parsed as part of a well-formed document.

    The root is a worksheet or the shared strings in the format's own namespace, without a prefix; ends of lines are as
    XML has them. References are not replaced (see `plain_text`).

    Raises:
        WorkbookError: The part is not well formed, or declares entities.
        NotPlainError: It is written in another way.
    """
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), translate=True)
    is_first = True
    for piece in _proven(_parser(), part, name):
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError:
            raise NotPlainError from None
        if is_first:
            found = _HEAD.match(text)
            if found is None or not any(f' xmlns="{namespace}"' in found[1] for namespace in MAIN_NAMESPACES):
                raise NotPlainError
            text, is_first = text[found.end() :], False
        yield text


def plain_text(text: str) -> str:
    """Replace the references of well-formed XML.

    >>> plain_text("a &lt; b &#x26; c")
    'a < b & c'
    """
    return _REFERENCE.sub(_referred, text) if "&" in text else text


def _referred(found: re.Match[str]) -> str:
    hexadecimal, decimal, name = found.groups()
    return _NAMED[name] if name else chr(int(hexadecimal, 16) if hexadecimal else int(decimal))


def _proven(parser: expat.XMLParserType, part: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield each piece after the parser has read it, and an empty one after it has seen the end."""
    while True:
        piece = part.read(_PIECE)
        with _told(name):
            parser.Parse(piece, not piece)
        yield piece
        if not piece:
            return


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _no_doctype
    return parser


def _no_doctype(*_: Any) -> None:
    raise WorkbookError("it declares entities of its own, which no workbook does")


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except expat.ExpatError as error:
        raise WorkbookError(f"its part {name} is damaged (line {error.lineno})") from error


def _local(tag: str) -> str:
    """Return the name without the format's namespace; elements of extensions keep theirs, so they are ignored."""
    for namespace in _MAIN:
        if tag.startswith(namespace):
            return tag[len(namespace) :]
    return tag.rpartition(" ")[2] if "package/2006/relationships " in tag else tag
