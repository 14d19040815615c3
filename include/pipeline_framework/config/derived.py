"""Compute the nine derived columns of a window, by a template or a function of the pipeline's own.

A pipeline's YAML may say for each of them either a template, ``key_x: "{source_object}/{target_day}"`` (fields:
`core.derived.TEMPLATE_FIELDS`), or a function, ``key_x: {callable: package.module:function}``, which is called with the
five arguments of requirement 3. For a column that it leaves out, `core.derived.DEFAULT_TEMPLATES` is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from include.pipeline_framework.core.records.derived import (
    DEFAULT_TEMPLATES,
    WindowTexts,
    partly_filled,
    render,
    shared_values,
    template_values,
)
from include.pipeline_framework.core.records.planning import PlacedWindow
from include.pipeline_framework.core.texts import is_storable, shown
from include.pipeline_framework.core.time.days import rules
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError


def derive(
    final_config: Mapping[str, Any],
    name: str,
    target_day: Any,
    window_start_time: Any,
    window_end_time: Any,
    time_interval: Any,
) -> Any:
    """Return the value of one derived column, by `final_config["derived"]`, else by its default template.

    A configuration as small as `{timezone, x_time_back, granularity, default_record}` is enough.

    Raises:
        InvalidInputError: `name` is not one of the nine.
        ConfigurationError: The entry is neither a template nor a function; or the function can't be imported, raises,
            or returns what the column can't hold.
    """
    if name not in DEFAULT_TEMPLATES:
        raise InvalidInputError(f"{name!r} is not a derived column", remedy=f"Use {', '.join(DEFAULT_TEMPLATES)}.")
    arguments = (target_day, window_start_time, window_end_time, time_interval)
    template, function = _rule(final_config, name)
    if function:
        return _called(name, function, final_config, *arguments)
    return render(template, template_values(final_config, *arguments))


def deriving(final_config: Mapping[str, Any]) -> Callable[[PlacedWindow], dict[str, Any]]:
    """Return a function that gives a window's nine derived columns, each as `derive` gives it.

    What all windows of the configuration have in common is put into their templates once.

    Raises:
        InvalidInputError: A template is wrong.
        ConfigurationError: An entry is neither a template nor a function. The returned function raises it as `derive`
            does.
    """
    found = {name: _rule(final_config, name) for name in DEFAULT_TEMPLATES}
    shared, zone = shared_values(final_config), rules(final_config.get("timezone") or "UTC")
    templates = {name: partly_filled(template, shared) for name, (template, function) in found.items() if not function}
    same = {name: template for name, template in templates.items() if not {"{", "}"} & set(template)}
    varying = {name: template for name, template in templates.items() if name not in same}
    functions = {name: function for name, (_, function) in found.items() if function}

    def columns(placed: PlacedWindow) -> dict[str, Any]:
        window = placed.window
        texts = WindowTexts(placed.day.date.isoformat(), window.start, window.end, placed.interval, zone)
        made: dict[str, Any] = {**same, **{name: template.format_map(texts) for name, template in varying.items()}}
        if functions:
            arguments = placed.arguments
            made |= {name: _called(name, reference, final_config, *arguments) for name, reference in functions.items()}
        return made

    return columns


def _rule(final_config: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Return the template of a column and an empty text, or an empty text and the function's reference."""
    rule = (final_config.get("derived") or {}).get(name) or DEFAULT_TEMPLATES[name]
    if isinstance(rule, str):
        return rule, ""
    if isinstance(rule, Mapping) and isinstance(rule.get("callable"), str) and rule["callable"]:
        return "", rule["callable"]
    raise ConfigurationError(
        f"derived.{name} is {rule!r}", remedy="Write a template, or {callable: package.module:function}."
    )


def function_x(
    final_config: Mapping[str, Any], target_day: Any, window_start_time: Any, window_end_time: Any, time_interval: Any
) -> Any:
    """Return `key_x` of a window (requirement 3); by default its path: source object, local day, start."""
    return derive(final_config, "key_x", target_day, window_start_time, window_end_time, time_interval)


def function_y(
    final_config: Mapping[str, Any], target_day: Any, window_start_time: Any, window_end_time: Any, time_interval: Any
) -> Any:
    """Return `key_y` of a window (requirement 3); by default pipeline and bounds, unique per window."""
    return derive(final_config, "key_y", target_day, window_start_time, window_end_time, time_interval)


def function_z(
    final_config: Mapping[str, Any], target_day: Any, window_start_time: Any, window_end_time: Any, time_interval: Any
) -> Any:
    """Return `key_z` of a window (requirement 3); by default the route and the window's length."""
    return derive(final_config, "key_z", target_day, window_start_time, window_end_time, time_interval)


def _called(name: str, reference: str, *arguments: Any) -> Any:
    function = import_callable(reference)
    try:
        value = function(*arguments)
    except Exception as error:
        raise _bad_function(name, reference, f"raised {type(error).__name__}: {error}") from error
    if value is not None and not isinstance(value, str | int | float):
        raise _bad_function(name, reference, f"returned {shown(value)}, which is no text, number or None")
    if isinstance(value, str) and not is_storable(value):
        raise _bad_function(name, reference, f"returned {shown(value)}, which no database can hold")
    return value


def _bad_function(name: str, reference: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"the function {reference} {what}",
        where=f"derived.{name}",
        meaning="The rows that need it were not written",
        remedy="Correct the function: it gets (final_config, target_day, start, end, interval) and returns text.",
    )


@lru_cache(maxsize=256)
def import_callable(reference: str) -> Callable[..., Any]:
    """Return the function at `package.module:function`; it is imported at first use, never when a DAG file is parsed.

    Raises:
        ConfigurationError: There is no such module or function; the import's own error is the cause.
    """
    module, _, name = reference.partition(":")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:
        raise ConfigurationError(
            f"{reference!r} can't be imported: {type(error).__name__}: {error}",
            remedy="Write package.module:function, importable from the repository's root.",
        ) from error
    if not callable(found):
        raise ConfigurationError(f"{reference!r} is not a function", remedy="Name a function of the module.")
    function: Callable[..., Any] = found
    return function
