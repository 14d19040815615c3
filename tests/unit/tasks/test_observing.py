"""The decorators that a team's own functions import, too: what a line says, and when a call is repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from include import framework
from include.pipeline_framework.errors import BadDocumentError, InvalidInputError, ServiceUnavailableError
from include.pipeline_framework.tasks.observing import log_execution, retry_with_backoff


@dataclass
class Config:
    source_object: str
    final: dict[str, Any]


CONFIG = Config("flights", {"timezone": "UTC"})


@log_execution("loaded", source="config.source_object", zone="config.final.timezone", rows="rows")
def load(config: Config, rows: int = 3, *, fails: bool = False) -> int:
    """Load."""
    if fails:
        raise BadDocumentError("a\0b")
    return rows * 2


def test_a_call_is_one_line_with_its_keys_status_and_seconds() -> None:
    with capture_logs() as lines:
        assert load(CONFIG, rows=4) == 8
    (line,) = lines
    assert line.pop("seconds") >= 0
    assert line == {
        "event": "loaded", "source": "flights", "zone": "UTC", "rows": 4, "status": "completed", "log_level": "info"
    }  # fmt: skip


def test_defaults_are_shown_and_the_function_is_still_itself() -> None:
    with capture_logs() as lines:
        load(CONFIG)
    assert lines[0]["rows"] == 3
    assert (load.__name__, load.__doc__) == ("load", "Load.")


def test_an_error_is_a_line_and_goes_on() -> None:
    with capture_logs() as lines, pytest.raises(BadDocumentError):
        load(CONFIG, fails=True)
    (line,) = lines
    assert (line["status"], line["error"], line["reason"]) == ("failed", "BadDocumentError", "a\\x00b")
    assert line["log_level"] == "warning"


def test_a_wrong_call_is_refused_as_python_does_it() -> None:
    with pytest.raises(TypeError, match="config"):
        load()  # type: ignore[call-arg]


def test_a_key_that_is_no_argument_is_refused_when_the_function_is_made() -> None:
    with pytest.raises(InvalidInputError, match="has no argument nobody"):

        @log_execution(who="nobody.name")
        def one(config: Config) -> None:
            del config


@pytest.mark.parametrize(("failures", "tries", "calls"), [(0, 3, 1), (2, 3, 3), (5, 3, 3), (1, 1, 1)])
def test_a_call_is_repeated_as_long_as_its_error_may_pass(failures: int, tries: int, calls: int) -> None:
    done: list[int] = []

    @retry_with_backoff(tries=tries, first_delay_seconds=0.001)
    def ask() -> str:
        done.append(1)
        if len(done) <= failures:
            raise ServiceUnavailableError(f"not yet {len(done)}")
        return "answer"

    with capture_logs() as lines:
        if failures >= tries:
            with pytest.raises(ServiceUnavailableError, match=f"not yet {tries}"):
                ask()
        else:
            assert ask() == "answer"
    assert len(done) == calls
    assert [(line["status"], line["attempt"]) for line in lines] == [("retried", n + 1) for n in range(calls - 1)]


def test_an_error_that_does_not_pass_is_not_repeated() -> None:
    done: list[int] = []

    @retry_with_backoff(first_delay_seconds=0.001)
    def ask() -> None:
        done.append(1)
        raise BadDocumentError("bad")

    with pytest.raises(BadDocumentError):
        ask()
    assert len(done) == 1


def test_delays_double_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)

    @retry_with_backoff(tries=8, first_delay_seconds=1, longest_delay_seconds=8)
    def ask() -> None:
        raise ServiceUnavailableError("no")

    with pytest.raises(ServiceUnavailableError):
        ask()
    assert len(slept) == 7
    assert all(delay <= min(2**number, 8) for number, delay in enumerate(slept))


def test_senseless_tries_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="tries is 0"):
        retry_with_backoff(tries=0)


def test_both_come_from_the_framework() -> None:
    assert framework.log_execution is log_execution
    assert framework.retry_with_backoff is retry_with_backoff
