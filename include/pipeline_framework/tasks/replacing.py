"""Replace live rows that a person asked to load again, or to cut again; a run does this before it claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records import planning
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.ledger import LedgerWindows, Record


def replace(
    config: PipelineConfig,
    rows: Sequence[LedgerRow],
    store: LedgerWindows,
    actor: Actor,
    request: RunRequest,
    *,
    dry_run: bool,
) -> list[str]:
    """Give each row a replacement with its own window; rows that a run's earlier try has replaced are skipped."""
    final_config = config.final_config()
    labels = []
    for row in rows:
        window = row.window
        if not dry_run and not _replaced_by_this_run(row, store, actor):
            store.replace([row.id], [_asked_row(final_config, window)], actor, request.reason)
        labels.append(window.local_label(config.timezone))
    return labels


def recut(
    config: PipelineConfig,
    live: dict[TimeWindow, list[TimeWindow]],
    store: LedgerWindows,
    actor: Actor,
    reason: str,
    *,
    dry_run: bool,
) -> list[TimeWindow]:
    """Replace the live windows that the asked ones cut; return the new ones. A run's second try finds none cut."""
    final_config, new = config.final_config(), list[TimeWindow]()
    for cut in planning.recut(list(live), {row for rows in live.values() for row in rows}):
        if not dry_run:
            ids = [row.id for row in store.find(source_object=config.source_object, within=cut.replaced)]
            store.replace(ids, [_asked_row(final_config, window) for window in cut.windows], actor, reason)
        new += cut.windows
    return new


def _asked_row(final_config: Mapping[str, Any], window: TimeWindow) -> Record:
    """Return a row that a person has asked for: its load may delete rows."""
    return planning.planned_row(final_config, window, deriving) | {"is_removal_approved_flag": True}


def _replaced_by_this_run(row: LedgerRow, store: LedgerWindows, actor: Actor) -> bool:
    """True for a replacement that this run planned and finished: when cleared, the run must not replace it again."""
    if not row.is_replacement_run_flag:
        return False
    planned = store.events(row.id)[0]
    return (planned["dag_id"], planned["dag_run_id"]) == (actor.dag_id, actor.dag_run_id)
