"""Decides which failed task is tried again, and when: transient errors after a growing, jittered delay, others never.

Airflow's own backoff is not enough here (3.3.0, `TaskInstance.next_retry_datetime`): its jitter is a hash of DAG, task,
logical date and try, which all windows of one run share, so they would all return in the same second; a fixed
`retry_delay` of a `RetryRule` has no jitter at all. So the policy, which runs in the failed task's own process,
computes the delay itself, from the task's `retry_delay`, `retry_exponential_backoff` and `max_retry_delay`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from include.pipeline_framework.core.time.delays import growing_delay
from include.pipeline_framework.errors import PublishConflictError, ServiceBusyError, TerminalError

JITTER = 0.25
"""A delay is drawn from 75 to 125 % of its step: spread out, and still always longer than the last one."""

PATIENCE = 4
"""The delay is this many times longer for a busy system: Elasticsearch's 429, S3's SlowDown, a full lock queue."""

LONGEST_RETRY_AFTER = timedelta(hours=1)
"""The longest wait that a system may ask for; a window that waits longer is better released and claimed again."""


class BackoffPolicy(RetryPolicy):
    """Fails terminal errors at once; everything else is tried again, as often as the task's `retries` allow."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Mapping[str, Any] | None = None
    ) -> RetryDecision:
        """See `RetryPolicy.evaluate`; without a context the delays are those of `BaseOperator`."""
        if isinstance(exception, TerminalError):
            return RetryDecision.fail(reason="terminal: trying again gives the same")
        task = context["task"] if context else None
        busy = isinstance(exception, ServiceBusyError | PublishConflictError)
        # a cleared task continues to count its tries, and its delays start again
        used = try_number - max(0, max_tries - getattr(task, "retries", max_tries))
        delay = _step(task, used) * (PATIENCE if busy else 1) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        asked = getattr(exception, "retry_after_seconds", None)
        if asked is not None:  # never sooner, and not all at the same moment
            least = min(timedelta(seconds=asked), LONGEST_RETRY_AFTER)
            delay = max(delay, least * random.uniform(1, 1 + JITTER))  # noqa: S311
        return RetryDecision.retry(delay, reason=f"{type(exception).__name__}: {'busy' if busy else 'transient'}")

    def serialize(self) -> dict[str, Any]:
        """Return nothing: the policy has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> BackoffPolicy:
        """Return the policy."""
        return cls()


def _step(task: Any, used: int) -> timedelta:
    """Return the delay after the `used`-th try, before jitter."""
    first: timedelta = getattr(task, "retry_delay", None) or timedelta(minutes=5)
    factor: float = getattr(task, "retry_exponential_backoff", 0) or 1
    longest: timedelta = getattr(task, "max_retry_delay", None) or timedelta(hours=24)
    return growing_delay(first, longest, failed=used, factor=factor)


RETRY_POLICY = BackoffPolicy()
