"""Choose which past days of a pipeline without any row one run plans."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.time.days import LocalDay, existing_days, local_day_of
from include.pipeline_framework.core.time.windows import tile_count
from include.pipeline_framework.ports.ledger import LedgerReads
from include.pipeline_framework.tasks.state_manager import known_marks


@dataclass(frozen=True, slots=True)
class MissingDays:
    """Past days without any row: those planned now, the first of the others, and a text about them."""

    days: Sequence[LocalDay] = ()
    first: LocalDay | None = None
    note: str = ""


def missing_days(configs: Sequence[PipelineConfig], store: LedgerReads, now: datetime) -> dict[str, MissingDays]:
    """Return by source object whole days, newest first; two statements for all sources.

    So yesterday never waits behind a `start_date` moved back by years. Days that a repair has found whole are not read.
    """
    filling = [config for config in configs if config.horizon.fill_missing_days and config.horizon.enabled]
    since = {name: known.since for name, known in known_marks(filling, store).items()} if filling else {}
    planned = store.planned_days(since) if filling else {}
    nothing = MissingDays()
    found = {config.source_object: nothing for config in configs}
    for config in filling:
        name = config.source_object
        found[name] = _of_source(config, since[name] or config.horizon.start_date, frozenset(planned[name]), now)
    return found


def _of_source(config: PipelineConfig, since: date, planned: Collection[date], now: datetime) -> MissingDays:
    horizon, room = config.horizon, config.state_manager_window_limit
    today = local_day_of(now, config.timezone)
    past = existing_days(max(horizon.start_date, since), today.date - timedelta(days=1), config.timezone)
    missing = [day for day in past if day.date not in planned and not horizon.refusal(day)]
    left, taken = list(missing), list[LocalDay]()
    while left and left[-1].window:
        room -= tile_count(left[-1].window, config.window_granularity)
        if room < 0:
            break
        taken.append(left.pop())
    if not left:
        return MissingDays(taken)
    note = (
        f"{len(left)} days without any row, {left[0]} to {left[-1]}, are not planned: one run plans at most "
        f"{config.state_manager_window_limit} windows of missing days (state_manager_window_limit), the newest first; "
        "the next runs go on; all at once with backfill_windows"
    )
    return MissingDays(taken, left[0], note)
