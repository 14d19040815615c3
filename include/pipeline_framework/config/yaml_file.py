"""Read YAML files as plain data with line numbers; dates stay text, duplicate keys are problems, not overwrites."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from include.pipeline_framework.config.problems import KeyPath, Problem

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc]
    """The safe loader without timestamps: the models read dates, so that a wrong one is reported with its place."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and shape are PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
    }


MAX_BYTES = 1_000_000
MAX_VALUES = 20_000
"""The most values of one file, with aliases followed: a few lines of aliases of aliases would give billions."""


MAX_LEVELS = 50


class _NoPipelineError(ValueError):
    """The file is an alias bomb, or nested too deeply."""


@dataclass(slots=True)
class YamlFile:
    """One file as it was read.

    Attributes:
        path: The file.
        data: Its mapping; empty when the file is empty or can't be read.
        items: Its list, when the root of the file is a list and may be one.
        lines: Line (from 1) of each key and list item, by its path.
        problems: Its problems as YAML.
    """

    path: Path
    data: dict[str, Any] = field(default_factory=dict)
    items: list[Any] | None = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_yaml(path: Path, *, may_be_list: bool = False) -> YamlFile:
    """Read one file; every problem is added to `problems`, and nothing is raised.

    Only the safe subset of YAML is read: a tag that would build an object is a problem. With `may_be_list` the root may
    also be a list; then the rest stays readable beside wrong keys, so that they concern only their own item.
    """
    read = YamlFile(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise OSError(f"it has more than {MAX_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        read.problems.append(Problem(str(path), message=f"can't be read: {error}"))
        return read
    try:
        _require_shallow(text)
        node = loader.get_single_node()
        if node is None:
            return read
        walk = _Walk(read, may_be_list)
        walk.visit(node, (), frozenset())
        if not read.problems or (may_be_list and not walk.is_unreadable):
            found = loader.construct_document(node)
            read.data, read.items = (found, None) if isinstance(found, dict) else ({}, found)
    except _NoPipelineError as error:
        read.problems = [Problem(str(path), message=str(error))]
    except (yaml.YAMLError, ValueError) as error:
        read.problems.append(_syntax_problem(path, error))
    finally:
        loader.dispose()
    return read


def _require_shallow(text: str) -> None:
    """Refuse deep nesting before nodes are made of it: libyaml's composer recurses until the process dies."""
    level = 0
    for event in yaml.parse(text, Loader=_Loader):
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if level > MAX_LEVELS:
            raise _NoPipelineError(f"it is nested more than {MAX_LEVELS} levels deep")


@dataclass(slots=True)
class _Walk:
    """Notes the line of every key and finds what YAML allows but a pipeline file must not have."""

    read: YamlFile
    may_be_list: bool = False
    visited: int = 0
    is_unreadable: bool = False

    def visit(self, node: yaml.Node, path: KeyPath, ancestors: frozenset[int]) -> None:
        self.visited += 1
        if self.visited > MAX_VALUES:
            raise _NoPipelineError(f"it has more than {MAX_VALUES:,} values, with its aliases followed")
        if id(node) in ancestors:
            self.is_unreadable = True
            self._problem(node, path, "an alias may not contain itself")
        elif isinstance(node, yaml.MappingNode):
            self._mapping(node, path, ancestors | {id(node)})
        elif not path and not (self.may_be_list and isinstance(node, yaml.SequenceNode)):
            self.is_unreadable = True
            self._problem(node, path, "the file must be a mapping of keys to values")
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.read.lines[(*path, index)] = item.start_mark.line + 1
                self.visit(item, (*path, index), ancestors | {id(node)})

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, ancestors: frozenset[int]) -> None:
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == "tag:yaml.org,2002:merge":
                self.visit(value, (*path, key.value), ancestors)
                continue
            if key.tag != "tag:yaml.org,2002:str":
                shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                self._problem(key, path, f"the key {shown} is not text; put it in quotes")
                continue
            if key.value in seen:
                first = seen[key.value]
                self._problem(key, (*path, key.value), f"duplicate key, first given in line {first}; keep one")
                continue
            seen[key.value] = line
            self.read.lines[(*path, key.value)] = line
            self.visit(value, (*path, key.value), ancestors)

    def _problem(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.read.problems.append(Problem(str(self.read.path), path, node.start_mark.line + 1, message=message))


def _syntax_problem(path: Path, error: Exception) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    message = f"YAML syntax: {what}{f' ({context})' if context else ''}"
    if mark is None:
        return Problem(str(path), message=message)
    return Problem(str(path), line=mark.line + 1, column=mark.column + 1, message=message)
