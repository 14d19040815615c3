"""Settings that all DAGs of the bundle share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from include.orchestration.notifications import email_notifiers
from include.orchestration.retries import RETRY_POLICY
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.lifecycle.leases import DEFAULT_MAX_RETRY

START_DATE = datetime(2013, 1, 1, tzinfo=UTC)
"""Airflow needs a start date; the ledger decides which windows exist, and catchup is always off."""


def default_args(config: PipelineConfig | None = None) -> dict[str, Any]:
    """Return e-mail settings, and `retries` with exponential backoff and jitter, for transient errors only."""
    return {
        "owner": "data-engineering",
        "retries": config.max_retry_task if config else DEFAULT_MAX_RETRY,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=10),
        "retry_policy": RETRY_POLICY,
        **(email_notifiers(config) if config else {}),
    }
