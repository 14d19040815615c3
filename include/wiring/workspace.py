"""The object that DAG tasks, commands and Python functions share: one short method for each use case, and no rules.

A front parses its input, calls one method here, and shows the result. Configurations, ledger and actor are created when
a method first needs them. A method imports its use case: a front loads only what it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

from include.pipeline_framework.config.loader import LoadedPipelines
from include.pipeline_framework.config.models import AdapterSection, PipelineConfig
from include.pipeline_framework.config.names import find_pipeline, pipeline_named
from include.pipeline_framework.core.records.run_requests import parse_request
from include.pipeline_framework.errors import ConfigurationError
from include.wiring import assembly, run_context

if TYPE_CHECKING:
    from include.pipeline_framework.core.continuity.remediation import PlanItem
    from include.pipeline_framework.core.continuity.state_plans import StatePlan
    from include.pipeline_framework.core.lifecycle.campaigns import CampaignState
    from include.pipeline_framework.core.lifecycle.leases import RunState
    from include.pipeline_framework.core.records.row import Actor, Phase
    from include.pipeline_framework.core.restoring.ledger_identity import SeenIdentity
    from include.pipeline_framework.core.restoring.reconcile import Difference
    from include.pipeline_framework.core.time.windows import TimeWindow
    from include.pipeline_framework.core.watching.late_data import Arrivals, Recommendation
    from include.pipeline_framework.ports.ledger import LifecycleStore
    from include.pipeline_framework.tasks.adopt_ledger import StateReport
    from include.pipeline_framework.tasks.audit_windows import AuditReport
    from include.pipeline_framework.tasks.backfill import Tick
    from include.pipeline_framework.tasks.check_overdue import Send
    from include.pipeline_framework.tasks.consume_windows import Announcement
    from include.pipeline_framework.tasks.plan_outcomes import PlanReport
    from include.pipeline_framework.tasks.publish_lifecycle import MirrorReport
    from include.pipeline_framework.tasks.rebuild_ledger import RebuildReport
    from include.pipeline_framework.tasks.record_generation import Generated, Validated
    from include.pipeline_framework.tasks.report_external import Reported
    from include.pipeline_framework.tasks.state_manager import StateReview
    from include.pipeline_framework.tasks.state_plans import MadePlan

    RunStates = Callable[[str, str], RunState]


Conf = Mapping[str, Any]
"""The value of `airflow dags trigger --conf`."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The outcome of planning.

    Attributes:
        reports: One for each source and day.
        loaded: Every pipeline, and the errors of broken files.
        broken: The errors of those broken files that were requested.
    """

    reports: Sequence[PlanReport]
    loaded: LoadedPipelines
    broken: dict[str, ConfigurationError]


class Workspace:
    """All pipelines, the ledger and the actor; it closes the ledger that it has opened.

    Args:
        call: What a Python session does; a task and a command have names of their own.
        actor: Who acts, if not the task that runs now or this Python session.
        store: The ledger, if not the project's own; it stays open.
        configs: Pipelines by id, if not the project's own.
    """

    def __init__(
        self,
        call: str = "",
        *,
        actor: Actor | None = None,
        store: LifecycleStore | None = None,
        configs: Mapping[str, PipelineConfig] | None = None,
    ) -> None:
        self._call, self._given_actor, self._given_store, self._given_configs = call, actor, store, configs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        own = self.__dict__.get("store")
        if own is not None and self._given_store is None:
            own.close()

    @cached_property
    def actor(self) -> Actor:
        """Return who acts."""
        return self._given_actor or run_context.current_actor(self._call)

    @cached_property
    def store(self) -> LifecycleStore:
        """Return the ledger."""
        return self._given_store if self._given_store is not None else assembly.lifecycle_store()

    @cached_property
    def loaded(self) -> LoadedPipelines:
        """Return every pipeline, and the errors of broken files."""
        given = self._given_configs
        return assembly.all_configs() if given is None else LoadedPipelines(dict(given), {})

    def of_source(self, name: str) -> PipelineConfig:
        """Return the pipeline of a source object, an id or a DAG's id; an error names those that are like it."""
        return pipeline_named(name, self.loaded.configs, self.loaded.errors)

    def source_named(self, name: str) -> str:
        """Return the source object of a pipeline's name; also of rows whose pipeline file is gone."""
        if (config := find_pipeline(name, self.loaded.configs)) or not self.store.has_windows(name):
            return (config or self.of_source(name)).source_object
        return name

    # --- planning -----------------------------------------------------------------------------------------------------

    def plan(
        self,
        target_date: date | None,
        pipelines: Sequence[str] | None = None,
        *,
        dry_run: bool = False,
        allow_future: bool = False,
        yes: bool = False,
    ) -> Planned:
        """Plan a day for every source, or what is due by the planner's own rule; no source's error is raised."""
        from include.pipeline_framework.tasks import plan_outcomes, planning

        chosen, broken = plan_outcomes.choose_sources(self.loaded.configs, self.loaded.errors, pipelines)
        reports = planning.plan_sources(
            chosen,
            self.store,
            self.actor,
            now=self.store.now(),
            target_date=target_date,
            dry_run=dry_run or self.actor.is_temporary,
            allow_future=allow_future,
            yes=yes,
        )
        return Planned(reports, self.loaded, broken)

    def populate(self, config: PipelineConfig, conf: Conf, *, dry_run: bool = False) -> dict[str, Any]:
        """Plan what a run of a pipeline needs before it claims."""
        from include.pipeline_framework.tasks import planning

        request = parse_request(conf, config.horizon, config.source_object)  # refused before any system is reached
        return planning.populate_pipeline_batches(config, self.store, self.actor, request, dry_run=dry_run)

    def next_records(
        self, config: PipelineConfig, target_date: date | None, *, max_records: int, allow_future: bool
    ) -> Generated:
        """Return the next windows of a pipeline's day, without storing them."""
        from include.pipeline_framework.tasks import record_generation

        return record_generation.next_windows(
            config,
            self.store,
            now=self.store.now(),
            target_date=target_date,
            max_records=max_records,
            allow_future=allow_future,
        )

    def validate_records(
        self, config: PipelineConfig, windows: Sequence[TimeWindow], *, allow_future: bool
    ) -> Validated:
        """Judge generated windows as a claim will."""
        from include.pipeline_framework.tasks import record_generation

        now = self.store.now()
        return record_generation.validate_windows(config, windows, now=now, allow_future=allow_future)

    def store_records(self, config: PipelineConfig, windows: Sequence[TimeWindow]) -> list[TimeWindow]:
        """Store windows as PENDING rows; return the new ones."""
        from include.pipeline_framework.tasks import planning

        return planning.insert_windows(config, windows, self.store, self.actor)

    # --- the runs of a pipeline ---------------------------------------------------------------------------------------

    def claim(self, config: PipelineConfig, conf: Conf, *, now: datetime | None = None) -> dict[str, Any]:
        """Claim windows for the actor's run, and judge them; with the project's own ledger the target is prepared."""
        from include.pipeline_framework.tasks.store_and_validate import store_and_validate

        request = parse_request(conf, config.horizon, config.source_object)
        prepare = partial(assembly.prepare_target, config) if self._given_store is None else None
        return store_and_validate(config, self.store, self.actor, request, prepare=prepare, now=now)

    def finish_run(self, config: PipelineConfig, until: Phase) -> dict[str, int]:
        """Release what the actor's run still holds."""
        from include.pipeline_framework.tasks import cleanup_stale_locks

        return cleanup_stale_locks.finish_run(self.store, config, self.actor, until)

    def release_stale(self, run_state: RunStates | None = None) -> list[dict[str, Any]]:
        """Release every window whose owner has ended."""
        from include.pipeline_framework.tasks import cleanup_stale_locks

        states = run_state or run_context.run_state
        return cleanup_stale_locks.cleanup_stale_locks(self.store, self.loaded.configs, self.actor, states)

    def update_record(self, record: Mapping[str, Any], run_state: RunStates | None = None) -> None:
        """Make the legal transition that a changed status means."""
        from include.pipeline_framework.tasks import single_window

        pipeline_id = self.store.get(record["id"]).pipeline_id if record.get("id") is not None else None
        config = self.loaded.configs.get(pipeline_id) if pipeline_id else None
        single_window.update_record(self.store, record, self.actor, config, run_state or run_context.run_state)

    def report_external(
        self,
        config: PipelineConfig,
        window: tuple[datetime | str, datetime | str],
        *,
        counts: tuple[int | None, int | None] = (None, None),
        failed: str | None = None,
        job_id: str | None = None,
        replace: str | None = None,
    ) -> Reported:
        """Write how another system ended a window."""
        from include.pipeline_framework.core.lifecycle.external_reports import parse_report
        from include.pipeline_framework.tasks import report_external

        asked = report_external.reported_window(config, *window)
        report = parse_report(*counts, failed, job_id, where=config.source_object)
        write, reason = report_external.report_external_window, replace or ""
        return write(config, self.store, self.actor, asked, report, replace_reason=reason)

    # --- campaigns ----------------------------------------------------------------------------------------------------

    def start_campaigns(
        self, conf: Conf, tick: Callable[[str], Tick], tell: Callable[[str, str], None]
    ) -> list[dict[str, Any]]:
        """Start one campaign for each pipeline of the conf; all of it is checked before the first one starts."""
        from include.pipeline_framework.tasks import backfill

        return backfill.start_campaigns(self.loaded, conf, self.store, self.actor, tick=tick, tell=tell)

    def campaigns(self, campaign_id: int | None = None, source_object: str | None = None) -> list[dict[str, Any]]:
        """Return campaigns with their progress, newest first."""
        from include.pipeline_framework.core.lifecycle.campaigns import progress, require_campaign

        found = self.store.campaigns(campaign_id=campaign_id, source_object=source_object)
        if campaign_id is not None:
            require_campaign(found, campaign_id)
        return [progress(row) for row in found]

    def change_campaign(self, campaign_id: int, state: CampaignState) -> dict[str, Any]:
        """Pause, resume or cancel a campaign."""
        from include.pipeline_framework.tasks import backfill

        return backfill.change_state(self.store, self.actor, campaign_id, state)

    def why_no_further_run(self, config: PipelineConfig) -> str | None:
        """Return why the actor's run triggers no further run of its pipeline; None: it should."""
        from include.pipeline_framework.tasks import backfill

        return backfill.why_no_further_run(config, self.store, self.actor)

    # --- continuity ---------------------------------------------------------------------------------------------------

    def review(self, configs: Sequence[PipelineConfig]) -> list[StateReview]:
        """Return what is wrong with the plan of some pipelines."""
        from include.pipeline_framework.tasks import state_manager

        return state_manager.review(configs, self.store)

    def make_plan(self, pipelines: Sequence[str] | None) -> MadePlan:
        """Find what is wrong and store what would be done about it; a temporary run stores nothing."""
        from include.pipeline_framework.tasks import planning, state_plans

        configs = planning.select_pipelines(self.loaded.configs, self.loaded.errors, pipelines)
        return state_plans.make_plan(configs, self.store, self.actor, is_stored=not self.actor.is_temporary)

    def stored_plan(self, plan_id: str) -> StatePlan:
        """Return a plan that was made before."""
        from include.pipeline_framework.tasks import state_plans

        return state_plans.load_plan(plan_id, self.store)

    def approval_of(self, plan: StatePlan) -> str | None:
        """Return why a person has to approve a plan; None if no approval is needed."""
        from include.pipeline_framework.tasks import state_plans

        return state_plans.approval_of(plan, self.loaded.configs.values())

    def apply_plan(self, plan_id: str, *, seen_hash: str, approved_by: str | None) -> StatePlan:
        """Execute exactly the plan that was shown."""
        from include.pipeline_framework.tasks import state_plans

        known, who = {config.source_object: config for config in self.loaded.configs.values()}, self.actor
        return state_plans.apply_plan(plan_id, known, self.store, who, seen_hash=seen_hash, approved_by=approved_by)

    def apply_items(self, config: PipelineConfig, items: Sequence[PlanItem]) -> dict[str, Any]:
        """Execute steps of one source that are not stored as a plan."""
        from include.pipeline_framework.tasks import state_plans

        return state_plans.apply_to_source(config, self.store, self.actor, items)

    # --- late data, other systems' tables, the ledger itself ----------------------------------------------------------

    def audit_windows(self, pipeline_id: str, conf: Conf, tell: Callable[[str], None]) -> AuditReport:
        """Compare closed windows of a pipeline with its source, and replace what has changed."""
        from include.pipeline_framework.tasks import audit_requests, audit_windows

        pipeline = assembly.pipeline(pipeline_id)
        request = audit_requests.parse_audit(conf, pipeline.config)
        for hint in request.run.hints:
            tell(f"{pipeline.config.source_object}: {hint}")
        return audit_windows.audit_windows(pipeline, self.actor, request)

    def advise(self, source_object: str, days: int) -> tuple[Arrivals, Recommendation]:
        """Return how late rows of a source come, and which x_time_back follows from it."""
        from include.pipeline_framework.tasks.audit_windows import advise

        return advise(self.of_source(source_object), self.store, self.store.now(), known_days=days)

    def announced(self, announcements: Iterable[Announcement]) -> list[dict[str, Any]]:
        """Return the windows that asset events name, with their rows."""
        from include.pipeline_framework.tasks.consume_windows import announced_windows

        return announced_windows(announcements, self.loaded.configs, self.store)

    def find_overdue(self) -> list[dict[str, Any]]:
        """Return one report for each pipeline that asks for alarms."""
        from include.pipeline_framework.tasks import check_overdue

        return check_overdue.find_overdue(self.loaded.configs, assembly.overdue_alarms())

    def report_overdue(self, report: Mapping[str, Any], send_to: Callable[[list[str]], Send]) -> str:
        """Fail while a pipeline has something overdue, and report what is new."""
        from include.pipeline_framework.tasks import check_overdue

        config = assembly.parsed_config(report["pipeline_id"])
        send = send_to(config.email_list) if config.email_list else None
        return check_overdue.report_overdue(config, report, assembly.overdue_alarms(), send)

    def mirror(
        self, name: str, target: AdapterSection, pipelines: Sequence[str], *, is_full: bool, dry_run: bool
    ) -> MirrorReport:
        """Run one cycle of a mirror of the ledger, beside the tables of these pipelines' target."""
        from include.pipeline_framework.tasks.publish_lifecycle import publish

        feed, mirror = assembly.lifecycle_feed(), assembly.mirror(target)
        return publish(name, pipelines, feed, mirror, is_full=is_full, dry_run=dry_run or self.actor.is_temporary)

    def why(self, source_object: str, instant: str, run_state: RunStates | None = None) -> dict[str, Any]:
        """Return why the window of a source (by any of its names) at an instant is in its state, or does not exist."""
        from include.pipeline_framework.tasks.why import why

        states, known, name = run_state or run_context.run_state, self.loaded.configs, self.source_named(source_object)
        return why(name, instant, known, self.store, run_state=states)

    def rebuild(self, source_object: str, *, apply: bool) -> RebuildReport:
        """Enter into the ledger what target and stage of a source prove."""
        from include.pipeline_framework.tasks.rebuild_ledger import rebuild_ledger

        pipeline = assembly.pipeline(self.of_source(source_object).pipeline_id)
        return rebuild_ledger(pipeline, self.actor, apply=apply)

    def reconcile(self, source_object: str) -> list[Difference]:
        """Return the differences between the ledger and the target of a source."""
        from include.pipeline_framework.tasks.reconcile_ledger import reconcile_ledger

        return reconcile_ledger(assembly.pipeline(self.of_source(source_object).pipeline_id))

    def adopt_failover(self, *, apply: bool) -> SeenIdentity:
        """Make a promoted standby the ledger."""
        from include.pipeline_framework.tasks.adopt_failover import adopt_failover

        return adopt_failover(self.store, self.actor, apply=apply)

    def adopt(self, table: str, mapping: Any, *, apply: bool) -> StateReport:
        """Move the rows of an older state table into the ledger."""
        from include.pipeline_framework.config.adoption_mapping import read_mapping
        from include.pipeline_framework.tasks.adopt_ledger import adopt_ledger

        make, configs = assembly.adoption().importing, list(self.loaded.configs.values())
        return adopt_ledger(make, table, read_mapping(mapping), configs, self.actor, apply=apply)

    def analyse(self, sources: Sequence[str] | None, table: str | None = None, mapping: Any = None) -> StateReport:
        """Return gaps, overlaps, duplicates and drift of the ledger, or of an older table."""
        from include.pipeline_framework.config.adoption_mapping import read_mapping
        from include.pipeline_framework.tasks.adopt_ledger import analyse_ledger, analyse_table

        adoption, configs = assembly.adoption(), list(self.loaded.configs.values())
        if table:
            return analyse_table(adoption.importing, table, read_mapping(mapping), configs, sources)
        wanted = [self.source_named(name) for name in sources] if sources else None
        with adoption.reading() as ledger:
            return analyse_ledger(ledger, configs, wanted)
