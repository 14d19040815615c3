"""Define the facts about an instant of a source, beside its ledger row, and the form of their explanation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from include.pipeline_framework.core.lifecycle.leases import (
    DEFAULT_DAGRUN_TIMEOUT,
    DEFAULT_MAX_RETRY,
    DEFAULT_STALE_THRESHOLD,
    RunState,
)
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.validation import is_future_data
from include.pipeline_framework.core.time.days import LocalDay, local_day_of, zone
from include.pipeline_framework.core.time.durations import parse_time_back
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.windows import iso_utc

NextRun = Callable[[datetime], datetime | None]
"""A function of an instant that returns the first scheduled run after it; None when there is no schedule."""

NOT_PLANNED, OUTSIDE_HORIZON, DISABLED, GAP, INVALIDATED, NO_PIPELINE = (
    "NOT_PLANNED", "OUTSIDE_HORIZON", "DISABLED", "GAP", "INVALIDATED", "NO_PIPELINE",
)  # fmt: skip
"""States of an instant that no live row covers."""

_NUMBERS = (
    "source_count", "staged_count", "quarantined_count", "loaded_count", "target_count", "count_difference", "fence",
    "retry_attempt", "priority",
)  # fmt: skip


def _never(_after: datetime) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts that are known beside the row.

    Attributes:
        source_object, timezone: The source, and the zone of its days and of all texts.
        instant: The instant that somebody asked about.
        pipeline_id: The pipeline of the file; None: no file has this source (any more).
        horizon: The pipeline's horizon; None without a file.
        x_time_back, max_retry_task, stale_threshold, dagrun_timeout: The pipeline's settings.
        next_run: When the pipeline's schedule fires next.
        next_planning: When the daily planner runs next.
        run_state: The state that Airflow reports for the run that owns the row.
        campaign: The row's backfill campaign with `state`, `concurrency`, `running`; None: it has none.
        full_caps: Limits of `max_windows_in_progress` that allow no further window now.
        ahead: The number of windows that are claimed before this one; None: not known.
        invalidated: Invalidated rows that cover the instant, oldest first.
        is_day_planned: True when the instant's local day has any live row.
        is_external: True when another system moves the data, so that no run of this bundle claims it.
    """

    source_object: str
    timezone: str
    instant: datetime
    pipeline_id: str | None = None
    horizon: Horizon | None = None
    x_time_back: str | None = None
    max_retry_task: int = DEFAULT_MAX_RETRY
    stale_threshold: timedelta = DEFAULT_STALE_THRESHOLD
    dagrun_timeout: timedelta = DEFAULT_DAGRUN_TIMEOUT
    next_run: NextRun = _never
    next_planning: NextRun = _never
    run_state: RunState = RunState.UNKNOWN
    campaign: Mapping[str, Any] | None = None
    full_caps: tuple[str, ...] = ()
    ahead: int | None = None
    invalidated: tuple[LedgerRow, ...] = ()
    is_day_planned: bool = False
    is_external: bool = False

    @property
    def day(self) -> LocalDay:
        """Return the instant's local day."""
        return local_day_of(self.instant, self.timezone)

    @property
    def dag(self) -> str:
        """Return the pipeline's DAG; the planner's when another system moves the data."""
        if self.is_external:
            return "daily_planner"
        return f"data_pipeline_{self.pipeline_id}" if self.pipeline_id else "the pipeline's DAG"

    def show(self, instant: datetime) -> str:
        """Return an instant in the pipeline's zone and in UTC."""
        return show(instant, self.timezone)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to why a window is in its state.

    Attributes:
        state: A status of the ledger, or one of this module's states for time without a live row.
        sentences: The state in sentences, the most important first.
        next: The next event, or what a person can do; never empty.
        next_at: When it happens; None: at no known time, or only when a person acts.
        reason: The last error, refusal or limit; empty when nothing stops the window.
        holder: `(dag_id, dag_run_id)` of the run that has it, or that finished it.
        lease_ends_at: When the running task's lease ends unless it is renewed.
        numbers: Counts and other figures that are known.
    """

    state: str
    sentences: tuple[str, ...]
    next: str
    next_at: datetime | None = None
    reason: str = ""
    holder: tuple[str, str] | None = None
    lease_ends_at: datetime | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A cause that keeps a PENDING window from being claimed, until an instant or (None) until somebody acts."""

    sentence: str
    next: str
    until: datetime | None = None


def claimable_at(window_end: datetime, x_time_back: str | None, timezone: str) -> datetime:
    """Return the first instant, to the second, from which a window counts as settled.

    >>> from datetime import UTC
    >>> claimable_at(datetime(2013, 3, 10, 6, tzinfo=UTC), "1d", "America/New_York").isoformat()
    '2013-03-11T05:00:00+00:00'
    """
    if not x_time_back:
        return window_end
    latest = window_end + timedelta(seconds=parse_time_back(x_time_back).total_seconds) + timedelta(days=2)
    before, after = 0, int((latest - window_end).total_seconds())  # seconds: not settled yet, settled
    if not is_future_data(window_end, window_end, x_time_back, timezone):
        return window_end
    while after - before > 1:
        middle = (before + after) // 2
        if is_future_data(window_end, window_end + timedelta(seconds=middle), x_time_back, timezone):
            before = middle
        else:
            after = middle
    return window_end + timedelta(seconds=after)


def show(instant: datetime, timezone: str) -> str:
    """Return an instant in a zone and in UTC.

    >>> from datetime import UTC
    >>> show(datetime(2013, 3, 9, 10, 30, tzinfo=UTC), "America/New_York")
    '2013-03-09 05:30:00-05:00 (2013-03-09T10:30:00Z)'
    """
    return f"{instant.astimezone(zone(timezone)).isoformat(sep=' ', timespec='seconds')} ({iso_utc(instant)})"


def no_pipeline(facts: Facts) -> Obstacle | None:
    """Return the obstacle that no pipeline file has the source, or None."""
    if facts.pipeline_id is not None:
        return None
    return Obstacle(
        "No pipeline file has this source: its rows rest.",
        "nothing; put the pipeline's file and its DAG file back to have it run",
    )


def outside(facts: Facts) -> Obstacle | None:
    """Return the obstacle that the instant is outside the horizon or the pipeline is disabled, or None."""
    refusal = facts.horizon.refusal(facts.day) if facts.horizon else None
    if refusal is None:
        return None
    return Obstacle(
        f"{facts.day} is outside the pipeline's horizon: {refusal}. Its rows rest.",
        f"nothing; change enabled, start_date or end_date of {facts.pipeline_id} in include/pipelines to have it run",
    )


def numbers_of(row: LedgerRow) -> dict[str, Any]:
    """Return the figures of a row that are known."""
    return {name: getattr(row, name) for name in _NUMBERS if getattr(row, name) is not None}
