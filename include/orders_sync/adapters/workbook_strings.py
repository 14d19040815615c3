"""A workbook's shared strings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import BinaryIO

from include.orders_sync.adapters.workbook_numbers import unescaped
from include.orders_sync.adapters.workbook_parts import NotPlainError, parse, plain_pieces, plain_text

_NAME = "shared strings"
_END = "</si>"
_STRING = re.compile(r"<si><t(?: xml:space=\"preserve\")?>([^<]*)</t></si>|(\S)")
"""A string of one piece, or a character of something else."""


def shared_strings(open_part: Callable[[], BinaryIO]) -> list[str]:
    """Return the strings; the parts of rich ones are joined, their phonetic parts are left out.

    Args:
        open_part: Opens the part from its start.

    Raises:
        WorkbookError: The part is damaged.
    """
    try:
        with open_part() as part:
            return _plain_strings(part)
    except NotPlainError:
        with open_part() as part:
            return _strings(part)


def _plain_strings(part: BinaryIO) -> list[str]:
    strings: list[str] = []
    rest = ""
    for piece in plain_pieces(part, _NAME):
        whole, end, rest = (rest + piece).rpartition(_END)
        for text, odd in _STRING.findall(whole + end):
            if odd:
                raise NotPlainError
            strings.append(unescaped(plain_text(text)))
    if rest.strip() != "</sst>":
        raise NotPlainError
    return strings


def _strings(part: BinaryIO) -> list[str]:
    strings: list[str] = []
    pieces: list[str] = []
    state = {"text": 0, "phonetic": 0}

    def start(tag: str, _attributes: Mapping[str, str]) -> None:
        if tag == "si":
            pieces.clear()
        state["text"] += tag == "t"
        state["phonetic"] += tag == "rPh"

    def end(tag: str) -> None:
        if tag == "si":
            strings.append(unescaped("".join(pieces)))
        state["text"] -= tag == "t"
        state["phonetic"] -= tag == "rPh"

    def text(piece: str) -> None:
        if state["text"] and not state["phonetic"]:
            pieces.append(piece)

    for _ in parse(part, _NAME, start, end, text):
        pass
    return strings
