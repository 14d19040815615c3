"""Reads when a busy system wants the next request; for every adapter that speaks HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[0-9]{1,9}")


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
