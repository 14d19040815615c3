"""Every error of the tree: its four parts, and that it survives the way between two processes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from include.pipeline_framework import errors
from include.pipeline_framework.errors import (
    ConfigurationError,
    InvalidInputError,
    LedgerRefusedError,
    PipelineError,
    ServiceBusyError,
    TerminalError,
    TransientError,
    WindowHeldError,
)


def _tree(cls: type[PipelineError]) -> Iterator[type[PipelineError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _tree(child)


# an adapter may refine one of them for itself
CLASSES = [cls for cls in _tree(PipelineError) if cls.__module__ == errors.__name__]
RETRIED = {
    "ServiceUnavailableError", "ServiceBusyError", "IncompleteExtractError", "TornStageError", "PublishConflictError",
    "TargetBusyError", "LedgerChangedError",
}  # fmt: skip


def test_the_tree_is_the_one_in_the_module_docstring() -> None:
    drawn = [line.split("── ")[1].split()[0] for line in (errors.__doc__ or "").splitlines() if "── " in line]
    assert sorted([*drawn, "PipelineError"]) == sorted(cls.__name__ for cls in CLASSES)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_says_when_to_expect_it(cls: type[PipelineError]) -> None:
    assert cls.__doc__


@pytest.mark.parametrize("cls", CLASSES)
def test_a_round_trip_through_pickle_keeps_class_and_fields(cls: type[PipelineError]) -> None:
    error = cls("rows differ", where="flights 42", meaning="Nothing was loaded", remedy="Run it again.")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is cls
    fields = ("what", "where", "meaning", "remedy", "args")
    assert [getattr(copy, name) for name in fields] == [getattr(error, name) for name in fields]
    assert str(copy) == str(error)


def test_how_long_a_busy_system_asked_for_survives_pickle_too() -> None:
    error = ServiceBusyError("too much to do").asking_for(90)
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (copy.retry_after_seconds, copy.__notes__) == (90, ["a note"])


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "rows differ"),
        ({"where": "flights 42"}, "rows differ [flights 42]"),
        ({"meaning": "Nothing was loaded"}, "rows differ. Nothing was loaded"),
        ({"remedy": "Run it again."}, "rows differ. What to do: Run it again"),
        (
            {"where": "flights 42", "meaning": "Nothing was loaded.", "remedy": "Run it again."},
            "rows differ [flights 42]. Nothing was loaded. What to do: Run it again",
        ),
    ],
)
def test_the_parts_are_one_line(parts: dict[str, str], text: str) -> None:
    assert str(PipelineError("rows differ", **parts)) == text


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls not in (PipelineError, TransientError, TerminalError)])
def test_each_is_either_retried_or_not(cls: type[PipelineError]) -> None:
    assert issubclass(cls, TransientError) == (cls.__name__ in RETRIED)
    assert issubclass(cls, TransientError) != issubclass(cls, TerminalError)


def test_wrong_input_is_a_value_error_too() -> None:
    assert issubclass(InvalidInputError, ValueError)
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(WindowHeldError, LedgerRefusedError)
