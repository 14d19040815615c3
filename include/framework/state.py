"""Requirement 4's classes for notebooks and scripts: the state of a pipeline, and how much of it may run at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from include.framework import session
from include.pipeline_framework.core.continuity.remediation import PlanItem
from include.pipeline_framework.core.continuity.state_plans import approval_reason
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.records.validation import stable_until
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.ledger import LifecycleStore
from include.pipeline_framework.tasks import state_plans
from include.pipeline_framework.tasks.state_manager import StateReview
from include.pipeline_framework.tasks.store_and_validate import claim_options, small_record
from include.wiring.workspace import Workspace


class PipelineStateManager:
    """The four phases for one pipeline; only `apply` and `populate_pipeline_batches` write.

    Args:
        final_config: The pipeline, from `load_final_config`.
        store: The ledger.
        actor: Who acts.
    """

    def __init__(
        self, final_config: Mapping[str, Any], *, store: LifecycleStore | None = None, actor: Actor | None = None
    ) -> None:
        self._config = session.pipeline_config(final_config)
        self._store = store
        self._actor = actor

    def analyse(self) -> dict[str, Any]:
        """Phase 1: return days covered, windows per day, durations, dominant granularity, first and last window."""
        return self._review().analysis.as_dict()

    def find(self) -> list[dict[str, Any]]:
        """Phases 2, 3: return gaps, missing days, overlaps, rows over midnight, drift; with decision and reason."""
        return [finding.as_dict() for finding in self._review().findings]

    def plan(self) -> list[dict[str, Any]]:
        """Phase 4 without executing it: return the steps, as `apply` takes them; nothing is stored."""
        return [item.as_dict() for item in self._review().items]

    def apply(self, items: Iterable[Mapping[str, Any]], *, is_approved: bool = False) -> dict[str, Any]:
        """Execute steps of `plan`, each checked again; steps whose facts have changed since are skipped and listed.

        Args:
            items: Steps of this pipeline.
            is_approved: A person agrees to the deletion of data at the target, or to the number of windows.

        Returns:
            `inserted` (pairs of instants), `invalidated` (ids), `changed` (texts).

        Raises:
            InvalidInputError: A step is of another pipeline, or a needed approval is not given.
            TransientError: Another run repairs the source right now.
        """
        steps = [PlanItem.from_dict(item) for item in items]
        source_object = self._config.source_object
        if any(step.source_object != source_object for step in steps):
            raise InvalidInputError(
                "the plan has steps of another pipeline", where=source_object, remedy="Give those of this one only."
            )
        reason = approval_reason(steps, state_plans.limits([self._config]))
        if reason and not is_approved:
            raise InvalidInputError(
                f"the plan needs somebody's approval: {reason}",
                where=source_object,
                meaning="Nothing was done",
                remedy="Look at it, then pass is_approved=True; or let the DAG state_manager ask.",
            )
        with self._workspace("PipelineStateManager.apply") as workspace:
            if workspace.actor.is_temporary:
                raise InvalidInputError(
                    "a temporary test run applies nothing", where=source_object, remedy="Trigger a run of the DAG."
                )
            return workspace.apply_items(self._config, steps)

    def populate_pipeline_batches(
        self, conf: Mapping[str, Any] | None = None, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Run the first task of every pipeline run: plan what the conf asks for, or make the harmless repairs.

        Args:
            conf: What `airflow dags trigger --conf` takes.
            dry_run: Only report.
        """
        with self._workspace("populate_pipeline_batches") as workspace:
            return workspace.populate(self._config, conf or {}, dry_run=dry_run)

    def _review(self) -> StateReview:
        with self._workspace() as workspace:
            (found,) = workspace.review([self._config])
        return found

    def _workspace(self, call: str = "") -> Workspace:
        return Workspace(call, actor=self._actor, store=self._store)


class ConcurrencyManager:
    """How much of a pipeline may run at once, and what a run would get now; the atomic claim decides.

    Args:
        final_config: The pipeline, from `load_final_config`.
        store: The ledger.
    """

    def __init__(self, final_config: Mapping[str, Any], *, store: LifecycleStore | None = None) -> None:
        self._config = session.pipeline_config(final_config)
        self._store = store

    def free_slots(self) -> dict[str, int]:
        """Return how many more windows each limit of `max_windows_in_progress` allows now, by what it limits.

        There is no entry without a limit.
        """
        with Workspace(store=self._store) as workspace:
            return workspace.store.free_slots(self._config.claim_rules().caps)

    def next_windows(self, max_windows: int | None = None) -> list[dict[str, Any]]:
        """Return the windows that a run would claim now, in claim order; claim nothing.

        Scheduled windows keep their share, backfill campaigns their order, concurrency and state. The list is empty for
        a pipeline that another system moves.
        """
        if self._config.is_external:
            return []
        with Workspace(store=self._store) as workspace:
            settled = stable_until(workspace.store.now(), self._config.x_time_back, self._config.timezone)
            options = claim_options(self._config, settled, RunRequest(max_windows=max_windows))
            return [small_record(row) for row in workspace.store.preview_claim(self._config.source_object, **options)]

    def campaigns(self) -> list[dict[str, Any]]:
        """Return the pipeline's backfill campaigns with their progress, newest first."""
        with Workspace(store=self._store) as workspace:
            return workspace.campaigns(source_object=self._config.source_object)
