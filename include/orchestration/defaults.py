"""What every DAG of the bundle has in common."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from include.orchestration.notifications import email_notifiers
from include.orchestration.retries import RETRY_POLICY
from include.pipeline_framework.config.models import PipelineConfig

START_DATE = datetime(2013, 1, 1, tzinfo=UTC)
"""Airflow needs one; which windows exist is the ledger's matter, catchup is always off."""


def default_args(config: PipelineConfig | None = None) -> dict[str, Any]:
    """Retries with exponential backoff and jitter for transient errors (`retries`), none for terminal ones; e-mail."""
    return {
        "owner": "data-engineering",
        "retries": config.max_retry_task if config else 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=10),
        "retry_policy": RETRY_POLICY,
        **(email_notifiers(config) if config else {}),
    }
