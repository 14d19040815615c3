"""Backfill campaigns: what somebody asks to load (again), which windows that means, and how far the campaign is.

A campaign is one row, and a number on its windows; the pipeline's own runs claim them. Windows that another unfinished
campaign has stay with that one, so two campaigns never load a window twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from include.pipeline_framework.core.lifecycle.transitions import Transition
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.planning import recut
from include.pipeline_framework.core.records.row import FINISHED, Status
from include.pipeline_framework.core.time.windows import TimeWindow, uncovered
from include.pipeline_framework.errors import IllegalTransitionError, InvalidInputError, WindowHeldError


class Mode(StrEnum):
    """Selects the windows of the asked ranges that a campaign loads.

    `missing`: those without a live row, and planned ones that have not run. `failed`: FAILED ones. `all`: both, and
    finished ones are replaced.
    """

    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"


class Order(StrEnum):
    """Decides which of a campaign's windows are claimed first."""

    OLDEST_FIRST = "oldest_first"
    NEWEST_FIRST = "newest_first"


class CampaignState(StrEnum):
    """Decides whether a campaign's windows may be claimed."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLED = "CANCELLED"


class Step(StrEnum):
    """Names what is done with a window when a campaign starts."""

    INSERT = "insert"
    JOIN = "join"
    REPLACE = "replace"
    NOT_ASKED = "not asked for by this mode"
    HELD = "held by a run"
    ELSEWHERE = "left to another campaign"
    CUT = "only a part of it was asked for"
    OWN = "joined already"


DOES = (Step.INSERT, Step.JOIN, Step.REPLACE)
"""Steps that change the ledger."""

FROM_STATES = {
    CampaignState.PAUSED: (CampaignState.RUNNING, CampaignState.PAUSED),
    CampaignState.RUNNING: (CampaignState.PAUSED, CampaignState.RUNNING),
    CampaignState.CANCELLED: (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.CANCELLED),
}
"""For each state, the states from which it can be reached; asking for the present one again changes nothing."""


@dataclass(frozen=True, slots=True)
class CampaignWindow:
    """One step of starting a campaign.

    Attributes:
        step: The step to do, or why nothing is done.
        windows: The windows to plan with `insert` and `replace`; otherwise the row's own window.
        rows: Ids of the ledger rows that the step is about.
    """

    step: Step
    windows: tuple[TimeWindow, ...]
    rows: tuple[int, ...] = ()


def campaign_windows(
    mode: Mode,
    grid: Sequence[TimeWindow],
    rows: Sequence[LedgerRow],
    campaign_id: int | None,
    unfinished: Collection[int],
) -> list[CampaignWindow]:
    """Return the steps that a campaign means for the ledger now, in order of time; asked again, it does what is left.

    Args:
        mode: Selects the windows.
        grid: The windows that the asked ranges should have; they don't overlap each other.
        rows: Live rows that overlap any of them.
        campaign_id: The campaign itself, if it was started before.
        unfinished: Campaigns that still have windows to load, without cancelled ones.
    """
    found: list[CampaignWindow] = []
    cut = recut(grid, [row.window for row in rows]) if mode == Mode.ALL else []
    by_window = {row.window: row for row in rows}
    cutting: set[TimeWindow] = set()
    for piece in cut:
        cut_rows = [by_window[window] for window in piece.replaced]
        steps = {_step_of(mode, row, campaign_id, unfinished) for row in cut_rows}
        blocked = steps & {Step.HELD, Step.ELSEWHERE, Step.OWN}
        whole = not any(uncovered(window, piece.windows) for window in piece.replaced)
        step = min(blocked) if blocked else Step.REPLACE if whole else Step.CUT
        windows = piece.windows if step == Step.REPLACE else piece.replaced
        found.append(CampaignWindow(step, windows, tuple(row.id for row in cut_rows)))
        cutting |= {*piece.windows, *piece.replaced}
    for row in rows:
        window = row.window
        if window not in cutting:
            found.append(CampaignWindow(_step_of(mode, row, campaign_id, unfinished), (window,), (row.id,)))
    if mode != Mode.FAILED:
        for window in grid:
            pieces = () if window in cutting else uncovered(window, by_window)
            found += [CampaignWindow(Step.INSERT, (piece,)) for piece in pieces]
    return sorted(found, key=lambda step: step.windows)


def join(row: LedgerRow, now: datetime, campaign_id: int, priority: int) -> Transition:
    """Add a window that waits, or has FAILED, to the campaign; FAILED starts over with `retry_attempt` 0.

    Raises:
        WindowHeldError: A run is moving it.
        IllegalTransitionError: The window is finished, or its row was invalidated.
    """
    del now
    status = row.pipeline_final_status
    if status == Status.IN_PROGRESS:
        raise WindowHeldError(f"the window is held by run {row.dag_run_id} of {row.dag_id}", where=row.where)
    if row.is_invalidated_flag or status in FINISHED:
        raise IllegalTransitionError(f"a window that is {status} can't join a campaign", where=row.where)
    if row.campaign_id == campaign_id and status == Status.PENDING:
        return Transition("joined_campaign")
    changes: dict[str, Any] = {"campaign_id": campaign_id, "priority": priority, "not_before_at": None}
    if status == Status.FAILED:
        owner = {"dag_id": None, "dag_run_id": None, "pipeline_locked_at": None, "heartbeat_at": None}
        changes |= {**owner, "pipeline_final_status": Status.PENDING, "pipeline_end_time": None, "retry_attempt": 0}
    numbers = {"campaign_id": campaign_id, "priority_before": row.priority}
    return Transition("joined_campaign", changes, f"campaign {campaign_id}", numbers)


def priority_before(events: Sequence[Mapping[str, Any]]) -> int:
    """Return the priority a window had before it joined its first campaign; `events` are its history, oldest first."""
    joined = (event["numbers"]["priority_before"] for event in events if event["event"] == "joined_campaign")
    return int(next(joined, 0))


def leave(row: LedgerRow, now: datetime, priority: int) -> Transition:
    """Take a waiting window out of its campaign; a window that is not waiting does not change."""
    del now
    if row.pipeline_final_status != Status.PENDING or row.campaign_id is None:
        return Transition("left_campaign")
    changes = {"campaign_id": None, "priority": priority}
    return Transition("left_campaign", changes, f"campaign {row.campaign_id} was cancelled")


def progress(campaign: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far a campaign is, from its row with the figures of its windows.

    `state` is DONE when nothing is left to do, PLANNING while its windows still join; `eta_seconds` is how long the
    rest takes at the pace so far, None before the first window is done or while nothing may run.
    """
    total, done, left = (int(campaign[name]) for name in ("total", "done", "remaining"))
    running, failed = int(campaign["running"]), int(campaign["failed"])
    state = campaign["state"]
    if state == CampaignState.RUNNING and campaign["planned_at"] is None:
        state = "PLANNING"
    elif state != CampaignState.CANCELLED and campaign["planned_at"] is not None and not left and not running:
        state = "DONE"
    eta = None
    if state == CampaignState.RUNNING and done and campaign["last_done_at"]:
        spent: timedelta = campaign["last_done_at"] - campaign["created_at"]
        eta = round(spent.total_seconds() / done * (left + running))
    names = ("campaign_id", "source_object", "mode", "window_order", "concurrency", "priority", "reason", "created_at")
    return {
        **{name: campaign[name] for name in names},
        "state": str(state),
        "total": total,
        "done": done,
        "running": running,
        "failed": failed,
        "remaining": left,
        "percent": round(100 * done / total, 1) if total else 100.0,
        "eta_seconds": eta,
    }


def require_campaign(
    rows: Sequence[Mapping[str, Any]], campaign_id: int, state: str | None = None
) -> Mapping[str, Any]:
    """Return the campaign, or refuse when there is none.

    Raises:
        InvalidInputError: There is no campaign of this number, or it can't get to this state.
    """
    if rows:
        return rows[0]
    what = f"there is no campaign {campaign_id}"
    if state:
        what += f", or it is cancelled and can't become {state}"
    raise InvalidInputError(what, remedy="List them with: python -m include.cli backfill list.")


def _step_of(mode: Mode, row: LedgerRow, campaign_id: int | None, unfinished: Collection[int]) -> Step:
    status, owner = row.pipeline_final_status, row.campaign_id
    if owner is not None and owner == campaign_id:
        return Step.OWN
    if owner in unfinished:
        return Step.ELSEWHERE
    if status == Status.IN_PROGRESS:
        return Step.HELD
    if status in FINISHED:
        return Step.REPLACE if mode == Mode.ALL else Step.NOT_ASKED
    if status == Status.FAILED:
        return Step.NOT_ASKED if mode == Mode.MISSING else Step.JOIN
    return Step.NOT_ASKED if mode == Mode.FAILED else Step.JOIN
