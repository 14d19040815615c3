"""Bodies of the tasks of DAGs that consume a pipeline's windows."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import get_current_context

from include.orchestration import task_runs
from include.pipeline_framework.tasks.consume_windows import Announcement
from include.wiring.workspace import Workspace

_log = logging.getLogger(__name__)


def log_announced_windows() -> list[dict[str, Any]]:
    """Log the windows whose asset events triggered this run, with their rows; skipped if no event did."""
    task_runs.conf()  # the DAG has no params: any key is a mistake
    events = get_current_context()["triggering_asset_events"]
    announcements = [
        Announcement(event.source_dag_id, event.partition_key)
        for of_asset in events.values()
        for event in of_asset
        if event.source_dag_id and event.partition_key
    ]
    if not announcements:
        task_runs.skip("no event of a window triggered this run (a person did, say)")
    windows = Workspace().announced(announcements)
    for window in windows:
        _log.info("%s %s: %s rows, %s", window["source_object"], window["local"], window["rows"], window["status"])
    return windows
