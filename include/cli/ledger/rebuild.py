"""`ledger rebuild`, `ledger reconcile` and `ledger adopt-failover`: a ledger that was lost, restored or promoted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from include.cli.output import (
    ApplyOption,
    Format,
    FormatOption,
    MoreSources,
    SourcesOption,
    all_sources,
    print_json,
    print_table,
)
from include.pipeline_framework.errors import PipelineError
from include.pipeline_framework.tasks.rebuild_ledger import RebuildReport
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_REBUILD_COLUMNS = ("source_object", "window", "rows", "fence", "origin", "outcome")
_DIFFERENCE_COLUMNS = ("kind", "source_object", "window", "ledger", "target", "remedy")


def rebuild(
    source: SourcesOption = None,
    more: MoreSources = None,
    apply: ApplyOption = False,
    form: FormatOption = Format.TABLE,
) -> int:
    """Enter what targets and stages prove into a lost or old ledger."""
    found, wanted = list[RebuildReport](), all_sources(source, more)
    with Workspace(actor=person("ledger rebuild")) as workspace:

        def rebuild_one(source_object: str) -> None:
            found.append(report := workspace.rebuild(source_object, apply=apply))
            if form is Format.JSON:
                return
            if report.lines:
                print_table(_REBUILD_COLUMNS, [asdict(line) for line in report.lines])
            print(_summary(report))

        all_done = _for_each_source(workspace, wanted, rebuild_one)
        if form is Format.JSON:
            print_json([asdict(report) for report in found])
        if not all_done:
            return 2
        if apply:
            _record_identity(workspace, wanted, sys.stdout if form is Format.TABLE else sys.stderr)
    return 0


def reconcile(source: SourcesOption = None, more: MoreSources = None, form: FormatOption = Format.TABLE) -> int:
    """Compare ledger and targets; exit status 1 when anything differs."""
    found: list[dict[str, Any]] = []
    with Workspace(actor=person("ledger reconcile")) as workspace:

        def reconcile_one(source_object: str) -> None:
            differences = workspace.reconcile(source_object)
            found.extend(asdict(difference) | {"window": difference.window} for difference in differences)

        all_compared = _for_each_source(workspace, all_sources(source, more), reconcile_one)
    if form is Format.JSON:
        print_json(found)
    elif found:
        print_table(_DIFFERENCE_COLUMNS, found)
    else:
        print("no differences")
    return (1 if found else 0) if all_compared else 2


def adopt_failover(apply: ApplyOption = False) -> None:
    """Make a promoted standby the ledger from now on."""
    with Workspace(actor=person("ledger adopt-failover")) as workspace:
        seen = workspace.adopt_failover(apply=apply)
    by = f" ({seen.recorded_at:%Y-%m-%d %H:%M:%S %Z}, {seen.recorded_by})" if seen.recorded_at else ""
    print(f"recorded: {seen.recorded}{by}\npresent:  {seen.present}")
    if seen.is_recorded:
        print("nothing to adopt: this is the recorded ledger")
    elif apply:
        print("adopted: claims go on. Compare with the targets: python -m include.cli ledger reconcile")
    else:
        print("a failover. Nothing was changed, do it with --apply")


def _record_identity(workspace: Workspace, wanted: Sequence[str] | None, to: TextIO) -> None:
    """Record the identity: a ledger rebuilt for every source may issue fences again, but not one for some of them."""
    store = workspace.store
    sources = {config.source_object for config in workspace.loaded.configs.values() if not config.is_external}
    if store.identity().is_recorded:
        return
    if wanted and (left := sorted(sources - set(wanted))):
        text = f"claims stay refused: this is not the recorded ledger, and {', '.join(left)} are not rebuilt yet"
        print(text, file=to)
        return
    store.record_identity(workspace.actor)
    print(f"recorded as the ledger: {store.identity().present}", file=to)


def _summary(report: RebuildReport) -> str:
    does = "rebuilt" if report.applied else "would be rebuilt"
    others = len(report.lines) - report.rebuilt
    text = f"{report.source_object}: {report.rebuilt} {does}, {report.in_ledger} in the ledger already, {others} not; "
    if report.applied:
        return text + f"fences below {report.floor} are refused from now on"
    return text + "nothing was changed, do it with --apply"


def _for_each_source(workspace: Workspace, wanted: Sequence[str] | None, work: Callable[[str], None]) -> bool:
    """Run a function for the source of every pipeline that this bundle moves, or for some; an error stops no other.

    Returns:
        True if none has failed.
    """
    sources = {config.source_object: config for config in workspace.loaded.configs.values()}
    wanted = [workspace.of_source(name).source_object for name in wanted] if wanted else None
    errors: list[PipelineError] = [] if wanted else list(workspace.loaded.errors.values())
    for source_object in dict.fromkeys(wanted or sorted(sources)):
        if sources[source_object].is_external and not wanted:
            print(f"{source_object}: left out, another system moves its data", file=sys.stderr)
            continue
        try:
            work(source_object)
        except PipelineError as error:
            errors.append(error)
    for failed in errors:
        print(f"error: {failed}", file=sys.stderr)
    return not errors
