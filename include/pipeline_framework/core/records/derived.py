"""Derived columns: ids, categories and keys of a window, rendered from templates with a fixed list of plain fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from string import Formatter
from typing import Any

from include.pipeline_framework.core.time.days import local_day_of, rules
from include.pipeline_framework.core.time.timestamps import convert_to_pendulum
from include.pipeline_framework.errors import InvalidInputError

DEFAULT_TEMPLATES: Mapping[str, str] = {
    "key_x": "{source_object}/{target_day}/{window_start}",
    "key_y": "{pipeline_id}:{window_start}/{window_end}",
    "key_z": "{source_name}>{target_name}:{time_interval}",
    "source_id": "{source_name}:{source_object}:{window_start}/{window_end}",
    "stage_id": "{stage_name}:{source_object}:{window_start}/{window_end}",
    "target_id": "{target_name}:{source_object}:{window_start}/{window_end}",
    "source_category": "{source_name}",
    "stage_category": "{stage_name}",
    "target_category": "{target_name}",
}
"""The nine derived columns, each with the template that is used when a pipeline gives none."""

RECORD_FIELDS = (
    "pipeline_id", "source_name", "source_object", "stage_name", "target_name", "target_object", "data_domain",
)  # fmt: skip
"""Fields that come from `default_record`."""

WINDOW_FIELDS = (
    "timezone", "granularity", "target_day", "window_start", "window_end", "window_start_local", "window_end_local",
    "time_interval",
)  # fmt: skip
"""Fields that come from the window: the day is ISO, the bounds are `20130309T050000Z`, or local with their offset."""

TEMPLATE_FIELDS = RECORD_FIELDS + WINDOW_FIELDS

UNKNOWN = "unknown"
"""The text for a field when the configuration has neither it nor one of its stand-ins."""

_STAND_INS = {"source_object": "source_name", "pipeline_id": "source_object", "target_object": "target_name"}


@lru_cache(maxsize=1_024)
def check_template(template: str) -> str:
    """Return the template itself, when every field in it is one of `TEMPLATE_FIELDS`.

    A field is a bare name: attributes, indexes, conversions and format specifications are refused, so a template can
    reach nothing but these values.

    >>> check_template("{source_object}/{target_day}")
    '{source_object}/{target_day}'

    Raises:
        InvalidInputError: The template has anything else; the message lists the fields.
    """
    try:
        fields = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise _bad_template(template, str(error)) from error
    if not template.strip():
        raise _bad_template(template, "it is empty")
    for name, spec, conversion in fields:
        if name not in TEMPLATE_FIELDS or spec or conversion:
            shown = f"{name or ''}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}"
            raise _bad_template(template, f"{{{shown}}} is not one of its fields")
    return template


def render(template: str, values: Mapping[str, str]) -> str:
    """Return a template with the values of `template_values` filled in.

    Raises:
        InvalidInputError: The template is wrong.
    """
    return check_template(template).format_map(values)


def template_values(
    final_config: Mapping[str, Any],
    target_day: Any,
    window_start_time: Any,
    window_end_time: Any,
    time_interval: Any,
) -> dict[str, str]:
    """Return all `TEMPLATE_FIELDS` as text; a value that a small configuration lacks falls back, at last to `unknown`.

    Args:
        final_config: The keys `timezone`, `granularity` and `default_record` are enough; even these may be missing.
        target_day: A date, or any instant of the local day.
        window_start_time: Inclusive start, any timestamp.
        window_end_time: Exclusive end, any timestamp.
        time_interval: Elapsed length of the window, as text.
    """
    timezone = final_config.get("timezone") or "UTC"
    start, end = (convert_to_pendulum(bound, timezone) for bound in (window_start_time, window_end_time))
    texts = WindowTexts(_day(target_day, timezone), start, end, str(time_interval), rules(timezone))
    shared = shared_values(final_config)
    return {name: shared[name] if name in shared else texts[name] for name in TEMPLATE_FIELDS}


def shared_values(final_config: Mapping[str, Any]) -> dict[str, str]:
    """Return those of `TEMPLATE_FIELDS` that all windows of a configuration have in common."""
    record = {"stage_name": "stage", **(final_config.get("default_record") or {})}
    granularity = final_config.get("granularity")
    return {
        **{name: _record_field(record, name) for name in RECORD_FIELDS},
        "timezone": final_config.get("timezone") or "UTC",
        **({"granularity": str(granularity)} if granularity else {}),
    }


class WindowTexts(dict[str, str]):
    """The other `TEMPLATE_FIELDS` of one window, each made when a template asks for it.

    Args:
        target_day: The local day, ISO.
        start: Inclusive start, an aware instant.
        end: Exclusive end, an aware instant.
        time_interval: Elapsed length of the window, as text.
        zone: The zone of the local bounds.
    """

    def __init__(self, target_day: str, start: datetime, end: datetime, time_interval: str, zone: tzinfo) -> None:
        super().__init__(target_day=target_day, time_interval=time_interval, granularity=time_interval)
        self._bounds = {"window_start": start, "window_end": end}
        self._zone = zone

    def __missing__(self, name: str) -> str:
        """Make the text of a bound, in UTC or local, and keep it."""
        bound, is_local = name.removesuffix("_local"), name.endswith("_local")
        if is_local:
            local = self._bounds[bound].astimezone(self._zone)
            text = _compact(local) + local.strftime("%z")
        else:
            text = _compact_utc(self._bounds[bound].astimezone(UTC))
        self[name] = text
        return text


def partly_filled(template: str, values: Mapping[str, str]) -> str:
    """Return a template in which these values are text already, whatever braces they contain.

    >>> partly_filled("{source_object}/{target_day}", {"source_object": "a{b}"})
    'a{{b}}/{target_day}'

    Raises:
        InvalidInputError: The template is wrong.
    """
    parts = []
    for literal, name, _, _ in Formatter().parse(check_template(template)):
        parts.append(_escaped(literal))
        if name is not None:
            parts.append(_escaped(values[name]) if name in values else f"{{{name}}}")
    return "".join(parts)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _record_field(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if value not in (None, ""):
        return str(value)
    stand_in = _STAND_INS.get(name)
    return _record_field(record, stand_in) if stand_in else UNKNOWN


def _compact(instant: datetime) -> str:
    """Return date and time of day, with parts of a second only if there are some, so that no two windows look alike."""
    text = instant.strftime("%Y%m%dT%H%M%S")
    return f"{text}.{instant.microsecond:06}".rstrip("0") if instant.microsecond else text


@lru_cache(maxsize=16_384)
def _compact_utc(instant: datetime) -> str:
    """Return the text of an instant in UTC, cached: many sources are planned for the same instants.

    In another zone, the two instants of a repeated wall-clock time would be one key.
    """
    return f"{_compact(instant)}Z"


def _day(target_day: Any, timezone: str) -> str:
    if isinstance(target_day, date) and not isinstance(target_day, datetime):
        return target_day.isoformat()
    if isinstance(target_day, str) and len(target_day) == len("2013-01-01"):
        return target_day
    return str(local_day_of(convert_to_pendulum(target_day, timezone), timezone))


def _bad_template(template: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"{template!r} is not a template: {why}", remedy=f"Use bare fields only: {', '.join(TEMPLATE_FIELDS)}."
    )
