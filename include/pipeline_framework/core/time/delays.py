"""Define the wait between two tries: how it grows, and what a busy system asks for; who waits adds the jitter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

Delay = TypeVar("Delay", timedelta, float)
"""A number is one of seconds."""


def growing_delay(first: Delay, longest: Delay, *, failed: int, factor: float = 2.0) -> Delay:
    """Return the wait after the n-th failed try: `first` after one, then `factor` times longer each time.

    Args:
        first: The wait after the first failure.
        longest: The most that is waited.
        failed: The number of failed tries; less than one counts as one.
        factor: 1 or more.

    >>> [growing_delay(0.5, 1.5, failed=tries) for tries in (1, 2, 3, 9_999)]
    [0.5, 1.0, 1.5, 1.5]
    """
    try:
        return min(first * factor ** max(failed - 1, 0), longest)
    except OverflowError:
        return longest


def retry_after(headers: Mapping[str, str] | None, *, now: float | None = None) -> float | None:
    """Return the seconds of a `Retry-After` header, zero or more; None without one, or for text that says nothing.

    Args:
        headers: Of an answer, in any case.
        now: Seconds since 1970, by a clock that agrees with the system's. Without it a date says nothing.

    >>> retry_after({"retry-after": "120"})
    120.0
    >>> retry_after({"Retry-After": "Thu, 01 Jan 1970 00:01:30 GMT"}, now=60)
    30.0
    """
    text = next((str(value).strip() for name, value in (headers or {}).items() if name.lower() == "retry-after"), "")
    if _SECONDS.fullmatch(text):
        return float(text)
    if now is not None:
        with suppress(ValueError, OverflowError):
            return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    return None


_SECONDS = re.compile(r"[0-9]{1,9}")
