"""Report a plan of all sources: its table, failures, broken files, and what a person is asked first.

A preview does the same steps as the plan itself and ends like it: a plan that would fail also fails in the dry run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.config.names import pipeline_named
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import tile_count
from include.pipeline_framework.errors import ConfigurationError, TerminalError
from include.pipeline_framework.ports.ledger import LedgerReads

MAX_FIRST_WINDOWS = 2_000
"""The most windows of a source's first plan without a yes: a granularity of 1s instead of 1h is a typing error."""

MAX_LISTED_WINDOWS = 100
"""The most windows that a dry run of the planner lists one by one: a source's day of quarters of an hour."""

_MAX_NAMED = 10


@dataclass(slots=True)
class PlanReport:
    """The result of planning one day of one source.

    `inserted` counts rows written, or in a dry run the rows that would be written; `windows` are their bounds in local
    time. `conflicting` counts windows of the day's grid that rows of another grid overlap. `failed` says
    why the day could not be planned (see `require_planned`).
    """

    source_object: str
    day: str
    expected: int = 0
    existing: int = 0
    inserted: int = 0
    conflicting: int = 0
    dry_run: bool = False
    note: str = ""
    windows: list[str] = field(default_factory=list)
    failed: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON, with the windows only in a dry run."""
        names = ("source_object", "day", "expected", "existing", "inserted", "conflicting", "dry_run", "note")
        more = {name: getattr(self, name) for name in ("failed",) if self.failed}
        return (
            {name: getattr(self, name) for name in names} | more | ({"windows": self.windows} if self.dry_run else {})
        )


def choose_sources(
    configs: Mapping[str, PipelineConfig], errors: Mapping[str, ConfigurationError], wanted: Sequence[str] | None
) -> tuple[list[PipelineConfig], dict[str, ConfigurationError]]:
    """Return the good pipelines among the wanted ones, or all; and the broken ones, which fail the plan at its end.

    Raises:
        InvalidInputError: There is no such pipeline.
    """
    named = sorted({*configs, *errors})
    if wanted:
        ids = {name: name for name in named}
        named = list(dict.fromkeys(ids.get(name) or pipeline_named(name, configs).pipeline_id for name in wanted))
    broken = {name: errors[name] for name in named if name in errors}
    return [configs[name] for name in named if name in configs], broken


def question_of_first_plan(config: PipelineConfig, store: LedgerReads, days: Sequence[LocalDay]) -> str:
    """Return what a person must agree to before a source gets its first windows; empty for few, or when some exist.

    Args:
        config: The source.
        store: The ledger.
        days: The days that will be planned.
    """
    inside = [day for day in days if not config.horizon.refusal(day)]
    granularity = config.window_granularity
    count = sum(tile_count(whole, granularity) for day in inside if (whole := day.window))
    if count <= MAX_FIRST_WINDOWS or store.has_windows(config.source_object):
        return ""
    return (
        f"a first plan of {count:,} windows of {config.granularity} ({len(inside)} days, {inside[0]} to {inside[-1]}) "
        'needs a yes: --yes, or conf {"yes": true}'
    )


def report_table(reports: Sequence[PlanReport]) -> list[str]:
    """Return the reports as lines of a table; a dry run lists its windows, or the first and last of many."""
    is_short = sum(len(report.windows) for report in reports) <= MAX_LISTED_WINDOWS
    lines = [
        f"{'source_object':<24} {'day':<10} {'expected':>8} {'existing':>8} {'inserted':>8} {'conflicting':>11}  note"
    ]
    for report in reports:
        failed = f"FAILED: {report.failed}" if report.failed else ""
        note = "; ".join(part for part in ("dry run" if report.dry_run else "", failed, report.note) if part)
        lines.append(
            f"{report.source_object:<24} {report.day:<10} {report.expected:>8} {report.existing:>8} "
            f"{report.inserted:>8} {report.conflicting:>11}  {note}".rstrip()
        )
        if report.dry_run and report.windows:
            lines += [f"    would insert {text}" for text in (report.windows if is_short else [_ends(report.windows)])]
    return lines


def _ends(windows: Sequence[str]) -> str:
    return f"{len(windows)} windows: {windows[0]} to {windows[-1]}" if len(windows) > 1 else windows[0]


def totals(reports: Sequence[PlanReport]) -> dict[str, Any]:
    """Return the totals of all reports as small JSON for XCom: it does not grow with the number of days and sources.

    `failed` names the sources that could not be planned, ten at most.
    """
    numbers = ("expected", "existing", "inserted", "conflicting")
    failed = sorted({report.source_object for report in reports if report.failed})
    return {
        "sources": len({report.source_object for report in reports}),
        "days": len({report.day for report in reports}),
        **{name: sum(getattr(report, name) for report in reports) for name in numbers},
        "dry_run": any(report.dry_run for report in reports),
        "failed": failed[:_MAX_NAMED],
    }


def outcome_table(reports: Sequence[PlanReport], errors: Mapping[str, ConfigurationError]) -> list[str]:
    """Return the table, and below it every broken file."""
    broken = [f"broken file, not planned: {name}: {error}" for name, error in sorted(errors.items())]
    return [*report_table(reports), *broken]


def require_planned(reports: Sequence[PlanReport], broken: Mapping[str, ConfigurationError]) -> None:
    """Fail for sources that could not be planned, and also name the broken files; all others have been planned.

    Raises:
        TerminalError: A function of a source raised, or its first plan needs a yes.
    """
    failed: dict[str, list[str]] = {}
    for report in reports:
        if report.failed:
            failed.setdefault(report.source_object, []).append(f"{report.day}: {report.failed}")
    if not failed:
        return
    texts = [
        f"{name}: {own[0]}" + (f" (and {len(own) - 1} days more)" if own[1:] else "") for name, own in failed.items()
    ]
    texts += [f"broken file {name}: {error}" for name, error in sorted(broken.items())]
    inserted, is_dry = sum(report.inserted for report in reports), any(report.dry_run for report in reports)
    raise TerminalError(
        f"{len(failed)} sources {'can' if is_dry else 'could'} not be planned: {'; '.join(texts)}",
        meaning=(
            f"A dry run: nothing was inserted; all others would be planned, {inserted} windows"
            if is_dry
            else f"All others were planned, {inserted} windows inserted"
        ),
        remedy="Correct these pipelines' files or functions, or say yes to a first plan; then run the planner again.",
    )


def require_pipelines(configs: dict[str, PipelineConfig], errors: dict[str, ConfigurationError]) -> None:
    """Fail for broken pipeline files, after the good ones have been planned.

    Raises:
        ConfigurationError: The message names every broken pipeline with its problems.
    """
    if errors:
        raise ConfigurationError(
            f"{len(errors)} pipeline files are broken: " + "; ".join(f"{name}: {e}" for name, e in errors.items()),
            meaning=f"The other {len(configs)} pipelines were planned",
            remedy="Correct the files (python -m include.cli config validate), then run the planner again.",
        )


def conclude(
    reports: Sequence[PlanReport],
    configs: dict[str, PipelineConfig],
    errors: Mapping[str, ConfigurationError],
    broken: dict[str, ConfigurationError],
    tell: Callable[[str], None],
) -> None:
    """Print the table with every broken file, then fail for what could not be planned.

    Raises:
        TerminalError: See `require_planned`.
        ConfigurationError: See `require_pipelines`.
    """
    for line in outcome_table(reports, errors):
        tell(line)
    require_planned(reports, broken)
    require_pipelines(configs, broken)
