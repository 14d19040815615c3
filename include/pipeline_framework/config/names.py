"""One pipeline has three names, and each is understood everywhere: its id, its source object, and its DAG's id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.errors import InvalidInputError


def pipeline_named(name: str, configs: Mapping[str, PipelineConfig], broken: Iterable[str] = ()) -> PipelineConfig:
    """Return the pipeline of a name; a source object counts before an id, and an id before a DAG's id.

    Args:
        name: What somebody has written; case matters only where two names differ in nothing else.
        configs: Every pipeline whose file is good, by id.
        broken: Ids of pipelines whose files are broken.

    Raises:
        InvalidInputError: No good pipeline has it; the message has the names that are like it.
    """
    found = find_pipeline(name, configs)
    if found is None:
        raise unknown_pipeline(name, configs, broken)
    return found


def find_pipeline(name: str, configs: Mapping[str, PipelineConfig]) -> PipelineConfig | None:
    """Return the pipeline of a name, see `pipeline_named`; None: no good pipeline has it."""
    names = _names(configs.values())
    if name in names:
        return names[name]
    folded = {known.casefold(): config for known, config in reversed(names.items())}
    return folded.get(name.casefold())


def unknown_pipeline(
    name: str, configs: Mapping[str, PipelineConfig], broken: Iterable[str] = (), more: Iterable[str] = ()
) -> InvalidInputError:
    """Return the error for a name that no good pipeline has.

    Args:
        name: What somebody has written.
        configs: Every pipeline whose file is good, by id.
        broken: Ids of pipelines whose files are broken.
        more: Further names that would have been understood.
    """
    if name in broken:
        return InvalidInputError(
            f"the file of the pipeline {name!r} is broken",
            meaning="Nothing is known about it until the file is mended",
            remedy="python -m include.cli config validate says what is wrong.",
        )
    known = [*_names(configs.values()), *more]
    like = get_close_matches(name.casefold(), {one.casefold(): None for one in known}, n=3, cutoff=0.6)
    shown = [one for one in known if one.casefold() in like]
    pipelines = ", ".join(f"{config.pipeline_id} (source {config.source_object})" for config in configs.values())
    asked = f"Did you mean {' or '.join(dict.fromkeys(shown))}? " if shown else ""
    return InvalidInputError(
        f"no pipeline, source or DAG is called {name!r}",
        remedy=f"{asked}There are: {pipelines or 'none yet'}.",
    )


def _names(configs: Iterable[PipelineConfig]) -> dict[str, PipelineConfig]:
    names: dict[str, PipelineConfig] = {}
    several = list(configs)
    for of in ("source_object", "pipeline_id", "dag_id"):
        for config in several:
            names.setdefault(getattr(config, of), config)
    return names
