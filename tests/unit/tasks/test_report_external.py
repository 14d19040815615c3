"""Windows that another system moves: planned and reported, never claimed, moved, audited or repaired by this bundle."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from include import framework
from include.pipeline_framework.core.lifecycle.external_reports import ExternalReport, parse_report
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    ConfigurationError,
    InvalidInputError,
    WindowFinishedError,
    WindowHeldError,
)
from include.pipeline_framework.tasks import audit_requests, backfill, cleanup_stale_locks, planning, state_manager
from include.pipeline_framework.tasks.cleanup_stale_locks import RunStates
from include.pipeline_framework.tasks.report_external import Reported, report_external_window, reported_window
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from include.pipeline_framework.tasks.why import why
from tests.unit.tasks.world import DAY, RUN_1, TEMPORARY, World, window

SPARK = Actor("cli ledger report", "spark", "ledger report")
OTHER = Actor("cli ledger report", "other", "ledger report")


class External(World):
    """A world whose data another system moves."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**{"moved_by": "external", "source": None, "stage": None, "target": None} | changes)

    def report(
        self,
        hour: int = 0,
        source: Any = None,
        target: Any = None,
        actor: Actor = SPARK,
        replace: str = "",
        **more: Any,
    ) -> Reported:
        report = parse_report(source, target, more.get("failed"), more.get("job_id"), "")
        return report_external_window(self.config, self.store, actor, window(hour), report, replace_reason=replace)

    def only(self) -> LedgerRow:
        """The one live row."""
        (row,) = self.store.find()
        return row


@pytest.fixture
def world() -> External:
    found = External()
    found.plan(0)
    return found


class TestReports:
    def test_equal_counts_complete_the_window_under_a_new_fence(self, world: External) -> None:
        found = world.report(0, 5, 5, job_id="job-1")
        assert (found.is_new, found.is_finished) == (True, True)
        row = world.only()
        assert (row.pipeline_final_status, row.audit_result_status, row.job_id) == (
            "COMPLETED",
            "PASSED",
            "job-1",
        )
        assert row.fence > 0
        assert (row.dag_id, row.dag_run_id, row.heartbeat_at) == (SPARK.dag_id, "spark", None)
        assert world.events(row.id) == ["planned", "taken", "completed"]
        event = world.store.events(row.id)[-1]
        assert (event["dag_run_id"], event["fence"]) == ("spark", row.fence)
        assert event["numbers"] == {"source_count": 5, "target_count": 5, "job_id": "job-1"}

    def test_a_planned_row_has_no_job(self, world: External) -> None:
        assert world.only().job_id is None

    def test_without_counts_it_is_done_and_not_audited(self, world: External) -> None:
        world.report()
        row = world.only()
        assert (row.pipeline_final_status, row.audit_process_status) == ("SKIPPED", "SKIPPED")
        assert world.store.events(row.id)[-1]["reason"].startswith("not audited")

    def test_the_same_again_changes_nothing(self, world: External) -> None:
        for report in ({"failed": "no disk", "job_id": "1"}, {"source": 5, "target": 3}, {"source": 5, "target": 5}):
            assert world.report(0, **report).is_new
            before, events = world.only(), world.events(world.only().id)
            again = world.report(0, **report)
            assert not again.is_new
            assert (world.only(), world.events(before.id)) == (before, events)
        assert not world.report(0).is_new  # it only says that it is done

    def test_other_numbers_of_a_finished_window_are_refused_with_the_remedy(self, world: External) -> None:
        world.report(0, 5, 5)
        before = world.only()
        for other in ({"source": 6, "target": 6}, {"source": 5, "target": 4}, {"failed": "after all"}):
            with pytest.raises(
                WindowFinishedError, match="COMPLETED already, with 5 rows at the source and 5"
            ) as caught:
                world.report(0, **other)
            assert '--replace "why"' in caught.value.remedy
        assert world.only() == before

    def test_counts_after_none_are_other_numbers(self, world: External) -> None:
        world.report()
        with pytest.raises(WindowFinishedError, match="SKIPPED already, without counts"):
            world.report(0, 5, 5)

    def test_failures_are_counted_and_the_last_one_stays_until_it_is_reported_done(self, world: External) -> None:
        for attempt in (1, 2, 3):
            found = world.report(0, failed="no disk", job_id=f"job-{attempt}")
            assert not found.is_finished
            assert (found.row.retry_attempt, found.row.job_id) == (attempt, f"job-{attempt}")
        row = world.only()
        assert row.pipeline_final_status == "FAILED"
        assert row.last_error.splitlines() == ["reported as failed: no disk"] * 3
        assert world.report(0, 1, 1).row.pipeline_final_status == "COMPLETED"
        assert world.only().last_error is None

    def test_a_mismatch_is_pending_again_and_then_failed(self, world: External) -> None:
        assert world.report(0, 5, 4).row.pipeline_final_status == "PENDING"
        assert world.report(0, 5, 3).row.pipeline_final_status == "PENDING"
        assert world.report(0, 5, 2).row.pipeline_final_status == "FAILED"
        assert world.events(world.only().id)[-1] == "audit_failed"

    def test_the_tolerance_is_the_pipeline_s(self) -> None:
        world = External(late_data_tolerance={"rows": 1, "percent": 0})
        world.plan(0)
        assert world.report(0, 5, 4).row.pipeline_final_status == "COMPLETED"

    def test_a_window_that_has_not_ended_is_not_done(self, world: External) -> None:
        world.at = window(0).end - timedelta(seconds=1)
        for counts in ({}, {"source": 1, "target": 1}):
            with pytest.raises(InvalidInputError, match="the window has not ended: it is 2013-03-09T05:59:59Z"):
                world.report(0, **counts)
        assert world.only().pipeline_final_status == "PENDING"
        world.report(0, failed="it can't be moved")
        world.at = window(0).end
        assert world.report(0, 1, 1).is_finished

    def test_bounds_that_are_not_planned_name_the_nearest(self, world: External) -> None:
        world.plan(1, 2, 3, 4)
        asked = TimeWindow(window(2).start, window(3).end)
        with pytest.raises(InvalidInputError, match="no planned window has exactly these bounds") as caught:
            report_external_window(world.config, world.store, SPARK, asked, ExternalReport())
        assert f"{window(1)}, {window(2)}, {window(3)}" in caught.value.remedy

    def test_where_nothing_is_planned_the_remedy_is_a_plan_or_the_horizon(self) -> None:
        world = External()
        with pytest.raises(InvalidInputError, match="plan --pipeline main --target-date 2013-03-09"):
            world.report(0, 1, 1)
        with pytest.raises(InvalidInputError, match="2013-02-27 is outside the pipeline's horizon"):
            world.report(-24 * 10, 1, 1)

    def test_nobody_reports_what_somebody_else_holds(self, world: External) -> None:
        world.store.take(world.only().id, OTHER)
        before = world.only()
        with pytest.raises(WindowHeldError, match="held by run other"):
            world.report(0, 1, 1)
        assert world.only() == before

    def test_a_report_that_died_goes_on_or_is_released_by_its_lease(self, world: External) -> None:
        world.store.take(world.only().id, OTHER)  # and then its process was killed
        assert world.report(0, 1, 1, actor=OTHER).is_finished
        world.plan(1)
        (row,) = world.store.find(within=[window(1)])
        world.store.take(row.id, OTHER)
        world.pass_time(timedelta(hours=3))
        unknown: RunStates = lambda _dag, _run: cleanup_stale_locks.RunState.UNKNOWN  # noqa: E731
        (released,) = cleanup_stale_locks.cleanup_stale_locks(
            world.store, {"main": world.config}, Actor("cleanup", "run"), unknown
        )
        assert released["id"] == row.id
        assert world.report(1, 1, 1).is_finished

    def test_somebody_who_was_first_with_the_same_is_fine(
        self, world: External, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take = world.store.take

        def second(*arguments: Any) -> Any:
            monkeypatch.setattr(world.store, "take", take)
            assert world.report(0, 5, 5, actor=OTHER).is_new
            return take(*arguments)

        monkeypatch.setattr(world.store, "take", second)
        found = world.report(0, 5, 5)
        assert not found.is_new
        assert found.row.dag_run_id == "other"

    def test_a_temporary_run_reports_nothing(self, world: External) -> None:
        with pytest.raises(InvalidInputError, match="a temporary test run reports nothing"):
            world.report(0, 1, 1, actor=TEMPORARY)

    def test_a_pipeline_of_this_bundle_is_not_reported(self) -> None:
        world = World()
        world.plan(0)
        with pytest.raises(ConfigurationError, match="this bundle moves its data itself"):
            report_external_window(world.config, world.store, SPARK, window(0), ExternalReport(1, 1))
        assert world.status(world.store.find()[0].id) == "PENDING"


class TestReplacements:
    def test_a_finished_window_is_reported_anew_by_a_replacement(self, world: External) -> None:
        old = world.report(0, 5, 5).row
        new = world.report(0, 6, 6, replace="two rows were missing").row
        assert (new.pipeline_final_status, new.source_count, new.is_replacement_run_flag) == (
            "COMPLETED",
            6,
            True,
        )
        before = world.row(old.id)
        assert (before.is_invalidated_flag, before.replaced_by_id) == (True, new.id)
        assert before.target_deletion_done_flag  # equal counts show that nothing of it is left
        assert not world.report(0, 6, 6, replace="two rows were missing").is_new
        assert len(world.store.find(include_invalidated=True)) == 2

    def test_what_replaces_nothing_yet_is_a_report_like_any_other(self, world: External) -> None:
        found = world.report(0, 5, 5, replace="in case that it is finished")
        assert (found.is_finished, found.row.is_replacement_run_flag) == (True, False)

    def test_it_is_not_done_without_counts_and_nothing_is_replaced(self, world: External) -> None:
        world.report(0, 5, 5)
        framework.invalidate_and_replace(
            world.config.final_config(),
            [[str(window(0).start.isoformat()), str(window(0).end.isoformat())]],
            "why",
            store=world.store,
            actor=SPARK,
        )
        with pytest.raises(InvalidInputError, match="a replacement is never reported without counts"):
            world.report(0)
        assert world.report(0, 6, 6).is_finished

    def test_a_skipped_one_gets_its_counts(self, world: External) -> None:
        world.report()
        assert world.report(0, 5, 5, replace="counted now").row.pipeline_final_status == "COMPLETED"

    @pytest.mark.parametrize("reason", [" ", "a\0b", "x" * 10_000])
    def test_a_reason_that_can_not_be_kept_replaces_nothing(self, world: External, reason: str) -> None:
        world.report(0, 5, 5)
        with pytest.raises(InvalidInputError, match="can't be kept"):
            world.report(0, 6, 6, replace=reason)
        assert len(world.store.find(include_invalidated=True)) == 1


class TestTheFunction:
    def test_from_python(self, world: External) -> None:
        told = framework.report_external_window(
            world.config.final_config(),
            "2013-03-09T00:00",  # New York
            window(0).end,
            source_count=2,
            target_count=2,
            job_id="spark-7",
            store=world.store,
        )
        assert (told["pipeline_final_status"], told["job_id"], told["is_new"]) == ("COMPLETED", "spark-7", True)
        assert (told["start"], told["end"]) == ("2013-03-09T05:00:00Z", "2013-03-09T06:00:00Z")
        assert world.only().dag_id == "python session"

    @pytest.mark.parametrize(
        ("bounds", "says"),
        [
            (("2013-03-09T01:00", "2013-03-09T00:00"), "must end after it starts"),
            (("yesterday", "2013-03-09"), "'yesterday' is not a timestamp"),
            (("2013-11-03T01:30", "2013-11-03T03:00"), "comes twice in America/New_York"),
        ],
    )
    def test_bounds_that_are_none(self, world: External, bounds: tuple[str, str], says: str) -> None:
        with pytest.raises(InvalidInputError, match=says):
            reported_window(world.config, *bounds)


class TestNothingElseMovesIt:
    def test_it_is_planned_like_any_other(self, world: External) -> None:
        (report,) = planning.plan_sources(
            [world.config], world.store, Actor("daily_planner", "r"), now=world.at, target_date=DAY.date
        )
        assert (report.expected, report.existing, report.inserted) == (24, 1, 23)

    def test_it_is_never_claimed(self, world: External) -> None:
        for request in (RunRequest(), RunRequest(dry_run=True)):
            with pytest.raises(ConfigurationError, match="another system moves its data"):
                store_and_validate(world.config, world.store, RUN_1, request)
        assert world.only().pipeline_final_status == "PENDING"
        assert framework.ConcurrencyManager(world.config.final_config(), store=world.store).next_windows() == []

    def test_campaigns_and_audits_refuse_it(self, world: External) -> None:
        with pytest.raises(ConfigurationError, match="another system moves its data"):
            backfill.parse_backfill({"target_date": "2013-03-09"}, world.config)
        with pytest.raises(ConfigurationError, match="another system moves its data"):
            audit_requests.parse_audit({}, world.config)

    @pytest.mark.parametrize(
        "call",
        [
            "pre_validation",
            "source_to_stage",
            "stage_to_target",
            "audit",
            "clean_target_location",
            "clean_stage_location",
        ],
    )
    def test_the_functions_that_move_refuse_it(self, world: External, call: str) -> None:
        for pipeline in (None, world.pipeline):
            with pytest.raises(ConfigurationError, match="another system moves its data"):
                getattr(framework, call)(world.config.final_config(), world.only(), pipeline=pipeline, actor=RUN_1)
        assert world.events(world.only().id) == ["planned"]

    @pytest.mark.parametrize("call", ["get_source_count", "get_target_count"])
    def test_its_systems_are_not_asked(self, world: External, call: str) -> None:
        with pytest.raises(ConfigurationError, match="another system moves its data"):
            getattr(framework, call)(world.config.final_config(), world.only())

    @pytest.mark.parametrize("failures", [0, 3])
    def test_its_row_is_not_taken_by_an_update(self, world: External, failures: int) -> None:
        for job in range(failures):
            world.report(0, failed="no disk", job_id=str(job))
        assert world.only().pipeline_final_status == ("FAILED" if failures else "PENDING")
        changed = {"id": world.only().id, "pipeline_final_status": "IN_PROGRESS"}
        with pytest.raises(ConfigurationError, match="another system moves its data"):
            framework.update_record_in_database(changed, store=world.store, actor=RUN_1, configs={"main": world.config})

    def test_its_gaps_are_found(self, world: External) -> None:
        world.plan(2)
        (review,) = state_manager.review([world.config], world.store)
        assert any("gap" in finding.kind.value for finding in review.findings)


class TestWhy:
    def ask(self, world: External, instant: str = "2013-03-09T00:30") -> dict[str, Any]:
        return why("flights", instant, {"main": world.config}, world.store)

    def test_a_waiting_window_names_the_report(self, world: External) -> None:
        found = self.ask(world)
        assert found["state"] == "PENDING"
        assert "Another system moves it" in found["sentences"][0]
        command = "ledger report --pipeline main --start 2013-03-09T05:00:00Z --end 2013-03-09T06:00:00Z"
        assert command in found["next"]
        world.at = window(0).start
        assert self.ask(world)["next_at"] == "2013-03-09T06:00:00Z"

    def test_finished_ones_say_whether_they_were_audited(self, world: External) -> None:
        world.plan(1)
        world.report(0, 5, 5, job_id="j7"), world.report(1)
        done, unaudited = self.ask(world), self.ask(world, "2013-03-09T01:30")
        assert "by job j7, with counts that passed the audit" in done["sentences"][0]
        assert "nobody has audited it" in unaudited["sentences"][0]
        assert "--replace" in done["next"]
        assert "data_pipeline_main" not in str((done, unaudited))

    def test_failed_ones_say_why(self, world: External) -> None:
        for job in ("1", "2", "3"):
            world.report(0, failed="no disk", job_id=job)
        found = self.ask(world)
        assert found["state"] == "FAILED"
        assert "reported 3 times that it failed by job 3" in found["sentences"][0]
        assert "Reason: reported as failed: no disk" in found["sentences"]

    def test_what_is_not_there_is_the_planner_s(self, world: External) -> None:
        gap, unplanned = self.ask(world, "2013-03-09T03:30"), self.ask(world, "2013-03-08T03:30")
        assert (gap["state"], unplanned["state"]) == ("GAP", "NOT_PLANNED")
        assert "trigger daily_planner with" in gap["next"]
        assert "a next run of daily_planner plans it" in unplanned["next"]
        assert "data_pipeline_main" not in str((gap, unplanned))
