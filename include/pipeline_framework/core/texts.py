"""Text from outside in messages and in the ledger: short enough to read, and nothing that a database can't hold."""

from __future__ import annotations

import re
from typing import Any

LONGEST_SHOWN = 200
"""Characters of a value that a message repeats."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def shown(value: Any) -> str:
    """A value as a message repeats it: its `repr`, cut when it is long.

    >>> shown("2013-02-30")
    "'2013-02-30'"
    >>> shown("x" * 1_000)[-25:]
    'xxxxx… (1,002 characters)'
    """
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text):,} characters)"


def is_storable(text: str) -> bool:
    r"""Whether Postgres can hold a text: no NUL, no half of a surrogate pair.

    >>> is_storable("Zoë"), is_storable("a\0b"), is_storable("\ud800")
    (True, False, False)
    """
    return not _UNSTORABLE.search(text)


def storable(text: str, longest: int) -> str:
    r"""A text that Postgres can hold: what it can't is written as its escape, what is too long is cut.

    >>> storable("a\0b", 10)
    'a\\x00b'
    """
    text = _UNSTORABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"
