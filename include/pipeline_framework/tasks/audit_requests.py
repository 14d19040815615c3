"""Check what a person asks `audit_windows` to do: its conf, for one pipeline, before anything is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.pipeline_framework.config.external import require_moved_here
from include.pipeline_framework.config.loader import LoadedPipelines
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.run_requests import LONGEST_REASON, RunRequest, parse_request
from include.pipeline_framework.core.texts import is_storable, shown
from include.pipeline_framework.core.watching.late_data import Mode
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks.planning import select_pipelines

_FLAGS = ("check_target", "replace_emptied", "keep_vanished", "reload_target")


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """A checked conf of `audit_windows`, for one pipeline.

    Attributes:
        run: Ranges (None: the days that are due) and `dry_run`.
        mode: Count, or read every id.
        check_target: Also compare what the target holds.
        replace_emptied: Replace windows whose source holds nothing any more.
        accept_vanished: The number of loaded rows that all replacements together may delete.
        keep_vanished: Keep what is loaded of windows whose source shows less, and don't ask again.
        reload_target: Load those windows again whose target does not hold what was loaded.
        reason: Why; it is kept with every window that is replaced or kept.
    """

    run: RunRequest = field(default_factory=RunRequest)
    mode: Mode = Mode.COUNT
    check_target: bool = True
    replace_emptied: bool = False
    accept_vanished: int = 0
    keep_vanished: bool = False
    reload_target: bool = False
    reason: str = ""


def parse_audit(conf: Mapping[str, Any], config: PipelineConfig) -> AuditRequest:
    """Check a conf for one pipeline; the caller reads the key `pipelines`.

    Raises:
        InvalidInputError: An unknown key, a wrong value, or a range outside the horizon; nothing was done.
        ConfigurationError: Another system moves the pipeline's data.
    """
    require_moved_here(config)
    given = {name: value for name, value in conf.items() if value is not None and value != ""}
    if given.keys() & {"replace", "max_windows", "windows", "allow_future"}:
        raise _refused(
            config, "replace, max_windows, windows and allow_future belong to a pipeline run", "Give from + to."
        )
    own = ("mode", *_FLAGS, "accept_vanished", "pipelines", "reason")
    request = parse_request(
        {name: value for name, value in given.items() if name not in own}, config.horizon, config.source_object
    )
    flags = {name: given.get(name, name == "check_target") for name in _FLAGS}
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise _refused(config, f"{name} is {value!r}", "Write true or false without quotes.")
    if given.get("mode", Mode.COUNT) not in list(Mode):
        raise _refused(config, f"mode is {given['mode']!r}", f"Choose from {', '.join(Mode)}.")
    reason = given.get("reason", "")
    if not isinstance(reason, str) or not is_storable(reason) or len(reason) > LONGEST_REASON:
        raise _refused(config, f"reason {shown(reason)} can't be kept", f"Write at most {LONGEST_REASON} characters.")
    accepted = given.get("accept_vanished", 0)
    if not isinstance(accepted, int) or isinstance(accepted, bool) or accepted < 0:
        raise _refused(config, f"accept_vanished is {accepted!r}", "Write how many rows may go, as a whole number.")
    agreed = [name for name in ("keep_vanished", "reload_target") if flags[name]]
    agreed += ["accept_vanished"] if accepted else []
    if agreed and not reason.strip():
        raise _refused(config, f"{agreed[0]} needs a reason", 'Add "reason": "why" as text; it is kept in the ledger.')
    if flags["keep_vanished"] and (accepted or flags["replace_emptied"]):
        raise _refused(config, "keep_vanished and a yes to taking rows away", "Give only one of them.")
    return AuditRequest(
        request, Mode(given.get("mode", Mode.COUNT)), accept_vanished=accepted, reason=reason.strip(), **flags
    )


def choose_pipelines(loaded: LoadedPipelines, conf: Mapping[str, Any], tell: Callable[[int, str], None]) -> list[str]:
    """Return the ids of the pipelines to audit, after checking the conf for each.

    Without `pipelines`, a pipeline is left out, with the reason, when it is disabled, when another system moves it, or
    when the asked range leaves its horizon.

    Args:
        loaded: Every pipeline.
        conf: The conf that a person gave.
        tell: Called with a level of `logging` and a text, for each one that is left out: a warning if a person asked
            for something that it can't do.

    Raises:
        InvalidInputError: The conf is wrong for all, or for one of the named; nothing was compared.
        ConfigurationError: Another system moves one of the named pipelines.
    """
    chosen, refused, named = [], list[InvalidInputError](), conf.get("pipelines")
    for config in select_pipelines(loaded.configs, loaded.errors, named):
        if config.is_external and not named:
            tell(logging.INFO, f"left out, another system moves its data: {config.pipeline_id}")
            continue
        try:
            parse_audit(conf, config)
        except InvalidInputError as error:
            if named:
                raise
            refused.append(error)
            tell(logging.WARNING, f"left out: {error}")
            continue
        if config.enabled:
            chosen.append(config.pipeline_id)
    if refused and not chosen:
        raise refused[0]
    return chosen


def _refused(config: PipelineConfig, what: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(what, where=config.source_object, meaning="Nothing was compared or changed", remedy=remedy)
