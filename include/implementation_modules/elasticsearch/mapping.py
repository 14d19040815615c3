"""Reads the mappings of an index pattern as fields of the documents, for the proposal of a new pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from include.pipeline_framework.core.proposing.description import Kind, SourceField

_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("long", "integer", "short", "byte", "unsigned_long"), "integer"),
    **dict.fromkeys(("double", "float", "half_float", "scaled_float"), "number"),
    "boolean": "boolean",
    **dict.fromkeys(("date", "date_nanos"), "timestamp"),
    **dict.fromkeys(
        ("keyword", "constant_keyword", "wildcard", "text", "match_only_text", "search_as_you_type"), "text"
    ),
    **dict.fromkeys(("ip", "version", "binary"), "text"),
    **dict.fromkeys(("nested", "flattened", "object", "dense_vector", "sparse_vector", "histogram"), "nested"),
    **dict.fromkeys(("integer_range", "long_range", "float_range", "double_range", "date_range", "ip_range"), "nested"),
    **dict.fromkeys(("alias", "token_count"), "absent"),
}
"""Mapping types as kinds; the sample decides about all others."""

_TIMES = frozenset({"date", "date_nanos"})
_UNITS = ("epoch_second", "epoch_millis")
_PLAIN_FORMATS = frozenset(
    f"{strict}{name}"
    for name in ("date_optional_time", "date_optional_time_nanos", "date_time", "date_time_no_millis", "date")
    for strict in ("", "strict_")
)
_DEFAULT_FORMAT = "strict_date_optional_time||epoch_millis"
_LIKELY_TIMES = ("@timestamp", "timestamp", "event_time", "time", "datetime", "date", "ts")


def fields_of(mappings: Iterable[Mapping[str, Any]]) -> tuple[SourceField, ...]:
    """Return the fields of all indices; one whose type differs between them is of kind `unknown`.

    Args:
        mappings: The member `mappings` of each index.
    """
    found: dict[tuple[str, ...], SourceField] = {}
    copies: set[str] = set()
    for mapping in mappings:
        for field, body in _walk(mapping.get("properties") or {}, ()):
            copied = body.get("copy_to") or ()
            copies |= {copied} if isinstance(copied, str) else set(copied)
            before = found.get(field.path)
            if before and before.type != field.type:
                types = sorted({*before.type.split(" and "), field.type})
                same = before.kind if before.kind == field.kind else "unknown"
                field = replace(field, type=" and ".join(types), kind=same, unit=before.unit or field.unit)
            found[field.path] = field
    return tuple(replace(each, kind="absent") if each.name in copies else each for each in found.values())


def time_fields_of(fields: Iterable[SourceField]) -> tuple[str, ...]:
    """Return the fields that can be an event time, the likeliest first; none below nested objects."""
    known = list(fields)
    nested = [each.path for each in known if "nested" in each.type.split(" and ")]
    names = [
        each.name
        for each in known
        if set(each.type.split(" and ")) <= _TIMES and not any(each.path[: len(path)] == path for path in nested)
    ]
    ranks = {name: rank for rank, name in enumerate(_LIKELY_TIMES)}
    return tuple(sorted(names, key=lambda name: (ranks.get(name, len(ranks)), name.count("."))))


def _walk(properties: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[SourceField, Mapping[str, Any]]]:
    for key, body in properties.items():
        path = (*above, *key.split("."))  # with `subobjects: false`, keys have dots
        below = body.get("properties") or {}
        field_type = body.get("type") or "object"
        if not below or field_type == "nested":
            yield _field(path, field_type, str(body.get("format") or "")), body
        for name, other in (body.get("fields") or {}).items():
            if (
                other.get("type") in _TIMES
            ):  # the same text, indexed as a date, too: an event time, but no value of its own
                yield SourceField((*path, *name.split(".")), other["type"], "absent"), other
        yield from _walk(below, path)


def _field(path: tuple[str, ...], field_type: str, written: str) -> SourceField:
    kind = _KINDS.get(field_type, "unknown")
    if kind != "timestamp":
        return SourceField(path, field_type, kind)
    formats = (written or _DEFAULT_FORMAT).split("||")
    unit = next((each for each in formats if each in _UNITS), "")
    if all(each in _PLAIN_FORMATS or each in _UNITS for each in formats):
        return SourceField(path, field_type, kind, unit)
    return SourceField(path, field_type, "unknown", unit, f"format {written}")
