"""Start a backfill campaign and report how far it is; the pipeline's own runs load its windows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.external import require_moved_here
from include.pipeline_framework.config.loader import LoadedPipelines
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.lifecycle import campaigns
from include.pipeline_framework.core.lifecycle.campaigns import CampaignState, CampaignWindow, Mode, Order, Step
from include.pipeline_framework.core.records.planning import RowMaker
from include.pipeline_framework.core.records.row import Actor, Status
from include.pipeline_framework.core.records.run_requests import RunRequest, parse_request
from include.pipeline_framework.core.records.validation import stable_until
from include.pipeline_framework.core.time.durations import Granularity, parse_granularity
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc, tile
from include.pipeline_framework.errors import InvalidInputError, LedgerRefusedError
from include.pipeline_framework.ports.ledger import LifecycleStore, Record
from include.pipeline_framework.tasks import zone_changes
from include.pipeline_framework.tasks.planning import select_pipelines
from include.pipeline_framework.tasks.store_and_validate import claim_options

_log = logging.getLogger(__name__)

INSERT_AT_ONCE = 1_000
"""Windows per transaction while a campaign starts: after a kill, the start continues behind the last one."""

_Word = TypeVar("_Word", Mode, Order)

Tick = Callable[[int, int], None]
"""A function of the steps done and of all steps; it is called now and then while a campaign starts."""


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """A checked conf of `backfill_windows`, for one pipeline.

    Attributes:
        run: Ranges or exact windows, `dry_run` and `reason`.
        mode, order: See `core.campaigns`.
        priority: Priority of its windows: in what scheduled windows leave free, higher ones are first.
        concurrency: The most of them in progress at once; None: no limit.
        granularity: Granularity of the windows that it plans; None: the pipeline's.
    """

    run: RunRequest
    mode: Mode = Mode.MISSING
    order: Order = Order.OLDEST_FIRST
    priority: int = 1
    concurrency: int | None = None
    granularity: str | None = None


def parse_backfill(conf: Mapping[str, Any], config: PipelineConfig) -> BackfillRequest:
    """Check a conf for one pipeline; the caller reads the key `pipelines`.

    Raises:
        InvalidInputError: An unknown key, a wrong value, no range, or a range outside the horizon; nothing was done.
        ConfigurationError: Another system moves the pipeline's data.
    """
    require_moved_here(config)
    own = ("mode", "order", "priority", "concurrency", "granularity", "pipelines")
    given = {name: value for name, value in conf.items() if value is not None and value != ""}
    if given.keys() & {"replace", "max_windows"}:
        raise _refused(config, "replace and max_windows belong to a pipeline run", "Use mode all, and concurrency.")
    asked = {name: value for name, value in given.items() if name not in own}
    if "reason" in asked:
        asked["replace"] = True  # the same rules for the text of a reason
    request = parse_request(asked, config.horizon, config.source_object)
    if request.ranges is None:
        raise _refused(config, "a backfill needs to know what to load", "Give from + to, target_date, or windows.")
    mode, order = _word(config, Mode, given, "mode"), _word(config, Order, given, "order")
    granularity = given.get("granularity")
    if granularity is not None:
        parse_granularity(granularity)
        if request.exact:
            raise _refused(config, "granularity with exact windows", "Give one of the two.")
    if mode == Mode.ALL and not request.reason.strip():
        raise _refused(config, "mode all loads finished windows again and needs a reason", 'Add "reason": "why".')
    return BackfillRequest(
        request,
        mode or Mode.MISSING,
        order or Order.OLDEST_FIRST,
        _number(config, given, "priority", -1_000_000) if "priority" in given else 1,
        _number(config, given, "concurrency", 1) if "concurrency" in given else None,
        granularity,
    )


def start_campaigns(
    loaded: LoadedPipelines,
    conf: Mapping[str, Any],
    store: LifecycleStore,
    actor: Actor,
    *,
    tick: Callable[[str], Tick],
    tell: Callable[[str, str], None],
) -> list[dict[str, Any]]:
    """Start one campaign for each pipeline of the conf; all are checked before the first starts.

    Args:
        loaded: Every pipeline.
        conf: As `parse_backfill`, with `pipelines`.
        store: The ledger.
        actor: The one that asks.
        tick: Returns for a source object the function to which its progress is reported.
        tell: Called with a source object and a hint about what was asked for.

    Returns: The reports of `start_campaign`.

    Raises:
        InvalidInputError: No pipelines are named, or as `parse_backfill`; nothing was done.
        ConfigurationError: The file of a named pipeline is broken.
    """
    if not conf.get("pipelines"):
        raise InvalidInputError("a backfill needs to know of which pipelines", remedy='Add "pipelines": ["main"].')
    configs = select_pipelines(loaded.configs, loaded.errors, conf["pipelines"])
    requests, now = [(config, parse_backfill(conf, config)) for config in configs], store.now()
    for config, request in requests:
        request.run.require_not_future(config.horizon, now, config.source_object)
    reports = []
    for config, request in requests:
        for hint in request.run.hints:
            tell(config.source_object, hint)
        reports.append(start_campaign(config, store, actor, request, tick=tick(config.source_object)))
    return reports


def why_no_further_run(config: PipelineConfig, store: LifecycleStore, actor: Actor) -> str | None:
    """Return why the actor's run triggers no further run; None when a campaign has windows to claim now.

    A run that finished no window triggers none, so that a source that is down doesn't use up every window's attempts.
    """
    mine = store.claimed_by(actor.dag_id, actor.dag_run_id)
    if actor.is_temporary or not any(row.is_finished for row in mine):
        return "this run finished no window, so it triggers no further one"
    settled = stable_until(store.now(), config.x_time_back, config.timezone)
    if not has_more(config, store, **claim_options(config, settled, RunRequest())):
        return "no running backfill campaign has windows that could be claimed now"
    return None


def start_campaign(
    config: PipelineConfig,
    store: LifecycleStore,
    actor: Actor,
    request: BackfillRequest,
    *,
    tick: Tick = lambda _done, _all: None,
) -> dict[str, Any]:
    """Create the campaign and have its windows join it; safe to repeat: a second try of the run continues.

    Raises:
        InvalidInputError: The ranges reach beyond local tomorrow without `allow_future`; nothing was done.
        LedgerRefusedError: A day was planned with newer time zone rules, which give it other bounds.

    Returns:
        `campaign_id` (None in a dry run or when there is nothing to load), `steps` (number of windows by step) and, in
        a dry run, `windows` (every step in words).
    """
    dry_run = request.run.dry_run or actor.is_temporary
    request.run.require_not_future(config.horizon, store.now(), config.source_object)
    if not request.run.exact:
        days = (day for part in request.run.ranges or () for day in config.horizon.days(part))
        zone_changes.require_plannable(config, store, store.now(), days)
    steps = _steps(config, store, request, None)
    if dry_run or not any(step.step in campaigns.DOES for step in steps):
        mine = [row for row in store.campaigns(source_object=config.source_object) if _is_of(row, actor)]
        if dry_run or not mine:
            return _report(config, None, steps, dry_run=dry_run)
    campaign = store.create_campaign(_campaign(config, request), actor)
    campaign_id = int(campaign["campaign_id"])
    steps = _steps(config, store, request, campaign_id)
    outcome = _Joining(config, store, actor, request, campaign_id, tick).carry_out(steps)
    store.change_campaign(campaign_id, actor, is_planned=True)
    return _report(config, campaign_id, outcome, dry_run=False)


def change_state(store: LifecycleStore, actor: Actor, campaign_id: int, state: CampaignState) -> dict[str, Any]:
    """Pause, resume or cancel a campaign; the change takes effect at the next claim.

    Cancelling gives back the waiting windows that were planned without the campaign; those that only the campaign
    wanted rest, PENDING, until another campaign asks for them.

    Raises:
        InvalidInputError: There is no such campaign, or it was cancelled.
    """
    campaign = store.change_campaign(campaign_id, actor, state=state)
    given_back = 0
    if state == CampaignState.CANCELLED:
        for row in store.campaign_rows(campaign_id, statuses=[Status.PENDING]):
            if row.record_inserted_at < campaign["created_at"] and not row.is_replacement_run_flag:
                priority = campaigns.priority_before(store.events(row.id))
                store.change(row.id, lambda r, now, p=priority: campaigns.leave(r, now, p), actor)  # type: ignore[misc]
                given_back += 1
    (found,) = store.campaigns(campaign_id=campaign_id)
    return {**campaigns.progress(found), "given_back": given_back}


def has_more(config: PipelineConfig, store: LifecycleStore, **options: Any) -> bool:
    """True when a running campaign of the pipeline has windows that a run could claim now."""
    if not any(row["state"] == CampaignState.RUNNING for row in store.campaigns(source_object=config.source_object)):
        return False
    due = store.preview_claim(config.source_object, **options)
    return any(row.campaign_id is not None for row in due)


@dataclass(slots=True)
class _Joining:
    config: PipelineConfig
    store: LifecycleStore
    actor: Actor
    request: BackfillRequest
    campaign_id: int
    tick: Tick

    def carry_out(self, steps: Sequence[CampaignWindow]) -> list[CampaignWindow]:
        """Do the steps; a window that a run took in the meantime is returned as held."""
        outcome, new = [], [step for step in steps if step.step == Step.INSERT]
        for first in range(0, len(new), INSERT_AT_ONCE):
            part = new[first : first + INSERT_AT_ONCE]
            self.store.insert_planned(self._rows([w for step in part for w in step.windows]), self.actor, self._reason)
            outcome += part
            self.tick(len(outcome), len(steps))
        for step in steps:
            if step.step != Step.INSERT:
                outcome.append(self._one(step))
                self.tick(len(outcome), len(steps))
        return outcome

    @property
    def _reason(self) -> str:
        return f"backfill {self.campaign_id}: {self.request.run.reason or self.request.mode}"

    def _one(self, step: CampaignWindow) -> CampaignWindow:
        number, priority = self.campaign_id, self.request.priority
        try:
            if step.step == Step.JOIN:
                (row_id,) = step.rows
                self.store.change(row_id, lambda row, now: campaigns.join(row, now, number, priority), self.actor)
            elif step.step == Step.REPLACE:
                self.store.replace(step.rows, self._rows(step.windows), self.actor, self._reason)
        except LedgerRefusedError as error:
            _log.warning("%s", error)
            return CampaignWindow(Step.HELD, step.windows, step.rows)
        return step

    def _rows(self, windows: Sequence[TimeWindow]) -> list[Record]:
        granularity = {"granularity": _label(self.config, self.request)}
        maker = RowMaker(self.config.final_config() | granularity, deriving)
        # a person asked for every one of them: the data that it replaces may be deleted
        own = {"campaign_id": self.campaign_id, "priority": self.request.priority, "is_removal_approved_flag": True}
        return [{**maker.row(window), **own} for window in windows]


def _steps(
    config: PipelineConfig, store: LifecycleStore, request: BackfillRequest, campaign_id: int | None
) -> list[CampaignWindow]:
    grid = list(request.run.exact) or _grid(config, request)
    if not grid:
        return []
    live = [window for part in request.run.ranges or () for window in store.live_windows(config.source_object, part)]
    rows = store.find(source_object=config.source_object, within=live) if live else []
    others = [campaigns.progress(row) for row in store.campaigns(source_object=config.source_object)]
    unfinished = {row["campaign_id"] for row in others if row["state"] not in ("DONE", CampaignState.CANCELLED)}
    return campaigns.campaign_windows(request.mode, grid, rows, campaign_id, unfinished)


def _grid(config: PipelineConfig, request: BackfillRequest) -> list[TimeWindow]:
    """Return windows of the asked granularity wholly inside one of the ranges and inside the horizon."""
    granularity = _granularity(config, request)
    return [
        window
        for part in request.run.ranges or ()
        for day in config.horizon.days(part)
        if day.window
        for window in tile(day.window, granularity)
        if part.start <= window.start and window.end <= part.end
    ]


def _granularity(config: PipelineConfig, request: BackfillRequest) -> Granularity:
    return parse_granularity(_label(config, request))


def _label(config: PipelineConfig, request: BackfillRequest) -> str:
    return request.granularity or config.granularity


def _campaign(config: PipelineConfig, request: BackfillRequest) -> dict[str, Any]:
    return {
        "source_object": config.source_object,
        "pipeline_id": config.pipeline_id,
        "mode": request.mode.value,
        "ranges": [[iso_utc(part.start), iso_utc(part.end)] for part in request.run.exact or request.run.ranges or ()],
        "granularity": request.granularity,
        "window_order": request.order.value,
        "concurrency": request.concurrency,
        "priority": request.priority,
        "reason": request.run.reason,
    }


def _is_of(campaign: Record, actor: Actor) -> bool:
    return (campaign["dag_id"], campaign["dag_run_id"]) == (actor.dag_id, actor.dag_run_id)


def _report(
    config: PipelineConfig, campaign_id: int | None, steps: Sequence[CampaignWindow], *, dry_run: bool
) -> dict[str, Any]:
    counts = Counter[str]()
    for step in steps:
        counts[step.step.value] += len(step.windows)
    report: dict[str, Any] = {
        "pipeline_id": config.pipeline_id,
        "source_object": config.source_object,
        "campaign_id": campaign_id,
        "steps": dict(sorted(counts.items())),
        "dry_run": dry_run,
    }
    if dry_run:
        report["windows"] = [
            f"{step.step.value}: {window.local_label(config.timezone)}" for step in steps for window in step.windows
        ]
    return report


def _word(config: PipelineConfig, words: type[_Word], given: Mapping[str, Any], name: str) -> _Word | None:
    if name not in given:
        return None
    try:
        return words(given[name])
    except ValueError as error:
        allowed = ", ".join(word.value for word in words)
        raise _refused(config, f"{name} is {given[name]!r}", f"Choose from {allowed}.") from error


def _number(config: PipelineConfig, given: Mapping[str, Any], name: str, least: int) -> int:
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000:
        raise _refused(config, f"{name} is {value!r}", f"Give a whole number from {least} to 1000000.")
    return value


def _refused(config: PipelineConfig, what: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(what, where=config.source_object, meaning="Nothing was planned or changed", remedy=remedy)
