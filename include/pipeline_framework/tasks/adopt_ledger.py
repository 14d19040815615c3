"""Analyse a state table, and adopt a team's older one into the ledger.

An adoption is one transaction whether it is applied or only shown: the older rows are imported, judged by the same four
phases as the ledger itself, and moved; time that they leave open is planned. Then it is committed or rolled back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from include.pipeline_framework.config.adoption_mapping import AdoptionMapping
from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.continuity.findings import Analysis, Finding
from include.pipeline_framework.core.continuity.remediation import Action
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.records.planning import DERIVED_COLUMNS, planned_row
from include.pipeline_framework.core.records.row import Actor, window_of
from include.pipeline_framework.core.restoring import adoption
from include.pipeline_framework.core.restoring.adoption import PlannedWindow, Resolved, Superseded
from include.pipeline_framework.core.time import days
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.errors import InvalidInputError, PipelineError
from include.pipeline_framework.ports.adoption import Importing, LedgerReading, StateImport
from include.pipeline_framework.ports.ledger import Record
from include.pipeline_framework.tasks.state_manager import StateReview, review_facts, scope_of

_log = logging.getLogger(__name__)
_MAX_ROUNDS = 5


@dataclass(slots=True)
class StateReport:
    """The findings in a table.

    Attributes:
        findings: The findings of all sources.
        analyses: One per source.
        notes: Notes for people.
        adopted: Numbers of an adoption; empty when the table was only looked at.
    """

    findings: list[Finding] = field(default_factory=list)
    analyses: list[Analysis] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    adopted: dict[str, Any] = field(default_factory=dict)

    def add(self, reviewed: StateReview) -> None:
        """Add one more source."""
        self.findings += reviewed.findings
        self.analyses.append(reviewed.analysis)

    def as_dict(self) -> dict[str, Any]:
        """Return `{findings, summary}` as JSON."""
        return {
            "findings": [finding.as_dict() for finding in self.findings],
            "summary": {
                **self.adopted,
                **adoption.counted(self.findings),
                "sources": [analysis.as_dict() for analysis in self.analyses],
                "notes": self.notes,
            },
        }


def analyse_ledger(
    ledger: LedgerReading, configs: Iterable[PipelineConfig], wanted: Sequence[str] | None = None
) -> StateReport:
    """Do the four phases over the ledger, without writing; a disabled pipeline's rows rest and give no findings.

    A source that has rows and no pipeline file is judged by its latest row's time zone and granularity.

    Args:
        ledger: The ledger to read.
        configs: Every valid pipeline.
        wanted: Only these source objects; None: all that have a pipeline file or rows.

    Raises:
        InvalidInputError: A wanted source has neither a pipeline file nor rows.
    """
    by_source = {config.source_object: config for config in configs}
    own = ledger.sources()
    known = {*by_source, *own}
    unknown = sorted(set(wanted or ()) - known)
    if unknown:
        raise InvalidInputError(
            f"no pipeline file and no row of the ledger has the source {', '.join(unknown)}",
            remedy=f"Choose from {', '.join(sorted(known)) or 'nothing: the ledger is empty'}.",
        )
    report, scopes, now = StateReport(), [], ledger.now()
    for name in dict.fromkeys(wanted or sorted(known)):
        config = by_source.get(name)
        if config is None:
            timezone, granularity = own[name]
            try:
                scopes.append(StateScope(name, days.zone(timezone).key, parse_granularity(granularity), now=now))
            except InvalidInputError as error:
                report.notes.append(f"{name} has no pipeline file, and its latest row can't tell its days: {error}")
                continue
            report.notes.append(f"{name} has no pipeline file: judged by its rows' own {timezone}, {granularity}")
            continue
        scopes.append(scope_of(config, now))
        if not config.enabled:
            report.notes.append(f"{name} is disabled (enabled: false): its rows rest")
    found = ledger.facts(scopes)
    for scope in scopes:
        report.add(review_facts(found[scope.source_object], ledger.rows_of_days))
    return report


def analyse_table(
    importing: Importing,
    table: str,
    mapping: AdoptionMapping,
    configs: Iterable[PipelineConfig],
    wanted: Sequence[str] | None = None,
) -> StateReport:
    """Do the four phases over an older table, which is not written to; the import leaves nothing behind.

    Raises:
        InvalidInputError: The table, the mapping or a row is wrong, or a wanted source has no row in it.
    """
    with importing(table, mapping, adopts=False, keeps=False) as imported:
        sources = {source["source_object"]: source for source in imported.sources()}
        missing = sorted(set(wanted or ()) - set(sources))
        if missing:
            raise InvalidInputError(
                f"no row has the source {', '.join(missing)}",
                where=imported.table,
                remedy=f"Choose from {', '.join(sorted(sources)) or 'nothing: the table is empty'}.",
            )
        by_source = {config.source_object: config for config in configs}
        chosen = [sources[name] for name in wanted or sources]
        plans = _plans(chosen, mapping, by_source, imported.table, imported.now())
        report = StateReport(notes=imported.notes)
        imported.import_rows({name: plan.days for name, plan in plans.items()})
        found = imported.facts([plan.scope for plan in plans.values()])
        for name in plans:
            report.add(review_facts(found[name], imported.rows_of_days))
        return report


def adopt_ledger(
    importing: Importing,
    table: str,
    mapping: AdoptionMapping,
    configs: Iterable[PipelineConfig],
    actor: Actor,
    *,
    apply: bool = False,
) -> StateReport:
    """Move an older table's rows into the ledger, resolved, so that live rows cover every day exactly.

    Rows that were adopted before are skipped; where the ledger has live rows, those win.

    Args:
        importing: Opens the transaction.
        table: `schema.table`.
        mapping: The mapping of its columns.
        configs: Every valid pipeline; a source without one is also adopted.
        actor: The one that adopts.
        apply: When False, the same is done, and all of it is rolled back.

    Raises:
        InvalidInputError: The table, the mapping or a row is wrong; nothing was written.
    """
    by_source = {config.source_object: config for config in configs}
    with importing(table, mapping, adopts=True, keeps=apply) as imported:
        sources = imported.sources()
        plans = _plans(sources, mapping, by_source, imported.table, imported.now())
        report = StateReport(notes=imported.notes)
        new = imported.import_rows({name: plan.days for name, plan in plans.items()})
        report.adopted = {
            "table": imported.table,
            "applied": apply,
            "rows": sum(source["total"] for source in sources),
            "new_rows": new,
            "kept": 0,
            "run_again": 0,
            "invalidated": 0,
            "planned": 0,
        }
        if new:
            fresh = imported.counts()
            _adopt(imported, {name: plan for name, plan in plans.items() if name in fresh}, actor, report)
        _log.info("adopted %s", report.adopted)
        return report


@dataclass(frozen=True, slots=True)
class _Plan:
    """One source of the table.

    Attributes:
        scope: The scope by which its rows are judged.
        days: The local days of all its rows.
        config: Its pipeline, if it has one.
        granularity: The granularity of imported rows that don't name one.
    """

    scope: StateScope
    days: Sequence[LocalDay]
    config: PipelineConfig | None
    granularity: str

    def final_config(self, latest: Record) -> dict[str, Any]:
        """Return the configuration with which its rows are planned."""
        if self.config is not None:
            return self.config.final_config()
        return {
            "timezone": self.scope.timezone,
            "granularity": str(self.scope.granularity),
            "default_record": adoption.template_of(self.scope.source_object, latest),
        }


def _plans(
    sources: Iterable[Record],
    mapping: AdoptionMapping,
    configs: Mapping[str, PipelineConfig],
    table: str,
    now: datetime,
) -> dict[str, _Plan]:
    found = {}
    for source in sources:
        config = configs.get(source["source_object"])
        scope = _scope(source, mapping, config, table, now)
        first, last = (local_day_of(source[name], scope.timezone) for name in ("first_start_at", "last_start_at"))
        granularity = mapping.granularity or str(scope.granularity)
        found[scope.source_object] = _Plan(scope, _days(first, last), config, granularity)
    return found


def _scope(
    source: Record, mapping: AdoptionMapping, config: PipelineConfig | None, table: str, now: datetime
) -> StateScope:
    """Return the scope of a source: in an older table nothing before its first and after its last row is missing."""
    name = source["source_object"]
    where = f"{table}, source {name}"
    if source["has_two_timezones"] and not mapping.timezone:
        raise InvalidInputError(
            "its rows have several time zones",
            where=where,
            meaning="Which local days they belong to is not known; nothing was imported",
            remedy="Write timezone: … into the mapping, or adopt one view per zone.",
        )
    timezone = mapping.timezone or source["timezone"] or (config.timezone if config else None)
    if timezone is None:
        raise InvalidInputError(
            "nothing says in which time zone its days are",
            where=where,
            meaning="Neither the mapping, nor its rows, nor a pipeline file; nothing was imported",
            remedy="Write timezone: … into the mapping, an IANA name.",
        )
    days.zone(timezone)
    if config is not None:
        if config.timezone != timezone:
            raise InvalidInputError(
                f"its days are of {timezone}, those of its pipeline {config.pipeline_id} of {config.timezone}",
                where=where,
                meaning="Its days and the pipeline's would not be the same time; nothing was imported",
                remedy="Correct timezone in the mapping or in the pipeline's file.",
            )
        return scope_of(config, now, counts_horizon=False)
    granularity = mapping.granularity or source["granularity"]
    if granularity is None:
        raise InvalidInputError(
            "nothing says how long its windows are",
            where=where,
            meaning="Neither the mapping, nor its rows, nor a pipeline file; nothing was imported",
            remedy="Write granularity: 1h (or another one) into the mapping.",
        )
    try:
        return StateScope(name, timezone, parse_granularity(granularity), now=now)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"its rows' granularity can't be read: {error.what}",
            where=where,
            meaning="How long its windows are is not known; nothing was imported",
            remedy="Write granularity: 1h (or another one) into the mapping; it counts before what the rows say.",
        ) from error


def _adopt(imported: StateImport, plans: Mapping[str, _Plan], actor: Actor, report: StateReport) -> None:
    names, scopes = list(plans), [plan.scope for plan in plans.values()]
    superseded: dict[str, list[Superseded]] = {}
    for row in imported.give_way(names):
        superseded.setdefault(row.source_object, []).append(row)
    facts = imported.facts(scopes)
    resolved = {name: _resolve(imported, facts[name], superseded.get(name, ()), report) for name in names}
    imported.invalidate({row: why for one in resolved.values() for row, why in one.invalidated.items()})
    if doubled := [name for name, one in resolved.items() if one.loaded]:
        imported.run_again(doubled)
    latest = imported.latest_rows()
    configs = {name: plan.final_config(latest[name]) for name, plan in plans.items()}
    imported.derive(lambda row: _derived(configs[row["source_object"]], row))
    imported.adopt([_default_row(plan, configs[name]) for name, plan in plans.items()], actor)
    report.adopted["planned"] = _plan_open_time(imported, scopes, configs, resolved, actor)
    imported.link_replaced(actor)
    for counts in imported.counts().values():
        for name in ("kept", "run_again", "invalidated"):
            report.adopted[name] += counts[name]


def _resolve(
    imported: StateImport, facts: StateFacts, superseded: Sequence[Superseded], report: StateReport
) -> Resolved:
    facts = adoption.imported_only(facts)
    reviewed = review_facts(facts, imported.rows_of_days)
    report.findings += [row.finding for row in superseded]
    report.add(reviewed)
    return adoption.resolve(facts, reviewed.findings, reviewed.items, superseded)


def _plan_open_time(
    imported: StateImport,
    scopes: Sequence[StateScope],
    configs: Mapping[str, dict[str, Any]],
    resolved: Mapping[str, Resolved],
    actor: Actor,
) -> int:
    """Plan what was resolved, then plan what the ledger itself still lacks; return the number of windows."""
    planned = 0
    windows = {name: list(one.windows) for name, one in resolved.items()}
    for _ in range(_MAX_ROUNDS):
        rows = [_planned(configs[name], window) for name, of_source in windows.items() for window in of_source]
        imported.plan(rows, actor)
        planned += len(rows)
        facts = imported.facts(scopes, of_ledger=True)
        windows = {name: _left_open(imported, of_source) for name, of_source in facts.items()}
        if not any(windows.values()):
            return planned
    raise PipelineError("the adopted days could not be completed", meaning="Nothing was written", remedy="Report it.")


def _left_open(imported: StateImport, facts: StateFacts) -> list[PlannedWindow]:
    reviewed = review_facts(facts, lambda source, of: imported.rows_of_days(source, of, of_ledger=True))
    return [
        PlannedWindow(window, item.reason, replaces=False)
        for item in reviewed.items
        if item.action == Action.INSERT
        for window in item.windows
    ]


def _planned(final_config: Mapping[str, Any], planned: PlannedWindow) -> Record:
    row = planned_row(final_config, planned.window, deriving)
    return row | {"is_replacement_run_flag": planned.replaces, "event_reason": planned.reason}


def _derived(final_config: Mapping[str, Any], row: Record) -> Record:
    window = window_of(row)
    planned = planned_row(final_config, window, deriving)
    return {name: planned[name] for name in DERIVED_COLUMNS}


def _default_row(plan: _Plan, final_config: Mapping[str, Any]) -> Record:
    source = {"source_object": plan.scope.source_object, "granularity": plan.granularity}
    return {**final_config["default_record"], **source}


def _days(first: LocalDay, last: LocalDay) -> list[LocalDay]:
    """Return all days from the first to the last, without those that the calendar skips."""
    return [day for day in [*days.days_between(first.date, last.date, first.timezone), last] if day.window]
