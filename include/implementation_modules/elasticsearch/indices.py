"""Finds the indices of an index pattern on the server, and why one of them would show less than it holds.

A wildcard skips closed and hidden indices, a document can be found only after the next refresh, and a role may hide
documents or fields: in each case the answer looks whole. Therefore the indices themselves are asked first. Some can't
be asked: indices of remote clusters (a pattern with a colon), and rights where the server has no security API or denies
it to the user.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from include.implementation_modules.elasticsearch.answers import Channel, index_path
from include.pipeline_framework.core.time.durations import elapsed_text
from include.pipeline_framework.errors import ConfigurationError

_log = logging.getLogger(__name__)

LeftOut = Literal["closed", "hidden"]

_NAMES = ("uuid", "number_of_shards", "refresh_interval", "search.throttled", "verified_before_close")
_SETTINGS = "_settings/" + ",".join(f"index.{name}" for name in _NAMES)
_UNITS = {"nanos": 1e-9, "micros": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TIME = re.compile(r"(\d+)(nanos|micros|ms|s|m|h|d)")
_READING = frozenset({"all", "read", "indices:data/read/*", "*"})
MAX_WAITED = timedelta(seconds=5)
"""A refresh_interval may exceed x_time_back by this time: before each look the extract waits for the difference."""

_NOTHING_LEFT_OUT: tuple[list[str], list[str]] = (["*"], [])


class _Answer(msgspec.Struct):
    """One index in the answer of `_settings`, flat, defaults included."""

    settings: dict[str, Any]
    defaults: dict[str, Any] = {}

    def get(self, name: str) -> str:
        return str(self.settings.get(f"index.{name}", self.defaults.get(f"index.{name}", "")))


@dataclass(frozen=True, slots=True)
class Index:
    """One index of a pattern.

    Attributes:
        name: Its own name, never an alias.
        uuid: Differs for another index of the same name.
        shards: Number of primary shards: each of them answers a search once.
        unreadable: Why a search skips or refuses the index; empty: it does not.
        refresh_interval: Time until a document can be found; None: only after an explicit refresh.
    """

    name: str
    uuid: str
    shards: int
    unreadable: str
    refresh_interval: timedelta | None


def expand_wildcards(leave_out: Sequence[LeftOut]) -> str:
    """Return the parameter of every request: wildcards mean all indices except those that a person excludes."""
    wanted = [kind for kind in ("open", "hidden", "closed") if kind not in leave_out]
    return "all" if len(wanted) == 3 else ",".join(wanted)


def look(channel: Channel, pattern: str, leave_out: Sequence[LeftOut], where: str) -> list[Index]:
    """Return the indices of a pattern on this cluster, by name, without those of remote clusters.

    Raises:
        ConfigurationError: There is none, or the user may not see them (privilege `view_index_metadata`).
    """
    local = ",".join(part for part in pattern.split(",") if ":" not in part)
    if not local:
        return []
    parameters = {
        "expand_wildcards": expand_wildcards(leave_out),
        "allow_no_indices": "false",
        "ignore_unavailable": "false",
        "flat_settings": "true",
        "include_defaults": "true",
    }
    path = index_path(local, _SETTINGS)
    answer = channel.ask("GET", path, dict[str, _Answer], where=where, parameters=parameters)
    return sorted((_index(name, found) for name, found in answer.items()), key=lambda index: index.name)


def require_readable(indices: Iterable[Index], settle: timedelta | None, *, is_refreshed: bool, where: str) -> None:
    """Refuse indices that a search would skip, and those whose documents become visible too late.

    Args:
        indices: From `look`.
        settle: How long a window rests after its end before it is read; None: not known.
        is_refreshed: The indices are refreshed before they are read.
        where: For the message.

    Raises:
        ConfigurationError: Names them.
    """
    known = list(indices)
    unreadable = [f"{index.name} ({index.unreadable})" for index in known if index.unreadable]
    if unreadable:
        raise ConfigurationError(
            f"{len(unreadable)} of {len(known)} indices can't be read: {_listed(unreadable)}",
            where=where,
            meaning="A search would pass over their documents and say nothing; nothing was read",
            remedy="Open them (POST /<index>/_open). To do without them, exclude them by name (logs-*,-logs-2012), "
            "or all closed ones with `leave_out: [closed]` under source.",
        )
    late = [
        f"{index.name} ({'never' if index.refresh_interval is None else elapsed_text(index.refresh_interval)})"
        for index in known
        if index.refresh_interval is None or _unseen(index, settle) > MAX_WAITED
    ]
    if late and not is_refreshed:
        raise ConfigurationError(
            f"documents of {len(late)} indices become visible too late: their refresh_interval is {_listed(late)}",
            where=where,
            meaning="Documents that were indexed in time can't be found when their window is read"
            + (f" ({elapsed_text(settle)} after its end, x_time_back)" if settle is not None else "")
            + "; nothing was read",
            remedy="Shorten the index's refresh_interval, raise x_time_back, or set `refresh: before_reading` under "
            "source (the user then needs the privilege maintenance).",
        )


def unseen_for(indices: Iterable[Index], settle: timedelta | None) -> timedelta:
    """Return the time until all that was indexed in time is visible, as far as x_time_back does not cover it.

    Args:
        indices: Those that `require_readable` has accepted.
        settle: How long a window rests after its end before it is read; None: not known.
    """
    return max((_unseen(index, settle) for index in indices), default=timedelta(0))


def _unseen(index: Index, settle: timedelta | None) -> timedelta:
    if index.refresh_interval is None or settle is None:
        return timedelta(0)
    return max(index.refresh_interval - settle, timedelta(0))


def refresh(channel: Channel, pattern: str, leave_out: Sequence[LeftOut], where: str) -> None:
    """Make all documents visible that were indexed until now."""
    parameters = {"expand_wildcards": expand_wildcards(leave_out)}
    channel.raw("POST", index_path(pattern, "_refresh"), where=where, parameters=parameters)


def require_unrestricted(channel: Channel, indices: Sequence[Index], where: str) -> bool:
    """Refuse a user from whom document-level or field-level security hides something.

    A server without security, or a server that does not answer this user, can't be asked; the log says so.

    Returns:
        True when the server has told it, False when it could not be asked.

    Raises:
        ConfigurationError: Names the first index of which something is hidden.
    """
    answer = channel.answer_if_any("/_security/user/_privileges", where=where)
    granted = _granted(answer) if answer is not None else None
    if granted is None:
        _log.info("%s: the server does not tell what this user may see; hidden documents could not be noticed", where)
        return False
    for index in indices:
        reading = [grant for grant in granted if _covers(grant, index.name) and _READING & set(grant["privileges"])]
        hidden = [why for grant in reading if (why := _hides(grant))]
        if hidden and len(hidden) == len(reading):  # one role without a restriction shows everything
            raise ConfigurationError(
                f"the user does not see all of {index.name}: {hidden[0]}",
                where=where,
                meaning="Every count and every page would leave the rest out and look whole; nothing was read",
                remedy="Give the pipeline's user a role that reads the index without a query and without "
                "field_security.",
            )
    return True


def _index(name: str, found: _Answer) -> Index:
    unreadable = ""
    if found.get("verified_before_close") == "true":
        unreadable = "closed"
    elif found.get("search.throttled") == "true":
        unreadable = "frozen"
    return Index(
        name,
        found.get("uuid"),
        int(found.get("number_of_shards") or 0),
        unreadable,
        _interval(found.get("refresh_interval"), name),
    )


def _interval(text: str, name: str) -> timedelta | None:
    if text.startswith("-"):
        return None
    if text in ("", "0"):  # an index of a type without refresh_interval is refreshed at once
        return timedelta(0)
    match = _TIME.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"the refresh_interval of {name} is {text!r}",
            meaning="It can't be told when a document becomes visible; nothing was read",
            remedy="Write it like 1s or 500ms, or set `refresh: before_reading` under source.",
        )
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _granted(answer: bytes) -> list[dict[str, Any]] | None:
    """Return the grants on indices; None if the answer has another form."""
    try:
        found = json.loads(answer)["indices"]
        return [dict(grant, names=list(grant["names"]), privileges=list(grant["privileges"])) for grant in found]
    except (ValueError, KeyError, TypeError):
        return None


def _covers(grant: dict[str, Any], name: str) -> bool:
    for pattern in grant["names"]:
        if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
            if re.fullmatch(pattern[1:-1], name):
                return True
        elif fnmatchcase(name, pattern.replace("[", "[[]")):
            return True
    return False


def _hides(grant: dict[str, Any]) -> str:
    if grant.get("query"):
        return "document-level security (a role with a query)"
    for fields in grant.get("field_security") or ():
        if (fields.get("grant") or ["*"], fields.get("except") or []) != _NOTHING_LEFT_OUT:
            return "field-level security (a role with field_security)"
    return ""


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
