"""Params that several DAGs share: the trigger form asks for the same thing in the same words everywhere."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

TEXT: dict[str, Any] = {"type": ["null", "string"]}
"""JSON schema of a text that may be omitted."""

DATE: dict[str, Any] = {**TEXT, "format": "date"}
"""JSON schema of a date (YYYY-MM-DD) that may be omitted."""


def range_params() -> dict[str, Param]:
    """Return `from`, `to` and `target_date`: the days that a person asks for; see `core.records.run_requests`."""
    return {
        "from": Param(None, **TEXT, description="Start: 2013-03-09 (local) or 2013-03-09T05:00:00Z."),
        "to": Param(None, **TEXT, description="Exclusive end: 2013-03-10 (local) or 2013-03-09T06:00:00Z."),
        "target_date": Param(None, **DATE, description="One local day."),
    }


def pipelines_param(description: str) -> Param:
    """Return the ids of pipelines, as a list that may be omitted."""
    return Param(None, type=["null", "array"], items={"type": "string"}, description=description)
