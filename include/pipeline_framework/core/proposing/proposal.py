"""The proposal of a new pipeline, in one pure function."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from include.pipeline_framework.core.proposing.columns import (
    ColumnRules,
    LeftOut,
    ProposedColumn,
    ingest_lags,
    propose_columns,
)
from include.pipeline_framework.core.proposing.description import SourceDescription
from include.pipeline_framework.core.proposing.windows import (
    Reasoned,
    ingest_field,
    propose_granularity,
    propose_start,
    propose_time_back,
)
from include.pipeline_framework.core.time.durations import parse_time_back


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a new pipeline's file should say, each value with its reason.

    Attributes:
        granularity: Length of a window.
        x_time_back: How long a window rests after its end.
        start_date: First local day.
        start_reason: Why that one.
        columns: Typed columns, in the source's order.
        left_out: Fields that get none.
    """

    granularity: Reasoned
    x_time_back: Reasoned
    start_date: date
    start_reason: str
    columns: tuple[ProposedColumn, ...]
    left_out: tuple[LeftOut, ...]


def propose(seen: SourceDescription, rules: ColumnRules, *, now: datetime, default_time_back: str) -> Proposal:
    """Return the proposal for a source.

    Args:
        seen: What was seen of it.
        rules: What targets accept as columns.
        now: The present instant.
        default_time_back: x_time_back where it can't be measured.
    """
    columns, left_out = propose_columns(seen, rules)
    ingest = ingest_field(seen)
    lags = ingest_lags(seen, *ingest, rules) if ingest else []
    name = ".".join(ingest[0]) if ingest else ""
    time_back = propose_time_back(lags, name, seen.shape.visible_after, default_time_back)
    settle = timedelta(seconds=parse_time_back(time_back.value).total_seconds)
    start_date, start_reason = propose_start(seen.days, seen.timezone, settle, now)
    return Proposal(
        propose_granularity(seen.days, seen.mean_bytes),
        time_back,
        start_date,
        start_reason,
        tuple(columns),
        tuple(left_out),
    )
