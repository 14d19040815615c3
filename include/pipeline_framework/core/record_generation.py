"""Record generation: the next window of a day from its continuation point, and the record around it (requirement 2).

`None` means that nothing is left to do for the day; it is not an error, and tasks skip on it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import pendulum

from include.pipeline_framework.core.days import LocalDay, local_day_of
from include.pipeline_framework.core.durations import parse_granularity
from include.pipeline_framework.core.inclusive_ends import is_left_by_inclusive_end
from include.pipeline_framework.core.planning import Derive, interval_string, local
from include.pipeline_framework.core.timestamps import calculate_day_from_timestamp, convert_to_pendulum
from include.pipeline_framework.core.windows import TimeWindow, tile
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError

_log = logging.getLogger(__name__)

REQUIRED_KEYS = ("timezone", "x_time_back", "granularity", "default_record")


class CalculatedWindow(NamedTuple):
    """`[start_time, end_time)` in the day's zone, and its elapsed length (`2h`), which may be less than asked for."""

    start_time: pendulum.DateTime
    end_time: pendulum.DateTime
    actual_interval: str


def calculate_time_window(
    target_day: Any, granularity: str, continuation_timestamp: Any = None
) -> CalculatedWindow | None:
    """The next window of a day: from its start, or from where the last one ended; capped at the day's end.

    Args:
        target_day: Any aware instant of the day; its zone is the day's zone. (A day is given by its first instant.)
        granularity: `2h`, `30m`, `1d`: the day part means the whole local day.
        continuation_timestamp: Exclusive end of the last window, or None for a new day.

    Returns:
        None when the day is complete: the continuation lies before the day, at the next day's start, or after it.

    >>> day = pendulum.datetime(2025, 6, 30, tz="UTC")
    >>> calculate_time_window(day, "3h", pendulum.datetime(2025, 6, 30, 22)).actual_interval
    '2h'

    Raises:
        InvalidInputError: Not a duration, a timestamp or an aware target day.
    """
    step = parse_granularity(granularity)
    if isinstance(target_day, datetime) and target_day.tzinfo is None:
        raise InvalidInputError(f"target_day {target_day!r} has no time zone", remedy="Pass an aware instant.")
    start_of_day = convert_to_pendulum(target_day)
    timezone = start_of_day.timezone_name or "UTC"
    if not isinstance(start_of_day.timezone, pendulum.Timezone):  # a fixed offset is no IANA zone: read it in UTC
        timezone = "UTC"
    window = local_day_of(start_of_day, timezone).window
    if window is None:  # pragma: no cover - an instant always lies in a day that exists
        return None
    start = window.start if continuation_timestamp is None else convert_to_pendulum(continuation_timestamp, timezone)
    if not window.contains(start):
        _log.info("day complete: continuation %s is not inside %s", start, window)
        return None
    found = next(tile(TimeWindow(start, window.end), step))
    if step.days:  # the day part means up to the end of the local day, wherever it continues
        found = TimeWindow(start, window.end)
    if is_left_by_inclusive_end(found):
        _log.warning("%s is left of %s: the window before it ends as if its end were inclusive", found, window)
    elif found.duration < timedelta(seconds=step.total_seconds):
        _log.info("window %s is capped at the end of its day", found)
    return CalculatedWindow(local(found.start, timezone), local(found.end, timezone), interval_string(found))


def generate_pipeline_time_window_record(
    final_config: Mapping[str, Any], *, now: Any, continuation_timestamp: Any = None, target_day: date | None = None
) -> dict[str, Any] | None:
    """Details of the next window of the target day, or None when that day is complete.

    The target day is the local day of `now - x_time_back`, unless one is given.

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
        day_start = calculate_day_from_timestamp(now, final_config["x_time_back"], timezone)
        target_day = local_day_of(day_start, timezone).date
    else:
        day_start = local(LocalDay(target_day, timezone).start, timezone)
    window = calculate_time_window(day_start, final_config["granularity"], continuation_timestamp)
    if window is None:
        return None
    return {
        "target_day": day_start,
        "target_day_str": target_day.isoformat(),
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
    target_day: date | None = None,
) -> dict[str, Any] | None:
    """The default record with the UPPERCASE time fields and the derived `key_x`, `key_y`, `key_z`; None as above.

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
