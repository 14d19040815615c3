"""Generate records: the next window of a day from its continuation point, and the record around it (requirement 2).

`None` means that nothing is left to do for the day; it is not an error, and a task that gets it is skipped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pendulum

from include.pipeline_framework.core.records.planning import Derive, interval_string, local
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.inclusive_ends import is_left_by_inclusive_end
from include.pipeline_framework.core.time.timestamps import calculate_day_from_timestamp, convert_to_pendulum, local_day
from include.pipeline_framework.core.time.windows import TimeWindow, tile
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError

_log = logging.getLogger(__name__)

REQUIRED_KEYS = ("timezone", "x_time_back", "granularity", "default_record")


class CalculatedWindow(NamedTuple):
    """A window `[start_time, end_time)` in the day's zone, and its elapsed length (`2h`), perhaps less than asked."""

    start_time: pendulum.DateTime
    end_time: pendulum.DateTime
    actual_interval: str


def calculate_time_window(
    target_day: Any, granularity: str, continuation_timestamp: Any = None, *, timezone: str | None = None
) -> CalculatedWindow | None:
    """Return the next window of a day: from its start, or from where the last one ended; capped at the day's end.

    Args:
        target_day: Any instant of the day (its zone, IANA or a fixed offset, is the day's zone), or a date, or text.
        granularity: `2h`, `30m`, `1d`: the day part means the whole local day.
        continuation_timestamp: Exclusive end of the last window, or None for a new day.
        timezone: The day's zone, where the target day has none or another one; without it, a plain date's zone is UTC.

    Returns:
        None when the day is complete: the continuation lies before the day, at the next day's start, or after it.

    >>> day = pendulum.datetime(2025, 6, 30, tz="UTC")
    >>> calculate_time_window(day, "3h", pendulum.datetime(2025, 6, 30, 22)).actual_interval
    '2h'

    Raises:
        InvalidInputError: A value is not a duration, a timestamp or an aware target day.
    """
    step = parse_granularity(granularity)
    if isinstance(target_day, datetime) and target_day.tzinfo is None and timezone is None:
        raise InvalidInputError(
            f"target_day {target_day!r} has no time zone", remedy="Pass an aware instant, or timezone=."
        )
    day = local_day(target_day, timezone)
    timezone, window = day.timezone, day.window
    if window is None:
        _log.info("day complete: the calendar of %s skips %s", timezone, day)
        return None
    start = window.start if continuation_timestamp is None else convert_to_pendulum(continuation_timestamp, timezone)
    if not window.contains(start):
        _log.info("day complete: continuation %s is not inside %s", start, window)
        return None
    found = next(tile(TimeWindow(start, window.end), step))
    if step.days:  # the day part means: to the end of the local day, wherever the window starts
        found = TimeWindow(start, window.end)
    if is_left_by_inclusive_end(found):
        _log.warning("%s is left of %s: the window before it ends as if its end were inclusive", found, window)
    elif found.duration < timedelta(seconds=step.total_seconds):
        _log.info("window %s is capped at the end of its day", found)
    return CalculatedWindow(local(found.start, timezone), local(found.end, timezone), interval_string(found))


def generate_pipeline_time_window_record(
    final_config: Mapping[str, Any], *, now: Any, continuation_timestamp: Any = None, target_day: Any = None
) -> dict[str, Any] | None:
    """Return details of the next window of the target day, or None when that day is complete.

    The target day is the local day of `now - x_time_back`, unless one is given as a date, text, or an instant of it.

    Returns:
        target_day (its first instant), target_day_str, window_start_time, window_end_time (may be capped) and
        time_interval.

    Raises:
        ConfigurationError: A required key is missing.
        InvalidInputError: A value can't be read.
    """
    _require_keys(final_config)
    timezone = final_config["timezone"]
    if target_day is None:
        target_day = calculate_day_from_timestamp(now, final_config["x_time_back"], timezone)
    day = local_day(target_day, timezone)
    window = calculate_time_window(day, final_config["granularity"], continuation_timestamp)
    if window is None:
        return None
    return {
        "target_day": local(day.start, timezone),
        "target_day_str": str(day),
        "window_start_time": window.start_time,
        "window_end_time": window.end_time,
        "time_interval": window.actual_interval,
    }


def build_complete_pipeline_record(
    final_config: Mapping[str, Any],
    *,
    now: Any,
    derive: Derive,
    continuation_timestamp: Any = None,
    target_day: Any = None,
) -> dict[str, Any] | None:
    """Return the default record with the UPPERCASE time fields and the derived `key_x`, `key_y`, `key_z`.

    None is returned when the day is complete.

    The UPPERCASE names remind a reader that these are boundaries, calculated and never edited.
    """
    details = generate_pipeline_time_window_record(
        final_config, now=now, continuation_timestamp=continuation_timestamp, target_day=target_day
    )
    if details is None:
        return None
    arguments = (
        details["target_day"],
        details["window_start_time"],
        details["window_end_time"],
        details["time_interval"],
    )
    return {
        **final_config["default_record"],
        "TARGET_DAY": details["target_day"],
        "WINDOW_START_TIME": details["window_start_time"],
        "WINDOW_END_TIME": details["window_end_time"],
        "TIME_INTERVAL": details["time_interval"],
        **{key: derive(final_config, key, *arguments) for key in ("key_x", "key_y", "key_z")},
    }


def _require_keys(final_config: Mapping[str, Any]) -> None:
    missing = [key for key in REQUIRED_KEYS if final_config.get(key) is None]
    if missing:
        raise ConfigurationError(
            f"the configuration lacks {', '.join(missing)}",
            remedy=f"Give all of {', '.join(REQUIRED_KEYS)}.",
        )
