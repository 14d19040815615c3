"""A range at a person's word: in this process, and by runs of the DAG that are followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import RunRequest, parse_request
from include.pipeline_framework.core.watching.run_progress import RunProgress
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError, TargetBusyError
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks import run_range
from include.pipeline_framework.tasks.run_range import RunReport, count_both_ends, run_in_airflow, run_locally
from tests.unit.tasks.world import RUN_1, World, window

PERSON = Actor("cli run", "ann@host:1-abc", "run")
DAY = {"target_date": "2013-03-09"}
FOUR = {"from": "2013-03-09T05:00:00Z", "to": "2013-03-09T09:00:00Z"}


def asked(world: World, conf: Mapping[str, Any]) -> RunRequest:
    return parse_request(conf, world.config.horizon, "flights")


class Airflow:
    """Airflow's place: a run of the DAG loads what it claims when somebody asks for its state, a claim at a time."""

    def __init__(self, world: World, ends: str = "success", most: int = 3) -> None:
        self.world, self.ends, self.most = world, ends, most
        self.confs: list[dict[str, Any]] = []

    def trigger(self, dag_id: str, conf: Mapping[str, Any], note: str) -> str:
        assert (dag_id, note) == (self.world.config.dag_id, "ann")
        self.confs.append(dict(conf))
        return f"manual-{len(self.confs)}"

    def run_state(self, dag_id: str, run_id: str) -> str:
        actor, conf = Actor(dag_id, run_id, "task"), {**self.confs[-1], "max_windows": self.most}
        rows = self.world.store.claimed_by(dag_id, run_id)
        if not rows and self.ends == "success":
            request = asked(self.world, conf)
            run_range.populate_pipeline_batches(self.world.config, self.world.store, actor, request)
            claimed = run_range.store_and_validate(self.world.config, self.world.store, actor, request)["claimed"]
            return "running" if claimed else self.ends
        for row in rows:
            if row.pipeline_final_status == "IN_PROGRESS":
                self.world.move(row.id, actor=actor)
        return self.ends

    def run_address(self, dag_id: str, run_id: str) -> str:
        return f"http://airflow/{dag_id}/{run_id}"

    def load(self, conf: Mapping[str, Any], **options: Any) -> RunReport:
        return run_in_airflow(
            self.world.config,
            self.world.store,
            self,  # type: ignore[arg-type]
            conf,
            asked(self.world, conf),
            note="ann",
            **options,
        )


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_range.time, "sleep", lambda _seconds: None)


class TestLocally:
    def test_a_range_is_planned_claimed_in_turn_and_audited(self) -> None:
        world, seen = World(max_windows_per_run=3), list[RunProgress]()
        world.add_documents(3, 1)
        world.add_documents(2, 3)
        report = run_locally(world.pipeline, PERSON, asked(world, FOUR), tell=seen.append)
        assert report.is_done
        assert report.run_ids == ("ann@host:1-abc-1", "ann@host:1-abc-2")
        assert report.progress.sentence() == "4 windows: 4 completed; 5 rows"
        assert world.target_ids() == ["doc-1-0", "doc-1-1", "doc-1-2", "doc-3-0", "doc-3-1"]
        assert (seen[0].total, len(seen[0].rows), seen[0].waiting) == (4, 3, 1)
        assert [len(one.ended) for one in seen][-1] == 4
        again = run_locally(world.pipeline, Actor("cli run", "bob", "run"), asked(world, FOUR))
        assert again.run_ids == ()
        assert "'COMPLETED': 4" in again.note

    def test_what_is_finished_is_replaced_once(self) -> None:
        world = World(max_windows_per_run=2)
        run_locally(world.pipeline, PERSON, asked(world, FOUR))
        request = asked(world, {**FOUR, "replace": True, "reason": "a correction"})
        report = run_locally(world.pipeline, Actor("cli run", "bob", "run"), request)
        assert report.progress.sentence() == "4 windows: 4 completed; 0 rows"
        rows = world.store.find(source_object="flights", include_invalidated=True)
        assert sorted(row.is_live for row in rows) == [False] * 4 + [True] * 4

    def test_a_window_that_fails_is_named_and_stops_none_beside_it(self) -> None:
        world = World()
        world.add_documents(3, 1)
        world.source.add(Document("bad", window(2).start, b'{"n": "\\ud800"}'))
        report = run_locally(world.pipeline, PERSON, asked(world, FOUR))
        assert not report.is_done
        (row,) = report.progress.unfinished
        assert (row.window, str(row.pipeline_final_status), row.retry_attempt) == (window(2), "PENDING", 1)
        assert "'bad'" in str(row.last_error)
        assert report.progress.counts == {"COMPLETED": 3, "PENDING": 1}

    def test_while_others_publish_it_waits_for_its_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, busy = World(), [True, True, False]
        world.add_documents(1, 1)
        move = run_range.move_all_until

        def moved(pipeline: Any, attempts: Any, phase: Any) -> Any:
            is_busy = busy and busy.pop(0)
            return [TargetBusyError("busy")] * len(attempts) if is_busy else move(pipeline, attempts, phase)

        monkeypatch.setattr(run_range, "move_all_until", moved)
        report = run_locally(world.pipeline, PERSON, asked(world, FOUR))
        assert busy == []
        assert report.progress.counts == {"COMPLETED": 4}
        assert {row.retry_attempt for row in report.progress.rows} == {0}

    def test_what_stops_it_leaves_no_window_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()

        def stopped(*_: Any) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(run_range, "move_all_until", stopped)
        with pytest.raises(KeyboardInterrupt):
            run_locally(world.pipeline, PERSON, asked(world, FOUR))
        assert {row.pipeline_final_status for row in world.store.find(source_object="flights")} == {"PENDING"}


class TestInAirflow:
    def test_runs_follow_each_other_until_nothing_is_due(self) -> None:
        world, seen, addresses = World(), list[RunProgress](), list[str]()
        world.add_documents(2, 1)
        airflow = Airflow(world)
        report = airflow.load(FOUR, started=addresses.append, tell=seen.append)
        assert report.run_ids == ("manual-1", "manual-2")
        assert (report.states, report.is_done, report.note) == (("success", "success"), True, "")
        assert report.progress.sentence() == "4 windows: 4 completed; 2 rows"
        assert airflow.confs == [{**FOUR, "max_windows": 1_024}] * 2
        assert addresses == ["http://airflow/data_pipeline_main/manual-1", "http://airflow/data_pipeline_main/manual-2"]
        assert len(seen[0].running) == 3

    def test_only_the_first_run_replaces(self) -> None:
        world = World()
        run_locally(world.pipeline, PERSON, asked(world, FOUR))
        airflow = Airflow(world)
        report = airflow.load({**FOUR, "replace": True, "reason": "a correction"}, tell=lambda _: None)
        assert [conf.get("replace") for conf in airflow.confs] == [True, None]
        assert len(report.progress.rows) == 4
        rows = world.store.find(source_object="flights", include_invalidated=True)
        assert sum(row.is_invalidated_flag for row in rows) == 4

    def test_windows_that_another_run_carries_are_followed_too(self) -> None:
        world = World()
        (held,) = world.plan_and_claim(1)
        seen = list[RunProgress]()

        def tell(progress: RunProgress) -> None:
            seen.append(progress)
            if len(seen) == 3:
                world.move(held, actor=RUN_1)

        report = Airflow(world, most=9).load(FOUR, tell=tell)
        assert report.progress.sentence() == "4 windows: 4 completed; 0 rows"
        assert [row.window for row in seen[2].running] == [window(1)]

    def test_a_run_that_fails_is_the_last_one(self) -> None:
        airflow = Airflow(World(), ends="failed")
        report = airflow.load(FOUR, tell=lambda _: None)
        assert (report.states, report.is_done, len(airflow.confs)) == (("failed",), False, 1)
        assert report.note == "", "why it claimed nothing is in its log, not in the ledger"

    def test_nobody_waits_where_nobody_looks(self) -> None:
        report = Airflow(World()).load(FOUR)
        assert (report.run_ids, report.states) == (("manual-1",), ())

    def test_why_nothing_was_loaded(self) -> None:
        world = World()
        run_locally(world.pipeline, PERSON, asked(world, FOUR))
        report = Airflow(world).load(FOUR, tell=lambda _: None)
        assert "'COMPLETED': 4" in report.note
        assert report.is_done


@pytest.mark.parametrize(
    "load",
    [
        lambda world, conf: run_locally(world.pipeline, PERSON, asked(world, conf)),
        lambda world, conf: Airflow(world).load(conf),
    ],
    ids=["locally", "in Airflow"],
)
def test_what_no_run_would_load_is_refused_before_anything_is_planned(load: Callable[[World, Any], Any]) -> None:
    with pytest.raises(InvalidInputError, match="disabled"):
        load(World(enabled=False), DAY)
    with pytest.raises(ConfigurationError, match="external"):
        load(World(moved_by="external", source=None, stage=None, target=None), DAY)
    world = World()
    with pytest.raises(InvalidInputError, match="tomorrow"):
        load(world, {"target_date": "2013-04-09"})
    assert world.store.find(source_object="flights") == []


def test_both_ends_are_counted_over_every_range() -> None:
    world = World()
    world.add_documents(3, 1)
    world.add_documents(2, 5)
    run_locally(world.pipeline, PERSON, asked(world, FOUR))
    assert count_both_ends(world.pipeline, (window(0, 4), window(5))) == (5, 3)


def test_the_time_to_go_follows_from_what_is_done() -> None:
    world = World(max_windows_per_run=2)
    seen = list[RunProgress]()
    run_locally(world.pipeline, PERSON, asked(world, FOUR), tell=seen.append)
    half = next(one for one in seen if len(one.ended) == 2)
    assert half.seconds_to_go(30) == 30
    assert seen[0].seconds_to_go(30) is None
    assert timedelta(seconds=seen[-1].seconds_to_go(30) or 0) == timedelta()
