"""Reads when a busy system wants the next request."""

from __future__ import annotations

import re
from collections.abc import Mapping


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Return the seconds of a `Retry-After` header; None without one, or for a date (which needs the server's clock).

    >>> retry_after({"retry-after": "120"})
    120.0
    """
    for name, value in (headers or {}).items():
        if name.lower() == "retry-after" and re.fullmatch(r"\d{1,6}", str(value).strip()):
            return float(value)
    return None
