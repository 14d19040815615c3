"""Define how the wait between two tries grows; who waits adds the jitter that it needs."""

from __future__ import annotations

from datetime import timedelta
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
