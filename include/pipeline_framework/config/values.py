"""Define the kinds of values in a pipeline's YAML file, each with its check: durations, zones, days, cron."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from include.pipeline_framework.core.time.days import zone
from include.pipeline_framework.core.time.durations import parse_granularity, parse_time_back

CRON_PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
_DAY = timedelta(days=1)


def _duration(text: str) -> str:
    parse_granularity(text)
    return text


def _time_back(text: str) -> str:
    parse_time_back(text)
    return text


def _granularity(text: str) -> str:
    if parse_granularity(text).total_seconds > _DAY.total_seconds():
        raise ValueError("a window never crosses a day, so the granularity is at most 1d")
    return text


def _timezone(name: str) -> str:
    zone(name)
    return name


def _local_date(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("it must be a day of the calendar, written like 2013-01-01")


def _cron(text: str) -> str:
    if text in CRON_PRESETS:
        return text
    # imported here: every task process imports this module, few of them validate
    from croniter import CroniterError, croniter  # type: ignore[import-untyped]

    try:
        if len(text.split()) != 5:
            raise ValueError("a cron expression has five fields")
        croniter(text, datetime(2013, 1, 1, tzinfo=UTC)).get_next()  # any start shows whether it ever fires
    except (CroniterError, ValueError) as error:
        raise ValueError(
            f"not a cron expression ({error}); write it like '0 */2 * * *' or one of {CRON_PRESETS}"
        ) from error
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=250, pattern=r"^\S(.*\S)?$")]
Duration = Annotated[str, AfterValidator(_duration)]
WindowLength = Annotated[str, AfterValidator(_granularity)]
TimeBack = Annotated[str, AfterValidator(_time_back)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
Cron = Annotated[str, AfterValidator(_cron)]
LocalDate = Annotated[date, BeforeValidator(_local_date)]
Minutes = Annotated[float, Field(ge=0)]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$")]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
