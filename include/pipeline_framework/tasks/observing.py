"""Decorators that log structured lines with timing, and retry with exponential backoff (requirements 2 and 3).

The framework's own use cases have them, and a team's own functions may: both come from `include.framework`.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from include.pipeline_framework.core.texts import storable
from include.pipeline_framework.errors import InvalidInputError, TransientError

P = ParamSpec("P")
R = TypeVar("R")

_LONGEST_ERROR = 500


def log_execution(event: str | None = None, **keys: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Log each call as one structured line when it ends: event, keys, `status` and `seconds`.

    `status` is `completed`, or `failed` with the error's class and text; the error is raised further.

    Args:
        event: Name of the event; the function's name when not given.
        keys: For each name in the line, the argument shown, or with a dot an attribute (`"config.source_object"`).

    >>> @log_execution("doubled", of="number")
    ... def double(number: int) -> int:
    ...     return 2 * number
    >>> with structlog.testing.capture_logs() as lines:
    ...     _ = double(4)
    >>> [(line["event"], line["of"], line["status"]) for line in lines]
    [('doubled', 4, 'completed')]

    Raises:
        InvalidInputError: The function has no such argument; raised at once.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        _require_arguments(function, signature, keys)
        name = event or function.__name__

        @functools.wraps(function)
        def logged(*args: P.args, **kwargs: P.kwargs) -> R:
            log = structlog.get_logger(function.__module__).bind(**_shown(signature, keys, args, kwargs))
            started = time.monotonic()
            try:
                result = function(*args, **kwargs)
            except Exception as error:
                text = storable(str(error), _LONGEST_ERROR)
                log.warning(name, status="failed", seconds=_since(started), error=type(error).__name__, reason=text)
                raise
            log.info(name, status="completed", seconds=_since(started))
            return result

        return logged

    return decorate


def retry_with_backoff(
    *,
    tries: int = 3,
    first_delay_seconds: float = 1,
    longest_delay_seconds: float = 60,
    on: type[Exception] | tuple[type[Exception], ...] = TransientError,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Call a function again when it fails with a transient error: delays double, with jitter, up to a longest one.

    The last error is raised further. Use it only where a repeat is safe; Airflow's own retries come on top.

    Args:
        tries: The number of calls in all.
        first_delay_seconds: The longest delay before the second call.
        longest_delay_seconds: The longest delay before any call.
        on: The errors after which it is called again.

    >>> left = [TransientError("not yet"), TransientError("not yet")]
    >>> @retry_with_backoff(first_delay_seconds=0.001)
    ... def answer() -> int:
    ...     if left:
    ...         raise left.pop()
    ...     return 42
    >>> answer()
    42
    """
    if tries < 1:
        raise InvalidInputError(f"tries is {tries}", remedy="Give how often the function is called in all, 1 or more.")

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        def tell(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            structlog.get_logger(function.__module__).warning(
                f"{function.__name__} is tried again",
                status="retried",
                attempt=state.attempt_number,
                delay_seconds=round(state.upcoming_sleep, 3),
                error=type(error).__name__,
                reason=storable(str(error), _LONGEST_ERROR),
            )

        @functools.wraps(function)
        def retried(*args: P.args, **kwargs: P.kwargs) -> R:
            retrying = Retrying(
                retry=retry_if_exception_type(on),
                stop=stop_after_attempt(tries),
                wait=wait_random_exponential(multiplier=first_delay_seconds, max=longest_delay_seconds),
                before_sleep=tell,
                reraise=True,
            )
            return retrying(function, *args, **kwargs)

        return retried

    return decorate


def _require_arguments(function: Callable[..., Any], signature: inspect.Signature, keys: Mapping[str, str]) -> None:
    unknown = sorted({path.partition(".")[0] for path in keys.values()} - signature.parameters.keys())
    if unknown:
        raise InvalidInputError(
            f"{function.__qualname__} has no argument {', '.join(unknown)}",
            where=function.__module__,
            meaning="Its log lines could not show it",
            remedy=f"Choose from {', '.join(signature.parameters)}.",
        )


def _shown(
    signature: inspect.Signature, keys: Mapping[str, str], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:  # the call itself raises this, with a better text
        return {}
    bound.apply_defaults()
    found = {}
    for name, path in keys.items():
        value: Any = bound.arguments
        for position, part in enumerate(path.split(".")):
            value = value[part] if position == 0 or isinstance(value, Mapping) else getattr(value, part, None)
        found[name] = value if isinstance(value, int | float | bool | None) else str(value)
    return found


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
