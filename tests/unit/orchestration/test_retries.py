"""The retry policy's decisions, as the failed task's own process makes them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseOperator, RetryAction

from include.orchestration.defaults import default_args
from include.orchestration.retries import JITTER, PATIENCE, RETRY_POLICY
from include.pipeline_framework.errors import (
    AuditFailedError,
    BadDocumentError,
    ConfigurationError,
    FenceLostError,
    IncompleteExtractError,
    InvalidInputError,
    PublishConflictError,
    ServiceBusyError,
    ServiceUnavailableError,
    TornStageError,
)
from tests.unit.tasks.world import config

TERMINAL = (AuditFailedError, BadDocumentError, ConfigurationError, FenceLostError, InvalidInputError)
TRANSIENT = (IncompleteExtractError, ServiceUnavailableError, TornStageError)
BUSY = (PublishConflictError, ServiceBusyError)

TASK = BaseOperator(task_id="a_task", **default_args(config(max_retry_task=6)))


def decide(error: BaseException, try_number: int = 1, max_tries: int = 6, task: Any = TASK) -> Any:
    return TASK.retry_policy.evaluate(error, try_number, max_tries, {"task": task})


def seconds(error: BaseException, try_number: int = 1, **more: Any) -> float:
    decision = decide(error, try_number, **more)
    assert decision.action is RetryAction.RETRY
    return float(decision.retry_delay.total_seconds())


def test_every_task_has_it() -> None:
    assert TASK.retry_policy is RETRY_POLICY
    assert TASK.retries == 6


@pytest.mark.parametrize("cls", TERMINAL)
def test_a_terminal_error_fails_at_once(cls: type[Exception]) -> None:
    decision = decide(cls("no"))
    assert (decision.action, decision.retry_delay) == (RetryAction.FAIL, None)
    assert decision.reason.startswith("terminal")


@pytest.mark.parametrize("cls", [*TRANSIENT, ZeroDivisionError])
def test_a_transient_error_is_tried_again_after_a_growing_delay(cls: type[Exception]) -> None:
    for _ in range(50):
        delays = [seconds(cls("not now"), number) for number in range(1, 7)]
        steps = [30, 60, 120, 240, 480, 600]  # the last is max_retry_delay
        for delay, step in zip(delays, steps, strict=True):
            assert step * (1 - JITTER) <= delay <= step * (1 + JITTER)
        assert all(later > earlier for earlier, later in pairwise(delays[:5]))


def test_windows_that_fail_together_do_not_come_back_together() -> None:
    """Airflow's own delay is the same for all mapped tasks of a run: its jitter knows no map index."""
    delays = {round(seconds(ServiceUnavailableError("not now"))) for _ in range(200)}
    assert len(delays) > 8
    assert max(delays) - min(delays) > 30 * JITTER


@pytest.mark.parametrize("cls", BUSY)
def test_a_busy_system_is_left_alone_longer(cls: type[Exception]) -> None:
    for number in range(1, 7):
        plain = [seconds(ServiceUnavailableError("x"), number) for _ in range(30)]
        assert min(seconds(cls("busy"), number) for _ in range(30)) > max(plain)
        assert PATIENCE > (1 + JITTER) / (1 - JITTER)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(None, 90, 150), (5, 90, 150), (1_800, 1_800, 2_250), (10**6, 3_600, 4_500), (0, 90, 150)],
)
def test_retry_after_is_honoured_and_never_all_at_the_same_moment(
    asked: float | None, least: float, most: float
) -> None:
    delays = [seconds(ServiceBusyError("busy").asking_for(asked)) for _ in range(100)]
    assert least <= min(delays) and max(delays) <= most
    assert len(set(delays)) > 90


def test_after_a_clear_the_delays_begin_anew() -> None:
    """Airflow goes on counting: a task that failed 7 times and is cleared starts try 8 with max_tries 13."""
    assert seconds(ServiceUnavailableError("x"), 8, max_tries=13) <= 30 * (1 + JITTER)
    assert seconds(ServiceUnavailableError("x"), 9, max_tries=13) >= 60 * (1 - JITTER)


def test_a_tasks_own_delay_counts() -> None:
    quick = SimpleNamespace(
        retries=3, retry_delay=timedelta(seconds=10), retry_exponential_backoff=2.0, max_retry_delay=None
    )
    assert 7.5 <= seconds(ServiceUnavailableError("x"), task=quick, max_tries=3) <= 12.5


def test_without_a_context_it_decides_too() -> None:
    decision = RETRY_POLICY.evaluate(ServiceUnavailableError("x"), 1, 3)
    assert timedelta(minutes=3) < decision.retry_delay < timedelta(minutes=7)
