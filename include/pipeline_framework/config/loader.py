"""Load YAML files as `PipelineConfig`: pipelines over `defaults.yaml`, all problems of one in one report.

A wrong file never stops another one, and a wrong source of a list never stops the others (see `file_sources`), except
`defaults.yaml`, which every pipeline is built on. Nothing outside the directory is read: no variable, no connection;
placeholders (see `variables`) stay unchanged until `resolve_variables`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
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
from include.pipeline_framework.config.external import external_problems
from include.pipeline_framework.config.file_sources import (
    DEFAULTS,
    FileSource,
    duplicates,
    duplicates_of,
    find_source,
    pipeline_files,
    read_sources,
)
from include.pipeline_framework.config.models import EXTERNAL, AdapterSection, PipelineConfig
from include.pipeline_framework.config.problems import (
    NO_VALUE,
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
"""A function of `(role, type)` that returns the adapter's options model; unknown types raise ConfigurationError."""

PIPELINES_DIRECTORY = Path(
    os.environ.get("PIPELINES_DIRECTORY") or Path(__file__).resolve().parents[2] / "pipelines"
).resolve()
"""The directory of the files, unless a caller names another; the variable allows one outside the bundle."""

ROLES = PLACEHOLDER_SECTIONS

_ALIAS, _GRANULARITY = "query_window_delta_label", "granularity"


class LoadedPipelines(NamedTuple):
    """Every pipeline of a directory by its id: the good ones, and the errors of the others.

    A problem of a whole file that has a list is one error, under the file's name (`<name>.yaml`).
    """

    configs: dict[str, PipelineConfig]
    errors: dict[str, ConfigurationError]


def load_pipeline(
    pipeline_id: str = "main",
    directory: Path | None = None,
    *,
    options_model: OptionsModel | None = None,
    is_alone: bool = False,
) -> PipelineConfig:
    """Load and check one pipeline; the other files are only searched for the same id or `source_object`.

    Args:
        pipeline_id: The file's name without `.yaml`, or the id of a source in a file's list.
        directory: Where the files are; `PIPELINES_DIRECTORY` when not given.
        options_model: Checks the options of source, stage and target; without it they are not checked.
        is_alone: Don't search the other files. Whoever plans or claims windows must have them searched.

    Raises:
        ConfigurationError: The pipeline has problems (the message has all of them), or does not exist.
    """
    directory = directory or PIPELINES_DIRECTORY
    read, source = find_source(pipeline_id, directory)
    config, problems = _read(source, _read_defaults(directory), options_model)
    problems = [*(read.problems if read.is_list else ()), *problems]
    if not problems and not is_alone:
        problems = duplicates_of(source, read, directory)
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
    """Return requirement 3's plain dict of a pipeline; with `variables`, placeholders are replaced.

    Raises:
        ConfigurationError: As `load_pipeline` and `resolve_variables`.
    """
    config = load_pipeline(pipeline_id, directory, options_model=options_model)
    if variables is not None:
        config = resolve_variables(config, variables, options_model=options_model)
    return config.final_config()


def load_all_pipelines(directory: Path | None = None, *, options_model: OptionsModel | None = None) -> LoadedPipelines:
    """Load every pipeline of a directory; two with one id or `source_object` are refused, each naming the other."""
    configs, problems, _ = _read_all(directory or PIPELINES_DIRECTORY, options_model)
    errors = {name: configuration_error(found, where=_where(name)) for name, found in problems.items()}
    return LoadedPipelines({name: config for name, config in configs.items() if name not in errors}, errors)


def validate_all(directory: Path | None = None, *, options_model: OptionsModel | None = None) -> list[Problem]:
    """Return every problem of every file once, in file order; the pipelines' own functions are imported as well."""
    configs, problems, places = _read_all(directory or PIPELINES_DIRECTORY, options_model)
    found = [problem for of_one in problems.values() for problem in of_one]
    for name, config in configs.items():
        found += [places[name].problem(key, NO_VALUE, message) for key, message in unimportable_callables(config)]
    unique = {str(problem): problem for problem in found}.values()
    return sorted(unique, key=lambda problem: (problem.file, problem.line or 0))


def resolve_variables(
    config: PipelineConfig, variables: Variables, *, options_model: OptionsModel | None = None
) -> PipelineConfig:
    """Return the pipeline with every placeholder replaced; for run time only, never while a DAG file is parsed.

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
        del data["target_object"]  # it was derived from the table as written: derive it from the resolved table
    found = list(secrets({role: data[role] for role in ROLES}))
    found += [each for role in ROLES for each in _option_problems(role, data[role], options_model)]
    resolved = config
    try:
        resolved = PipelineConfig.model_validate(data)
    except ValidationError as error:
        found += problems_of(error, PipelineConfig, data)
    if found:
        file = f"{config.pipeline_id}, with its variables"
        problems = {path: Problem(file, path, value=value, message=message) for path, value, message in reversed(found)}
        raise configuration_error([problems[path] for path in dict.fromkeys(each[0] for each in found)], where=where)
    return resolved.with_hash_of(config)


def _read_all(
    directory: Path, options_model: OptionsModel | None
) -> tuple[dict[str, PipelineConfig], dict[str, list[Problem]], dict[str, FileSource]]:
    """Return configurations, problems and places by id; the problems of a list's file are by the file's name."""
    defaults = _read_defaults(directory)
    configs: dict[str, PipelineConfig] = {}
    problems: dict[str, list[Problem]] = {}
    sources: list[FileSource] = []
    for read in map(read_sources, pipeline_files(directory)):
        of_file = list(read.problems) if read.is_list else []
        for source in read.sources:
            config, found = _read(source, defaults, options_model)
            shared = [problem for problem in found if source.is_shared(problem)]
            of_file += shared
            if own := [problem for problem in found if problem not in shared]:
                problems.setdefault(source.name, []).extend(own)
            if config is not None and not shared and not (read.is_list and read.problems):
                configs[source.name] = config
        sources += read.sources
        if of_file:
            problems[read.name] = list({str(problem): problem for problem in of_file}.values())
    for source, problem in duplicates(sources):
        problems.setdefault(source.name, []).append(problem)
    for path in sorted(directory.glob("*.yml")):
        problems[path.stem] = [Problem(str(path), message="is not read; rename it to end with .yaml")]
    if not configs and not problems and defaults.problems:
        problems[DEFAULTS] = defaults.problems
    return configs, problems, {source.name: source for source in sources}


def _read(
    source: FileSource, defaults: YamlFile, options_model: OptionsModel | None
) -> tuple[PipelineConfig | None, list[Problem]]:
    if source.key_problems or defaults.problems:
        return None, [*source.key_problems, *defaults.problems]
    if not source.is_mapping:
        return None, [source.problem(*each) for each in source.found]
    data = source.merged(defaults.data)
    found = found_before_the_models(source, defaults.data)
    found += external_problems(data)
    data.setdefault("pipeline_id", source.pipeline_id or "without_an_id")
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
    for key_path, value, message in found:  # the first message about a place counts: it hides what must not be shown
        shown = tuple(names.get(part, part) for part in key_path)
        problems.setdefault(shown, source.problem(shown, value, message, defaults))
    return config, sorted(problems.values(), key=lambda problem: (problem.file, problem.line or 0))


def _option_problems(role: str, section: dict[str, Any], options_model: OptionsModel | None) -> list[Found]:
    """Return the problems that an adapter's model finds; defaults of placeholders are checked, other values later."""
    if section.get("type") == EXTERNAL:
        return []
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


def _where(name: str) -> str:
    return name if ".yaml" in name else f"pipeline {name}"


def _read_defaults(directory: Path) -> YamlFile:
    path = directory / f"{DEFAULTS}.yaml"
    return read_yaml(path) if path.exists() else YamlFile(path)
