"""Prepare outside text for messages and the ledger: short enough to read, and only what a database can hold."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

LONGEST_SHOWN = 200
"""The most characters of a value that a message repeats."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def shown(value: Any) -> str:
    """Return a value as a message repeats it: its `repr`, cut when it is long.

    >>> shown("2013-02-30")
    "'2013-02-30'"
    >>> shown("x" * 1_000)[-25:]
    'xxxxx… (1,002 characters)'
    """
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text):,} characters)"


def is_storable(text: str) -> bool:
    r"""True when Postgres can hold a text: it has no NUL and no half of a surrogate pair.

    >>> is_storable("Zoë"), is_storable("a\0b"), is_storable("\ud800")
    (True, False, False)
    """
    return not _UNSTORABLE.search(text)


def storable(text: str, longest: int) -> str:
    r"""Return a text that Postgres can hold: a character that it can't is written as its escape; a long text is cut.

    >>> storable("a\0b", 10)
    'a\\x00b'
    """
    text = _UNSTORABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def counted(number: int, thing: str) -> str:
    """Return a number of things.

    >>> counted(1, "row"), counted(5_000, "row")
    ('1 row', '5,000 rows')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def did_you_mean(word: Any, known: Iterable[str]) -> str:
    """Return a sentence that names the closest known word, else all of them.

    >>> did_you_mean("window-days", ["env", "window_days"])
    'did you mean window_days?'
    >>> did_you_mean("colour", ["env", "window_days"])
    'allowed: env, window_days'
    """
    words = sorted(known)
    close = nearest(word, words)
    if close:
        return f"did you mean {close}?"
    return f"allowed: {', '.join(words)}" if words else ""


def nearest(word: Any, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or None; case, hyphens and blanks don't count.

    >>> nearest("dryrun", ["dry_run", "force"]), nearest("Store", ["store_code", "sync_group"]), nearest("x", ["force"])
    ('dry_run', 'store_code', None)
    """
    plain = {_plain(each): each for each in sorted(known)}
    close = difflib.get_close_matches(_plain(word), plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def _plain(word: Any) -> str:
    return re.sub(r"[-\s]+", "_", str(word).strip().casefold())
