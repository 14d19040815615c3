"""Report problems of a pipeline file: one `Problem` per place, each with file, path, value and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from include.pipeline_framework.config.variables import has_placeholder
from include.pipeline_framework.core.texts import did_you_mean
from include.pipeline_framework.errors import ConfigurationError, PipelineError

KeyPath = tuple[str | int, ...]
Found = tuple[KeyPath, Any, str]
"""Path, value (or `NO_VALUE`) and message of a problem, before its file and line are looked up."""

NO_VALUE: Any = object()
"""Marks a problem that has no single value to show, or one that must not be shown."""

_LONGEST_VALUE = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a file.

    Attributes:
        file: The file with the problem.
        path: Keys from the root of the file, for example `("target", "columns", "year", "type")`.
        line: Line in the file, from 1; None when the place is a missing key.
        column: Column in the line, from 1; only for YAML syntax.
        value: The value at this place, or `NO_VALUE`.
        message: What is wrong and what is allowed.
    """

    file: str
    path: KeyPath = ()
    line: int | None = None
    column: int | None = None
    value: Any = NO_VALUE
    message: str = ""

    @property
    def key(self) -> str:
        """Return the path as people write it: `target.columns.year.type`, `email_list[0]`."""
        return key_of(self.path)

    def __str__(self) -> str:
        """Return one line: file, line, path, value, message."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        value = "" if self.value is NO_VALUE else _shown(self.value)
        return ": ".join(part for part in (place, self.key, value, self.message) if part)


def key_of(path: KeyPath) -> str:
    """Return a path as people write it: `sources[1].target.table`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def configuration_error(problems: Sequence[Problem], where: str) -> ConfigurationError:
    """Return one error with all problems of one pipeline."""
    lines = [str(problem) for problem in problems]
    what = lines[0] if len(lines) == 1 else "\n".join([f"{len(lines)} problems:", *(f"  - {line}" for line in lines)])
    return ConfigurationError(
        what,
        where=where,
        meaning="The pipeline was not loaded; nothing runs with a wrong configuration",
        remedy="Correct the places named above; the JSON schema beside the file lists every key.",
    )


def one_line(error: Exception) -> str:
    """Return an error of the framework as text without its `where`; any other one as its own text."""
    if not isinstance(error, PipelineError):
        return str(error)
    return ". ".join(part.rstrip(".") for part in (error.what, error.meaning, error.remedy) if part)


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    data: Mapping[str, Any],
    *,
    base: KeyPath = (),
    also: Sequence[str] = (),
) -> list[Found]:
    """Return path, value and message of each pydantic error, in the file's own terms.

    Args:
        error: The error from validating `data` with `model`.
        model: Gives the known keys for "did you mean".
        data: The validated data; it shows which parts of pydantic's paths are union branches, which are left out.
        base: Path of `data` in the file.
        also: Keys that the file may have beside the model's own.
    """
    found: dict[KeyPath, tuple[Any, list[str]]] = {}
    for item in error.errors(include_url=False):
        value = item["input"]
        if has_placeholder(value):  # it is validated when its variable is known
            continue
        path, message = _path_in(data, item["loc"]), item["msg"]
        if item["type"] == "extra_forbidden":
            path = (*_path_in(data, item["loc"][:-1]), item["loc"][-1])
            message = (
                f"unknown key; {did_you_mean(path[-1], [*known_keys(model, path[:-1]), *([] if path[:-1] else also)])}"
            )
        elif item["type"] == "missing":
            path, value = (*_path_in(data, item["loc"][:-1]), item["loc"][-1]), NO_VALUE
            message = "is missing; give it here or in defaults.yaml" if not (base or path[:-1]) else "is missing"
        elif item["type"] in ("model_type", "dict_type"):
            message = "it must be a mapping"
        elif isinstance(cause := item.get("ctx", {}).get("error"), Exception):
            message = one_line(cause)
        else:
            message = message.replace("Input should be", "it must be").replace("String should", "it should")
        _, messages = found.setdefault(base + path, (value, []))
        if message not in messages:
            messages.append(message)
    return [(path, value, " or ".join(messages)) for path, (value, messages) in found.items()]


def known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that a model allows at a path inside it; none when that is not a model."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    branches = [schema]
    for part in path:
        branches = [inner for branch in branches for inner in _inner(branch, part, definitions)]
    return sorted({key for branch in branches for key in branch.get("properties", {})})


def _inner(schema: Mapping[str, Any], part: str | int, definitions: Mapping[str, Any]) -> list[dict[str, Any]]:
    patterns = schema.get("patternProperties", {}).values()
    candidates = (
        schema.get("properties", {}).get(part),
        *patterns,
        schema.get("additionalProperties"),
        schema.get("items"),
    )
    inner = next((candidate for candidate in candidates if candidate), None)
    if not isinstance(inner, dict):
        return []
    branches = inner.get("anyOf") or inner.get("oneOf") or [inner]
    return [
        definitions.get(branch["$ref"].rpartition("/")[2], {}) if "$ref" in branch else branch for branch in branches
    ]


def _path_in(data: Any, loc: Sequence[str | int]) -> KeyPath:
    path: list[str | int] = []
    for part in loc:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(part)
    return tuple(path)


def _shown(value: Any) -> str:
    """Return a scalar as written; of a list or mapping only its kind, as it may hold what must not be shown."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
