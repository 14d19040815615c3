"""One pipeline has three names, and each is understood everywhere: its id, its source object, and its DAG's id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.texts import nearest
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


def unknown_pipeline(name: str, configs: Mapping[str, PipelineConfig], broken: Iterable[str] = ()) -> InvalidInputError:
    """Return the error for a name that no good pipeline has; see `pipeline_named`."""
    files = ", ".join(sorted(broken))
    if name in broken:
        return InvalidInputError(
            f"the file of the pipeline {name!r} is broken",
            meaning="Nothing is known about it until the file is mended",
            remedy="python -m include.cli config validate says what is wrong.",
        )
    close = nearest(name, _names(configs.values()))
    pipelines = ", ".join(f"{config.pipeline_id} (source {config.source_object})" for config in configs.values())
    also = f" The files of {files} are broken and may have it: python -m include.cli config validate." if files else ""
    return InvalidInputError(
        f"there is no pipeline {name!r}" + (f"; did you mean {close}?" if close else ""),
        meaning="No pipeline file has it as its id or its source, and the ledger has no row of such a source",
        remedy=f"There are: {pipelines or 'none yet'}.{also}",
    )


def _names(configs: Iterable[PipelineConfig]) -> dict[str, PipelineConfig]:
    names: dict[str, PipelineConfig] = {}
    several = list(configs)
    for of in ("source_object", "pipeline_id", "dag_id"):
        for config in several:
            names.setdefault(getattr(config, of), config)
    return names
