"""Find the sources in a pipeline file: one pipeline, or a list of sources over a shared part.

A file is one pipeline, named by the file. With a key `sources`, a list of mappings, they share everything else in the
file, merged as `defaults.yaml` is; a file whose root is a list is the same without a shared part. A problem in one
item concerns that item alone; a problem in the shared part concerns every source that has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from include.pipeline_framework.config.models import EXTERNAL, PIPELINE_ID
from include.pipeline_framework.config.problems import NO_VALUE, Found, KeyPath, Problem, configuration_error, key_of
from include.pipeline_framework.config.variables import PLACEHOLDER_SECTIONS
from include.pipeline_framework.config.yaml_file import YamlFile, read_yaml
from include.pipeline_framework.core.texts import did_you_mean
from include.pipeline_framework.errors import ConfigurationError

DEFAULTS = "defaults"
SOURCES = "sources"

_ALIAS, _GRANULARITY = "query_window_delta_label", "granularity"
_IDENTITY = ("pipeline_id", "source_object")
_ID_RULE = "a small letter, then small letters, digits and '_'"
_ROOT_LIST = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s|#[^\n]*\n)*[-\[&!%]")
"""The start of a file whose root is a list: comments, then an item, a bracket, or a character allowed before one."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """One pipeline as its file defines it.

    Attributes:
        file: The file.
        pipeline_id: Its id; None when it has no valid one.
        own: The keys of this source alone.
        shared: The keys that all sources of the file share; empty without a list.
        base: Path of `own` in the file: `()`, `("sources", 1)` or `(1,)`.
        found: Problems of its identity, by paths below `base`.
        is_mapping: False when it is no mapping, so that nothing more can be checked.
    """

    file: YamlFile
    pipeline_id: str | None
    own: dict[str, Any]
    shared: dict[str, Any] = field(default_factory=dict)
    base: KeyPath = ()
    found: tuple[Found, ...] = ()
    is_mapping: bool = True

    @property
    def name(self) -> str:
        """Return its id, or its place when it has none."""
        return self.pipeline_id or f"{self.file.path.name} {key_of(self.base)}".strip()

    @property
    def place(self) -> str:
        """Return where it is, for messages about another place."""
        return (
            f"{self.file.path}:{self.file.lines[self.base]} ({key_of(self.base)})" if self.base else str(self.file.path)
        )

    @property
    def source_object(self) -> str | None:
        """Return the ledger's key that it claims; None when it has no valid one."""
        value = self.own.get("source_object")
        return value if isinstance(value, str) else None

    @property
    def at(self) -> tuple[Path, KeyPath]:
        """Return what distinguishes it from every other source of a directory."""
        return self.file.path, self.base

    def merged(self, defaults: dict[str, Any]) -> dict[str, Any]:
        """Return all its keys: the defaults, over them the shared ones, over those its own."""
        return merged(merged(defaults, self.shared), self.own)

    def problem(self, path: KeyPath, value: Any, message: str, defaults: YamlFile | None = None) -> Problem:
        """Return the problem at the line of its key: in the item, else in the shared part, else in the defaults."""
        candidates = [(self.file, (*self.base, *path))]
        candidates += [(self.file, path)] if path and path[0] in self.shared else []
        candidates += [(defaults, path)] if defaults else []
        for file, place in candidates:
            if place in file.lines:
                return Problem(str(file.path), place, file.lines[place], value=value, message=message)
        return Problem(
            str(self.file.path), (*self.base, *path), self.file.lines.get(self.base), value=value, message=message
        )

    @property
    def key_problems(self) -> list[Problem]:
        """Return the problems of its keys as YAML; without a list, those of all of the file."""
        return [problem for problem in self.file.problems if problem.path[: len(self.base)] == self.base]

    def is_shared(self, problem: Problem) -> bool:
        """True when a problem of this source is one of the file, because it is in the shared part."""
        return bool(self.base) and problem.file == str(self.file.path) and problem.path[: len(self.base)] != self.base


@dataclass(frozen=True, slots=True)
class FileSources:
    """Every pipeline of one file, and the problems of the file as a whole."""

    file: YamlFile
    is_list: bool
    sources: tuple[FileSource, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def name(self) -> str:
        """Return the name of the file as a whole; it is never the id of a pipeline in a list."""
        return self.file.path.name if self.is_list else self.file.path.stem


def pipeline_files(directory: Path) -> list[Path]:
    """Return the pipelines' files: every `*.yaml` but `defaults.yaml`, in order."""
    return sorted(path for path in directory.glob("*.yaml") if path.stem != DEFAULTS)


def read_sources(path: Path) -> FileSources:
    """Return the sources in a file, looking at nothing but their names; nothing is raised."""
    file = read_yaml(path, may_be_list=True)
    if file.items is None and SOURCES not in file.data:
        return FileSources(file, False, (_single(file),), tuple(file.problems))
    items, base = (file.items, ()) if file.items is not None else (file.data[SOURCES], (SOURCES,))
    shared = {key: value for key, value in file.data.items() if key != SOURCES}
    if not isinstance(items, list) or not items:
        message = "must be a list of mappings, one for each source" if items else "the list has no source"
        found = Problem(str(path), base, file.lines.get(base), value=items or NO_VALUE, message=message)
        return FileSources(file, True, (), (*file.problems, found))
    sources = [_listed(file, shared, (*base, index), item) for index, item in enumerate(items)]
    bases = {source.base for source in sources}
    problems = [each for each in file.problems if each.path[: len(base) + 1] not in bases]
    problems += [
        Problem(str(path), (key,), file.lines[(key,)], message="belongs to one source; give it in its item of sources")
        for key in _IDENTITY
        if key in shared
    ]
    return FileSources(file, True, tuple(sources), tuple(problems))


def find_source(pipeline_id: str, directory: Path) -> tuple[FileSources, FileSource]:
    """Return a pipeline's source by its id, and its file.

    Every parse of a DAG file calls this, so it reads as little as possible: `<id>.yaml`, else only files that contain
    the id and may have a list.

    Raises:
        ConfigurationError: There is no such pipeline, or the file that should have it is wrong.
    """
    path = directory / f"{pipeline_id}.yaml"
    broken: list[Problem] = []
    if is_id(pipeline_id):
        named = [path] if path.is_file() else []
        for candidate in chain(named, _files_that_hold(pipeline_id, directory, but=path)):
            read = read_sources(candidate)
            for source in read.sources:
                if source.pipeline_id == pipeline_id:
                    return read, source
            broken += read.problems
            broken += [source.problem(*each) for source in read.sources if candidate == path for each in source.found]
    if broken:
        raise configuration_error(broken, where=f"pipeline {pipeline_id}")
    known = [source.pipeline_id for source in all_sources(directory) if source.pipeline_id]
    raise ConfigurationError(
        f"there is no pipeline {pipeline_id!r}; {did_you_mean(pipeline_id, known) or 'there is none at all'}",
        where=str(path),
        remedy="Name an existing pipeline, or create one with the command line.",
    )


def all_sources(directory: Path) -> Iterator[FileSource]:
    """Return every pipeline of every file, in file order; nothing is checked."""
    for path in pipeline_files(directory):
        yield from read_sources(path).sources


def duplicates_of(source: FileSource, read: FileSources, directory: Path) -> list[Problem]:
    """Return other sources with its id or `source_object`; another file is parsed only when it contains the text."""
    others = list(read.sources)
    for path in pipeline_files(directory):
        if path != read.file.path and _may_claim(path, source):
            others += read_sources(path).sources
    return [problem for one, problem in duplicates(others) if one.at == source.at]


def duplicates(sources: Iterable[FileSource]) -> list[tuple[FileSource, Problem]]:
    """Return every source whose id or `source_object` another one also has, with a problem that names the others."""
    found: dict[tuple[Any, ...], tuple[FileSource, Problem]] = {}
    known = list(sources)
    for key, why in (
        ("source_object", "two pipelines would claim each other's windows"),
        ("pipeline_id", "an id names one pipeline and its DAG"),
    ):
        owners: dict[str, list[FileSource]] = {}
        for source in known:
            if value := getattr(source, key):
                owners.setdefault(value, []).append(source)
        for value, group in owners.items():
            for one in group:
                others = [other for other in group if other is not one]
                places = tuple(other.place for other in others)
                if others and (one.at, places) not in found:  # an id that follows source_object is reported once
                    message = f"also in {', '.join(places)}; {why}"
                    found[one.at, places] = one, one.problem((key,), value, message)
    return list(found.values())


def is_id(text: str) -> bool:
    """True when a text can be the id of a pipeline."""
    return bool(re.fullmatch(PIPELINE_ID, text)) and text != DEFAULTS


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge values over base values: mappings key by key, everything else as a whole.

    The base of a section applies only to its own adapter type; either spelling of the granularity replaces both.
    A pipeline that another system moves takes no section from one that this bundle moves.
    """
    beneath = dict(base)
    if _ALIAS in over or _GRANULARITY in over:
        beneath.pop(_ALIAS, None)
        beneath.pop(_GRANULARITY, None)
    for role in PLACEHOLDER_SECTIONS:
        ours, theirs = over.get(role), beneath.get(role)
        if over.get("moved_by") == EXTERNAL != base.get("moved_by"):
            beneath.pop(role, None)
            continue
        if (
            isinstance(ours, dict)
            and isinstance(theirs, dict)
            and ours.get("type", theirs.get("type")) != theirs.get("type")
        ):
            beneath.pop(role)
    return _deep_merged(beneath, over)


def _deep_merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _deep_merged(result[key], value) if both else value
    return result


def _single(file: YamlFile) -> FileSource:
    stem = file.path.stem
    found: list[Found] = []
    if not is_id(stem):
        found.append((("pipeline_id",), stem, f"the file's name is the id: {_ID_RULE}"))
    elif file.data.get("pipeline_id", stem) != stem:
        message = f"it must be the file's name, {stem}; or leave it out"
        found.append((("pipeline_id",), file.data["pipeline_id"], message))
    return FileSource(file, stem, file.data, found=tuple(found))


def _listed(file: YamlFile, shared: dict[str, Any], base: KeyPath, item: Any) -> FileSource:
    if not isinstance(item, dict):
        found: Found = ((), item, "a source must be a mapping of its own keys")
        return FileSource(file, None, {}, shared, base, (found,), is_mapping=False)
    problems: list[Found] = []
    if SOURCES in item:
        problems.append(((SOURCES,), NO_VALUE, "a source can't have sources of its own; put them into the same list"))
    name, key = item.get("pipeline_id", item.get("source_object")), "pipeline_id"
    has_id = isinstance(name, str) and is_id(name)
    if not has_id and key in item:
        problems.append(((key,), name, f"can't be an id: {_ID_RULE}"))
    elif not has_id and name is None:
        problems.append((("source_object",), NO_VALUE, "is missing; every source of a list has its own"))
    elif not has_id:
        problems.append(((key,), NO_VALUE, f"is missing: source_object {name!r} can't be the id, too; {_ID_RULE}"))
    return FileSource(file, name if has_id else None, item, shared, base, tuple(problems))


def _files_that_hold(pipeline_id: str, directory: Path, *, but: Path) -> Iterator[Path]:
    for path in pipeline_files(directory):
        text = b"" if path == but else _bytes_of(path)
        if pipeline_id.encode() in text and _may_have_list(text):
            yield path


def _may_claim(path: Path, source: FileSource) -> bool:
    text = _bytes_of(path)
    if source.source_object and source.source_object.encode() in text:
        return True
    return bool(source.pipeline_id) and str(source.pipeline_id).encode() in text and _may_have_list(text)


def _may_have_list(text: bytes) -> bool:
    return SOURCES.encode() in text or _ROOT_LIST.match(text) is not None


def _bytes_of(path: Path) -> bytes:
    with suppress(OSError):  # its own pipeline reports the problem
        return path.read_bytes()
    return b""
