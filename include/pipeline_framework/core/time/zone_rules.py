"""Provide the one source of time zone rules: the pinned package `tzdata`, whatever zone files the machine has.

Python looks into the system's files first, so two workers from two images would plan and judge one day differently.
Importing `include` pins the rules for its whole process: days, labels, cron expressions, Airflow's timetables.
A process that reads zones before that import is started with an empty `PYTHONTZPATH`.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Sequence

import tzdata

_forget: list[Callable[[], None]] = []
_used: str = tzdata.IANA_VERSION


def version() -> str:
    """Return the IANA version of the rules in use, such as `2026f`; versions compare as text.

    >>> "2025b" < "2026a" < version() or version() == "2026a"
    True
    """
    return _used


def use_pinned() -> None:
    """Take every zone from the package `tzdata` from now on."""
    use(tzdata.IANA_VERSION)


def use(iana_version: str, folders: Sequence[str] = ()) -> None:
    """Take zones from these folders, then from the package; all that was computed with other rules is dropped.

    Args:
        iana_version: The version that the rules give themselves.
        folders: Absolute paths of folders with TZif files. Only tests have any.
    """
    global _used
    zoneinfo.reset_tzpath(to=folders)
    _clear(zoneinfo.ZoneInfo)
    for forget in _forget:
        forget()
    _used = iana_version


def on_change(forget: Callable[[], None]) -> None:
    """Register a function that is called when the rules change, so that it drops what it has computed."""
    _forget.append(forget)


def _clear(kind: type[zoneinfo.ZoneInfo]) -> None:
    """Clear a zone class's cache: each class has its own; pendulum's, which Airflow uses, is one of them."""
    kind.clear_cache()
    for own in kind.__subclasses__():
        _clear(own)
