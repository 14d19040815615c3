"""Check the raw data for what a model can't check: secrets, placeholders, aliases, the file's own name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from include.pipeline_framework.config.derived import import_callable
from include.pipeline_framework.config.derived_columns import CallableRule
from include.pipeline_framework.config.file_sources import SOURCES, FileSource
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.config.problems import NO_VALUE, Found, KeyPath, one_line
from include.pipeline_framework.config.variables import PLACEHOLDER_SECTIONS, has_placeholder, spelling_problem, texts
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError

_SECRET_KEY = re.compile(
    r"(^|_)(password|passwd|passphrase|pwd|secret|token|api_?key|access_key|private_key|credentials?)(_|$)",
    re.IGNORECASE,
)
_SECRET_URL = re.compile(r"\w://[^/\s:@]*:[^/\s@]+@")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_$]+([.-][A-Za-z0-9_$]+)*")
_INDEX = re.compile(r"[a-z0-9_*.][a-z0-9_*.:+-]*(,-?[a-z0-9_*.][a-z0-9_*.:+-]*)*")
_NAMES = dict.fromkeys(("database", "schema", "table", "stage_name", "storage_integration"), _IDENTIFIER) | {
    "index": _INDEX
}
_ALLOWED_IN_NAMES = {
    _IDENTIFIER: "letters, digits, '_' and '$' only",
    _INDEX: "small letters, digits and '_ - . + * :' only, several separated by commas",
}
_NOT_FOR_DEFAULTS = {
    **dict.fromkeys(("pipeline_id", "source_object"), "belongs to one pipeline; it can't have a default"),
    SOURCES: "belongs into a pipeline file; defaults.yaml is beneath all of them",
}
_ANY_NAME = ("columns",)  # below these, keys are names of the data and not settings


def found_before_the_models(source: FileSource, defaults: dict[str, Any]) -> list[Found]:
    """Return the problems of a source, its shared part and the defaults before their merged values are validated."""
    said = (source.own, source.shared, defaults)
    return [
        *source.found,
        *((((key,), NO_VALUE, text)) for key, text in _NOT_FOR_DEFAULTS.items() if key in defaults),
        *(found for data in said for found in _granularity_spellings(data)),
        *(found for data in said for found in secrets(data)),
        *(found for data in said for found in _placeholders(data)),
    ]


def name_problems(role: str, options: dict[str, Any]) -> Iterator[Found]:
    """Find names of tables and indexes that could be more than a name, whatever the adapter itself allows."""
    for option, allowed in _NAMES.items():
        value = options.get(option)
        if isinstance(value, str) and not has_placeholder(value) and not allowed.fullmatch(value):
            yield (role, option), value, f"is not a name; {_ALLOWED_IN_NAMES[allowed]}"


def unimportable_callables(config: PipelineConfig) -> Iterator[tuple[KeyPath, str]]:
    """Find functions of `derived` that can't be imported; it imports them, so not for the parse of a DAG file."""
    for name in type(config.derived).model_fields:
        rule = getattr(config.derived, name)
        if isinstance(rule, CallableRule):
            try:
                import_callable(rule.callable)
            except ConfigurationError as error:
                yield ("derived", name, "callable"), one_line(error)


def _granularity_spellings(data: dict[str, Any]) -> Iterator[Found]:
    names = ("granularity", "query_window_delta_label")
    if not all(isinstance(data.get(name), str) for name in names):
        return
    try:
        same = len({parse_granularity(data[name]) for name in names}) == 1
    except InvalidInputError:
        same = False
    if not same:
        yield (
            ("query_window_delta_label",),
            data["query_window_delta_label"],
            f"is another name of granularity, which says {data['granularity']!r}; keep one",
        )


def secrets(data: Any, path: KeyPath = ()) -> Iterator[Found]:
    """Find keys and values that look like credentials; the values are never repeated."""
    if isinstance(data, dict):
        for key, inner in data.items():
            if _SECRET_KEY.search(str(key)) and not (path and path[-1] in _ANY_NAME):
                yield (*path, key), NO_VALUE, "looks like a secret; put it into the Airflow connection of connection_id"
            else:
                yield from secrets(inner, (*path, key))
    elif isinstance(data, list):
        for index, inner in enumerate(data):
            yield from secrets(inner, (*path, index))
    elif isinstance(data, str) and _SECRET_URL.search(data):
        yield path, NO_VALUE, "has a password in it; put it into the Airflow connection of connection_id"


def _placeholders(data: dict[str, Any]) -> Iterator[Found]:
    for path, text in texts(data):
        if not has_placeholder(text):
            continue
        if path[0] not in PLACEHOLDER_SECTIONS or path[1:] == ("type",):
            places = ", ".join(PLACEHOLDER_SECTIONS)
            yield path, text, f"a placeholder may stand only in {places} (and not as their type)"
        elif problem := spelling_problem(text):
            yield path, text, problem
