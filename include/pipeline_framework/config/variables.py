"""Replace environment-specific values: `${NAME}` and `${NAME:-default}` in the sections `source`, `stage`, `target`.

They stay unchanged while a DAG file is parsed, where only their spelling is checked. When a task runs, they are
replaced by a callable that returns a variable's text or None (the orchestration passes Airflow Variables). A variable
that is not set and has no default is an error. The result is text; nothing in it is replaced again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

Variables = Callable[[str], str | None]
"""A function of a variable's name that returns its text, or None when it isn't set."""

PLACEHOLDER_SECTIONS = ("source", "stage", "target")
"""Sections that may have placeholders; the others are needed at DAG parse time, so they are the same everywhere."""

_PLACEHOLDER = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}$]*))?\}")


def has_placeholder(value: Any) -> bool:
    """True when a value is text with `${` in it, spelled correctly or not."""
    return isinstance(value, str) and "${" in value


def spelling_problem(text: str) -> str | None:
    """Return what is wrong with the placeholders of a text, or None."""
    if "${" in _PLACEHOLDER.sub("", text):
        return "a placeholder is ${VARIABLE_NAME} or ${VARIABLE_NAME:-default}, not nested"
    return None


def substitute(value: Any, variables: Variables, missing: list[str]) -> Any:
    """Return a copy of plain data with placeholders replaced; names without value and default are added to `missing`.

    A text with a missing variable stays unchanged.
    """
    if isinstance(value, dict):
        return {key: substitute(inner, variables, missing) for key, inner in value.items()}
    if isinstance(value, list):
        return [substitute(inner, variables, missing) for inner in value]
    if not has_placeholder(value):
        return value
    return _substitute_text(value, variables, missing)


def _substitute_text(text: str, variables: Variables, missing: list[str]) -> str:
    values: dict[str, str] = {}
    for match in _PLACEHOLDER.finditer(text):
        found = variables(match["name"])
        found = match["default"] if found is None else found
        if found is None:
            missing.append(match["name"])
            return text
        values[match[0]] = found
    return _PLACEHOLDER.sub(lambda match: values[match[0]], text)


def texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterable[tuple[tuple[str | int, ...], str]]:
    """Return every text inside plain data, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, (*path, index))
