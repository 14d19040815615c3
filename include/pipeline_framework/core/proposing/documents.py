"""Flatten documents of a sample to the values at each path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]


@dataclass(slots=True)
class Seen:
    """What a sample has at one path.

    Attributes:
        values: Every value that is neither null nor a list nor an object.
        arrays: Documents that have a list there.
        objects: Documents that have an object there.
        documents: Documents that have anything but null there.
    """

    values: list[Any] = field(default_factory=list)
    arrays: int = 0
    objects: int = 0
    documents: int = 0


def flatten(documents: Iterable[Any], *, dots_nest: bool) -> dict[Path, Seen]:
    """Return what the documents have at each path, in the order of first appearance; nothing below a list.

    >>> seen = flatten([{"a": {"b": 1}, "c": [{"d": 2}]}], dots_nest=True)
    >>> {path: (at.values, at.arrays) for path, at in seen.items()}
    {('a',): ([], 0), ('a', 'b'): ([1], 0), ('c',): ([], 1)}

    Args:
        documents: Parsed JSON; what is no object has no paths.
        dots_nest: A key `a.b` is the path `("a", "b")`, not `("a.b",)`.
    """
    seen: dict[Path, Seen] = {}
    for document in documents:
        if isinstance(document, Mapping):
            _visit(document, (), seen, dots_nest)
    return seen


def _visit(node: Mapping[str, Any], above: Path, seen: dict[Path, Seen], dots_nest: bool) -> None:
    for key, value in node.items():
        path = (*above, *(key.split(".") if dots_nest else (key,)))
        if value is None:
            continue
        at = seen.setdefault(path, Seen())
        at.documents += 1
        if isinstance(value, list):
            at.arrays += 1
        elif isinstance(value, Mapping):
            at.objects += 1
            _visit(value, path, seen, dots_nest)
        else:
            at.values.append(value)
