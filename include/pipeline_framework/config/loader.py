"""YAML files to `PipelineConfig`: one file per pipeline over `defaults.yaml`, all problems of a file in one report.

A file that is wrong never takes another one down, except `defaults.yaml`, which every pipeline is built on. Nothing
outside the directory is read: no variable, no connection; placeholders (see `variables`) stay as they are until
`resolve_variables`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from include.pipeline_framework.config.checks import (
    found_before_the_models,
    name_problems,
    secrets,
    unimportable_callables,
)
from include.pipeline_framework.config.columns import TargetColumns
from include.pipeline_framework.config.models import PIPELINE_ID, AdapterSection, PipelineConfig
from include.pipeline_framework.config.problems import (
    Found,
    KeyPath,
    Problem,
    configuration_error,
    known_keys,
    one_line,
    problems_of,
)
from include.pipeline_framework.config.variables import PLACEHOLDER_SECTIONS, Variables, substitute
from include.pipeline_framework.config.yaml_file import YamlFile, read_yaml
from include.pipeline_framework.core.texts import did_you_mean
from include.pipeline_framework.errors import ConfigurationError

OptionsModel = Callable[[str, str], type[BaseModel]]
"""`(role, type)` → the pydantic model of that adapter's options; raises ConfigurationError for an unknown type."""

PIPELINES_DIRECTORY = Path(
    os.environ.get("PIPELINES_DIRECTORY") or Path(__file__).resolve().parents[2] / "pipelines"
).resolve()
"""Where the files are, unless a caller says so; the environment variable keeps them outside the bundle."""

DEFAULTS = "defaults"
ROLES = PLACEHOLDER_SECTIONS

_ALIAS, _GRANULARITY = "query_window_delta_label", "granularity"


class LoadedPipelines(NamedTuple):
    """Every pipeline of a directory by its id: the good ones, and why the others are not."""

    configs: dict[str, PipelineConfig]
    errors: dict[str, ConfigurationError]


def load_pipeline(
    pipeline_id: str = "main", directory: Path | None = None, *, options_model: OptionsModel | None = None
) -> PipelineConfig:
    """One pipeline, checked; the other files are only looked at for the same `source_object`.

    Args:
        pipeline_id: The file's name without `.yaml`.
        directory: Where the files are; `PIPELINES_DIRECTORY` when not given.
        options_model: Checks the options of source, stage and target; without it they are taken as they are.

    Raises:
        ConfigurationError: All problems of the file, or there is no such file.
    """
    directory = directory or PIPELINES_DIRECTORY
    path = _file_of(pipeline_id, directory)
    config, problems = _read(path, read_yaml(path), _read_defaults(directory), options_model)
    if config is not None and not problems:
        problems = _claimed_elsewhere(path, config.source_object)
    if config is None or problems:
        raise configuration_error(problems, where=f"pipeline {pipeline_id}")
    return config


def load_final_config(
    pipeline_id: str = "main",
    directory: Path | None = None,
    *,
    options_model: OptionsModel | None = None,
    variables: Variables | None = None,
) -> dict[str, Any]:
    """Requirement 3's plain dict of a pipeline; with `variables`, placeholders are replaced.

    Raises:
        ConfigurationError: As `load_pipeline` and `resolve_variables`.
    """
    config = load_pipeline(pipeline_id, directory, options_model=options_model)
    if variables is not None:
        config = resolve_variables(config, variables, options_model=options_model)
    return config.final_config()


def load_all_pipelines(directory: Path | None = None, *, options_model: OptionsModel | None = None) -> LoadedPipelines:
    """Every pipeline of a directory; two files with one `source_object` are both refused, each naming the other."""
    configs, problems = _read_all(directory or PIPELINES_DIRECTORY, options_model)
    errors = {name: configuration_error(found, where=f"pipeline {name}") for name, found in problems.items()}
    return LoadedPipelines({name: config for name, config in configs.items() if name not in errors}, errors)


def validate_all(directory: Path | None = None, *, options_model: OptionsModel | None = None) -> list[Problem]:
    """Every problem of every file once, in file order; the pipelines' own functions are imported, too."""
    configs, problems = _read_all(directory or PIPELINES_DIRECTORY, options_model)
    found = [problem for name in sorted(problems) for problem in problems[name]]
    for name, config in configs.items():
        path = str((directory or PIPELINES_DIRECTORY) / f"{name}.yaml")
        found += [Problem(path, key, message=message) for key, message in unimportable_callables(config)]
    return list({str(problem): problem for problem in found}.values())


def resolve_variables(
    config: PipelineConfig, variables: Variables, *, options_model: OptionsModel | None = None
) -> PipelineConfig:
    """The same pipeline with every placeholder replaced; for run time only, never while a DAG file is parsed.

    `config_hash` stays that of the file as written.

    Raises:
        ConfigurationError: A variable is not set and has no default, or its value is not what the option allows.
    """
    missing: list[str] = []
    data = config.model_dump()
    data |= {role: substitute(data[role], variables, missing) for role in ROLES}
    where = f"pipeline {config.pipeline_id}"
    if missing:
        names = ", ".join(sorted(set(missing)))
        raise ConfigurationError(
            f"not set: {names}",
            where=where,
            meaning="A placeholder of its YAML has no value and no default",
            remedy="Set the Airflow Variable, or write ${NAME:-default} in the YAML file.",
        )
    if config.target_object == config.target.options.get("table"):
        del data["target_object"]  # it followed the table as written: let it follow the table as resolved
    found = list(secrets({role: data[role] for role in ROLES}))
    found += [each for role in ROLES for each in _option_problems(role, data[role], options_model)]
    resolved = config
    try:
        resolved = PipelineConfig.model_validate(data)
    except ValidationError as error:
        found += problems_of(error, PipelineConfig, data)
    if found:
        file = f"{config.pipeline_id}.yaml, with its variables"
        problems = {path: Problem(file, path, value=value, message=message) for path, value, message in reversed(found)}
        raise configuration_error([problems[path] for path in dict.fromkeys(each[0] for each in found)], where=where)
    return resolved.with_hash_of(config)


def pipeline_files(directory: Path) -> list[Path]:
    """The pipelines' files: every `*.yaml` but `defaults.yaml`, in order."""
    return sorted(path for path in directory.glob("*.yaml") if path.stem != DEFAULTS)


def _read_all(
    directory: Path, options_model: OptionsModel | None
) -> tuple[dict[str, PipelineConfig], dict[str, list[Problem]]]:
    defaults = _read_defaults(directory)
    configs: dict[str, PipelineConfig] = {}
    problems: dict[str, list[Problem]] = {}
    owners: dict[str, list[Path]] = {}
    for path in pipeline_files(directory):
        file = read_yaml(path)
        config, found = _read(path, file, defaults, options_model)
        if found:
            problems[path.stem] = found
        if config is not None:
            configs[path.stem] = config
        owners.setdefault(str(file.data.get("source_object", path)), []).append(path)
    for source_object, paths in owners.items():
        for path in paths if len(paths) > 1 else []:
            others = [other for other in paths if other != path]
            problems.setdefault(path.stem, []).append(_duplicate(path, source_object, others))
    for path in sorted(directory.glob("*.yml")):
        problems[path.stem] = [Problem(str(path), message="is not read; rename it to end with .yaml")]
    if not configs and not problems and defaults.problems:
        problems[DEFAULTS] = defaults.problems
    return configs, problems


def _read(
    path: Path, file: YamlFile, defaults: YamlFile, options_model: OptionsModel | None
) -> tuple[PipelineConfig | None, list[Problem]]:
    if file.problems or defaults.problems:
        return None, [*file.problems, *defaults.problems]
    data = _merged(defaults.data, file.data)
    found = found_before_the_models(file.data, defaults.data, path.stem)
    data.setdefault("pipeline_id", path.stem)
    names: dict[str | int, str] = {}
    if _ALIAS in data:
        names = {_GRANULARITY: _ALIAS} if _GRANULARITY not in data else {}
        data = {_GRANULARITY: data[_ALIAS], **{key: value for key, value in data.items() if key != _ALIAS}}
    config = None
    try:
        config = PipelineConfig.model_validate(data)
    except ValidationError as error:
        found += problems_of(error, PipelineConfig, data)
    for role in ROLES:
        if isinstance(data.get(role), dict):
            found += _option_problems(role, data[role], options_model)
    problems: dict[KeyPath, Problem] = {}
    for key_path, value, message in found:  # the first word on a place counts: it hides what must not be shown
        shown = tuple(names.get(part, part) for part in key_path)
        problems.setdefault(shown, _placed(file, defaults, shown, value, message))
    return config, sorted(problems.values(), key=lambda problem: (problem.file, problem.line or 0))


def _option_problems(role: str, section: dict[str, Any], options_model: OptionsModel | None) -> list[Found]:
    """What an adapter's own model says about its options; defaults of placeholders are checked, the rest waits."""
    options = {name: value for name, value in section.items() if name not in AdapterSection.model_fields}
    options = substitute(options, lambda name: None, [])
    named = list(name_problems(role, options))
    columns = _column_problems(options) if role == "target" else []
    if options_model is None or not isinstance(section.get("type"), str):
        return named + columns
    try:
        model = options_model(role, section["type"])
    except ConfigurationError as error:
        return [*named, *columns, ((role, "type"), section["type"], one_line(error))]
    found: list[Found] = []
    if model.model_config.get("extra") != "forbid":
        known = known_keys(model, ())
        found += [
            ((role, name), options[name], f"unknown key; {did_you_mean(name, known)}")
            for name in options.keys() - known
        ]
    try:
        model.model_validate(options)
    except ValidationError as error:
        found += problems_of(error, model, options, base=(role,), also=tuple(AdapterSection.model_fields))
    if columns:  # name the column, not the whole mapping
        found = [each for each in found if each[0] != (role, "columns")]
    return named + found + columns


def _column_problems(options: dict[str, Any]) -> list[Found]:
    data = {"columns": options.get("columns")}
    try:
        if isinstance(data["columns"], dict):
            TargetColumns.model_validate(data)
    except ValidationError as error:
        return problems_of(error, TargetColumns, data, base=("target",))
    return []


def _merged(defaults: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """The pipeline's values over the defaults: mappings key by key, everything else as a whole.

    Defaults of a section apply only to its own adapter type; either spelling of the granularity replaces both.
    """
    base = dict(defaults)
    if _ALIAS in over or _GRANULARITY in over:
        base.pop(_ALIAS, None)
        base.pop(_GRANULARITY, None)
    for role in ROLES:
        ours, theirs = over.get(role), base.get(role)
        if (
            isinstance(ours, dict)
            and isinstance(theirs, dict)
            and "type" in ours
            and ours["type"] != theirs.get("type")
        ):
            base.pop(role)
    return _deep_merged(base, over)


def _deep_merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _deep_merged(merged[key], value) if both else value
    return merged


def _placed(file: YamlFile, defaults: YamlFile, path: KeyPath, value: Any, message: str) -> Problem:
    """The problem at its line, in the file that says it: the pipeline's, unless only the defaults have the key."""
    for candidate in (file, defaults):
        if path in candidate.lines:
            return Problem(str(candidate.path), path, candidate.lines[path], value=value, message=message)
    return Problem(str(file.path), path, value=value, message=message)


def _file_of(pipeline_id: str, directory: Path) -> Path:
    path = directory / f"{pipeline_id}.yaml"
    known = [file.stem for file in pipeline_files(directory)]
    if not re.fullmatch(PIPELINE_ID, pipeline_id) or pipeline_id == DEFAULTS or not path.is_file():
        raise ConfigurationError(
            f"there is no pipeline {pipeline_id!r}; {did_you_mean(pipeline_id, known) or 'there is none at all'}",
            where=str(path),
            remedy="Name an existing file, or create a pipeline with the command line.",
        )
    return path


def _read_defaults(directory: Path) -> YamlFile:
    path = directory / f"{DEFAULTS}.yaml"
    return read_yaml(path) if path.exists() else YamlFile(path)


def _claimed_elsewhere(path: Path, source_object: str) -> list[Problem]:
    """Cheap enough for every parse of a DAG file: another file is read only when it holds the text at all."""
    others = []
    for other in pipeline_files(path.parent):
        with suppress(OSError):  # it is its own pipeline's problem
            if other != path and source_object.encode() in other.read_bytes():
                others.append(other)
    others = [other for other in others if read_yaml(other).data.get("source_object") == source_object]
    return [_duplicate(path, source_object, others)] if others else []


def _duplicate(path: Path, source_object: str, others: list[Path]) -> Problem:
    return Problem(
        str(path),
        ("source_object",),
        value=source_object,
        message=f"also in {', '.join(str(other) for other in others)}; two pipelines would claim each other's windows",
    )
