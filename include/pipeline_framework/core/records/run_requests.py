"""Check what a person asks a pipeline run to do: the conf of `data_pipeline_<id>`, before anything is done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from include.pipeline_framework.core.records.conf_keys import require_known_keys
from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.core.texts import is_storable, shown
from include.pipeline_framework.core.time import inclusive_ends
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.timestamps import convert_to_pendulum
from include.pipeline_framework.core.time.windows import TimeWindow, merge
from include.pipeline_framework.errors import InvalidInputError

KEYS = ("target_date", "from", "to", "windows", "max_windows", "until", "dry_run", "replace", "reason", "allow_future")
UNTIL = {"staged": Phase.SOURCE_TO_STAGE, "loaded": Phase.STAGE_TO_TARGET, "audited": Phase.AUDIT}
"""Maps the conf's `until` to the last phase that the run does."""

MAX_WINDOWS = 1_024
"""Airflow's default `core.max_map_length`: a run can't map more windows than that."""

_YEARS = range(2, 9_999)
"""The calendar's first and last year have days without a day before or after."""

LONGEST_REASON = 1_000
"""Characters of a reason; it is kept with every replaced window."""

LONGEST_RANGE = timedelta(days=3_660)
"""A longer range is a typing error: ten years of hours are 87,600 windows, and a run claims at most 1,024."""

_NOTHING_DONE = "Nothing was planned, claimed or changed"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HAS_ZONE = re.compile(r"(Z|[+-]\d{2}:?\d{2})$", re.ASCII)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A checked conf.

    Attributes:
        ranges: Only windows wholly inside one of these (joined, in order) are claimed; None: all that are due.
        exact: The windows of conf `windows` as given; each one that is missing is planned with exactly these bounds.
        max_windows: The most windows to claim, or None for the pipeline's own limit.
        until: The last phase that the run does; windows that have completed it are not claimed.
        dry_run: Only show what would be planned, replaced and claimed; change nothing.
        replace: Replace finished windows inside the ranges.
        reason: Why the windows are replaced (with `replace`).
        allow_future: The ranges may reach beyond local tomorrow.
        hints: Texts for people about what is legal but seldom meant: an end that looks inclusive.
    """

    ranges: tuple[TimeWindow, ...] | None = None
    exact: tuple[TimeWindow, ...] = ()
    max_windows: int | None = None
    until: Phase = Phase.AUDIT
    dry_run: bool = False
    replace: bool = False
    reason: str = ""
    allow_future: bool = False
    hints: tuple[str, ...] = ()

    def require_not_future(self, horizon: Horizon, now: datetime, source_object: str) -> None:
        """Refuse ranges beyond local tomorrow unless they were meant; called before anything is planned.

        Raises:
            InvalidInputError: A range reaches beyond it, and `allow_future` was not given.
        """
        if not self.allow_future:
            for part in self.ranges or ():
                horizon.require_not_future(part, now, source_object)


def parse_request(conf: Mapping[str, Any], horizon: Horizon, source_object: str) -> RunRequest:
    """Check a conf; a key whose value is None counts as not given (the trigger form sends those).

    Raises:
        InvalidInputError: A key is unknown, a type wrong, a combination impossible, or a range outside the horizon;
            nothing was done.
    """
    given = {key: value for key, value in conf.items() if value is not None and value != ""}
    require_known_keys(given, KEYS, source_object, meaning=_NOTHING_DONE)
    kinds = [kind for kind in (("target_date",), ("from", "to"), ("windows",)) if any(key in given for key in kind)]
    if len(kinds) > 1:
        raise _refused(
            f"conf asks for {' and '.join('/'.join(kind) for kind in kinds)} at once",
            "Give only one of target_date, from + to, windows.",
            source_object,
        )
    ranges = _ranges(given, horizon, source_object)
    exact = tuple(ranges or ()) if "windows" in given else ()
    replace, dry_run, allow_future = (
        _boolean(given, key, source_object) for key in ("replace", "dry_run", "allow_future")
    )
    reason = given.get("reason", "")
    if not isinstance(reason, str) or (replace and not reason.strip()):
        raise _refused(
            "replace needs a reason", 'Add "reason": "why" as text; it is kept in the ledger.', source_object
        )
    if not is_storable(reason) or len(reason) > LONGEST_REASON:
        raise _refused(
            f"reason {shown(reason)} can't be kept",
            f"Write at most {LONGEST_REASON} characters, without NUL and half surrogates.",
            source_object,
        )
    if replace and ranges is None:
        raise _refused("replace needs a range", "Add target_date, from + to, or windows.", source_object)
    if allow_future and ranges is None:
        raise _refused(
            "allow_future needs a range", "Add target_date, from + to, or windows, or leave it out.", source_object
        )
    if reason and not replace:
        raise _refused("a reason without replace has no effect", 'Add "replace": true or leave it out.', source_object)
    return RunRequest(
        ranges=None if ranges is None else tuple(merge(ranges)),
        exact=exact,
        max_windows=_limit(given, source_object),
        until=last_phase(given, source_object),
        dry_run=dry_run,
        replace=replace,
        reason=reason.strip(),
        allow_future=allow_future,
        hints=tuple(told for window in ranges or () if (told := inclusive_ends.hint(window))),
    )


def last_phase(conf: Mapping[str, Any], where: str) -> Phase:
    """Return the last phase that a run with this conf does; without `until` it is the audit.

    Raises:
        InvalidInputError: `until` is none of `UNTIL`.
    """
    value = conf.get("until")
    if value in (None, ""):
        return Phase.AUDIT
    if not isinstance(value, str) or value not in UNTIL:
        raise _refused(f"until {shown(value)} is no step of a window", f"Give one of {', '.join(UNTIL)}.", where)
    return UNTIL[value]


def parse_date(value: Any, name: str, where: str) -> date:
    """Return a `YYYY-MM-DD` text as a date.

    Raises:
        InvalidInputError: The value is anything else, or a day that no calendar has.
    """
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        try:
            day = date.fromisoformat(value.strip())
        except ValueError:
            day = None
        if day and day.year in _YEARS:
            return day
    raise _refused(f"{name} {shown(value)} is not a date", "Write it as YYYY-MM-DD, such as 2013-03-09.", where)


def _ranges(given: Mapping[str, Any], horizon: Horizon, where: str) -> list[TimeWindow] | None:
    if "target_date" in given:
        day = LocalDay(parse_date(given["target_date"], "target_date", where), horizon.timezone)
        horizon.require(day, where)
        if day.window is None:
            raise _refused(f"{day} does not exist in {horizon.timezone}", "The calendar skips that day.", where)
        return [day.window]
    if "windows" in given:
        return _exact_windows(given["windows"], horizon, where)
    if "from" not in given and "to" not in given:
        return None
    if "from" not in given or "to" not in given:
        raise _refused("from and to belong together", "Give both; to is exclusive.", where)
    start, end = (_bound(given[key], key, horizon.timezone, where) for key in ("from", "to"))
    if start >= end:
        raise _refused(f"from {shown(given['from'])} is not before to {shown(given['to'])}", "to is exclusive.", where)
    window = TimeWindow(start, end)
    _require_inside(window, horizon, where)
    if window.duration > LONGEST_RANGE:
        raise _refused(
            f"from {given['from']!r} to {given['to']!r} is longer than {LONGEST_RANGE.days} days",
            "Ask for shorter ranges, one run each.",
            where,
        )
    return [window]


def _bound(value: Any, key: str, timezone: str, where: str) -> Any:
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        return LocalDay(parse_date(value, key, where), timezone).start
    return _aware(value, key, where)


def _aware(value: Any, key: str, where: str) -> Any:
    if not isinstance(value, str) or not _HAS_ZONE.search(value.strip()):
        raise _refused(
            f"{key} {shown(value)} is neither a date nor an instant with a zone",
            "Write a local date (2013-03-09) or an instant with its offset (2013-03-09T05:00:00Z).",
            where,
        )
    instant = convert_to_pendulum(value.strip(), "UTC")
    if instant.year not in _YEARS:
        raise _refused(
            f"{key} {shown(value)} is off the calendar", "Ask for a time inside the pipeline's horizon.", where
        )
    return instant


def _exact_windows(value: Any, horizon: Horizon, where: str) -> list[TimeWindow]:
    is_pairs = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
    if not is_pairs or not all(isinstance(p, Sequence) and not isinstance(p, str) and len(p) == 2 for p in value):
        raise _refused(
            f"windows {shown(value)} is not a list of [start, end]", "Give at least one pair of instants.", where
        )
    if len(value) > MAX_WINDOWS:
        raise _refused(f"{len(value)} windows are too many", f"Give at most {MAX_WINDOWS}.", where)
    windows = []
    for pair in value:
        start, end = (_aware(instant, "windows", where) for instant in pair)
        if start >= end:
            raise _refused(f"window {shown(list(pair))} does not end after it starts", "The end is exclusive.", where)
        window = TimeWindow(start, end)
        _require_inside(window, horizon, where)
        day = local_day_of(window.start, horizon.timezone)
        if window.end > day.end:
            raise _refused(f"window {window} crosses the end of {day}", "Split it at the local midnight.", where)
        windows.append(window)
    ordered = sorted(windows)
    for earlier, later in pairwise(ordered):
        if earlier.overlaps(later):
            raise _refused(f"windows {earlier} and {later} overlap", "Every instant belongs to one window.", where)
    return ordered


def _require_inside(window: TimeWindow, horizon: Horizon, where: str) -> None:
    if horizon.clip(window) != window:
        first, last = local_day_of(window.start, horizon.timezone), local_day_of(window.end, horizon.timezone)
        horizon.require(first, where)
        raise _refused(
            f"{window} reaches beyond the pipeline's end_date {horizon.end_date} (exclusive; asked up to {last})",
            "Ask for less, or change end_date in the pipeline's YAML file.",
            where,
        )


def _limit(given: Mapping[str, Any], where: str) -> int | None:
    value = given.get("max_windows")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_WINDOWS:
        raise _refused(f"max_windows {shown(value)} is not possible", f"Give a number from 1 to {MAX_WINDOWS}.", where)
    return value


def _boolean(given: Mapping[str, Any], key: str, where: str) -> bool:
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise _refused(f"{key} {shown(value)} is not a boolean", "Write true or false without quotes.", where)
    return value


def _refused(what: str, remedy: str, where: str) -> InvalidInputError:
    return InvalidInputError(what, where=where, meaning=_NOTHING_DONE, remedy=remedy)
