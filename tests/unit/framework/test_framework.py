"""The requirement documents' functions: their names and signatures, record generation, planning, and who acts."""

from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pendulum
import pytest

from include import framework
from include.framework import session
from include.pipeline_framework.config.loader import LoadedPipelines
from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.errors import (
    ConfigurationError,
    InvalidInputError,
)
from include.wiring import assembly, run_context
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore
from tests.unit.framework.world import DAY, HOUR, MIDNIGHT, NOW, RUN_1, RUN_2, SMALL, TEST_RUN, ZONE, World

REQUIRED: dict[str, list[str]] = {
    # requirement 1: "a standalone script that … accepts a target_date", with an optional dry_run
    "plan_target_date": ["target_date", "dry_run"],
    "invalidate_and_replace": ["final_config", "windows", "reason"],  # ours
    # requirement 2
    "parse_time_to_seconds": ["time_str"],
    "seconds_to_time_string": ["seconds"],
    "convert_to_pendulum": ["timestamp", "timezone"],
    "calculate_day_from_timestamp": ["timestamp", "time_back", "timezone"],
    "calculate_time_window": ["target_day", "granularity", "continuation_timestamp"],
    "generate_pipeline_time_window_record": ["final_config"],
    "build_complete_pipeline_record": ["final_config"],
    "latest_timestamp_available": ["source_object", "target_day"],
    # requirements 2 and 3: structured logging with timing, retry with exponential backoff
    "log_execution": ["event", "keys"],
    "retry_with_backoff": [],
    # requirement 3
    "load_final_config": ["pipeline_id"],  # optional: load_final_config() is the document's call
    "upload_record_to_database": ["final_config", "record"],
    "download_oldest_pending_record": [],
    "get_all_in_progress_records": [],
    "update_record_in_database": ["record"],
    "get_source_count": ["final_config", "record"],
    "transfer_source_to_stage": ["final_config", "record"],
    "clean_stage_location": ["final_config", "record"],
    "get_target_count": ["final_config", "record"],
    "transfer_stage_to_target": ["final_config", "record"],
    "clean_target_location": ["final_config", "record"],
    "function_x": ["final_config", "target_day", "window_start_time", "window_end_time", "time_interval"],
    "function_y": ["final_config", "target_day", "window_start_time", "window_end_time", "time_interval"],
    "function_z": ["final_config", "target_day", "window_start_time", "window_end_time", "time_interval"],
    # requirement 3's flow; the document gives no parameters
    "store_and_validate": ["final_config"],
    "pre_validation": ["final_config", "record"],
    "source_to_stage": ["final_config", "record"],
    "stage_to_target": ["final_config", "record"],
    "audit": ["final_config", "record"],
    "cleanup_stale_locks": [],
    # requirement 4
    "ConcurrencyManager": ["final_config"],
    "why": ["source_object", "instant"],  # not of the documents: for people who ask
    "completeness": ["final_config"],  # not of the documents: for people who ask
    "PipelineStateManager": ["final_config"],
    "report_external_window": ["final_config", "start", "end"],  # ours: for systems that move data themselves
}
OPTIONAL = {"continuation_timestamp", "dry_run", "event", "pipeline_id"}
OPTIONAL_TIMEZONE = "convert_to_pendulum"


@pytest.fixture
def world() -> World:
    return World()


class TestNames:
    @pytest.mark.parametrize("name", REQUIRED)
    def test_a_function_has_the_documents_positional_parameters_and_nothing_else_without_a_name(
        self, name: str
    ) -> None:
        parameters = inspect.signature(getattr(framework, name)).parameters.values()
        positional = [p for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        assert [p.name for p in positional] == REQUIRED[name]
        required = {p.name for p in parameters if p.default is inspect.Parameter.empty}
        optional = OPTIONAL | ({"timezone"} if name == OPTIONAL_TIMEZONE else set())
        assert required == set(REQUIRED[name]) - optional

    def test_the_module_exports_exactly_these(self) -> None:
        assert sorted(framework.__all__) == sorted(REQUIRED)

    def test_importing_it_imports_neither_airflow_nor_a_client_library(self) -> None:
        heavy = ("airflow", "pandas", "boto3", "botocore", "elasticsearch", "snowflake.connector", "psycopg")
        script = f"import sys, include.framework; print(*(name for name in {heavy!r} if name in sys.modules))"
        repo = Path(__file__).parents[3]
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=repo,
            env={"PYTHONPATH": str(repo)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == []


class TestTimeUtilities:
    """Requirement 2's examples; the rules themselves are tested with the core."""

    def test_time_strings(self) -> None:
        assert framework.parse_time_to_seconds("1d2h30m20s") == 95_420
        assert framework.seconds_to_time_string(95_420) == "1d2h30m20s"

    def test_timestamps(self) -> None:
        assert framework.convert_to_pendulum(0) == pendulum.datetime(1970, 1, 1)
        day = framework.calculate_day_from_timestamp("2025-07-01T10:30:00Z", "1d2h", "America/Los_Angeles")
        assert day.isoformat() == "2025-06-30T00:00:00-07:00"

    @pytest.mark.parametrize(
        ("granularity", "continuation", "expected"),
        [
            ("3h", None, ("00:00", "03:00", "3h")),
            ("3h", "02:00", ("02:00", "05:00", "3h")),
            ("3h", "12:00", ("12:00", "15:00", "3h")),
            ("3h", "22:00", ("22:00", "00:00", "2h")),
            ("5h", "22:00", ("22:00", "00:00", "2h")),
            ("1h", "23:30", ("23:30", "00:00", "30m")),
        ],
    )
    def test_windows_continue_and_are_capped(
        self, granularity: str, continuation: str | None, expected: tuple[str, str, str]
    ) -> None:
        day = pendulum.datetime(2025, 6, 30, tz="America/Los_Angeles")
        at = day.at(*map(int, continuation.split(":"))) if continuation else None
        start, end, interval = framework.calculate_time_window(day, granularity, at)
        assert (start.format("HH:mm"), end.format("HH:mm"), interval) == expected

    @pytest.mark.parametrize("offset", [timedelta(days=1), timedelta(days=1, hours=1), timedelta(seconds=-1)])
    def test_a_complete_day_gives_none(self, offset: timedelta) -> None:
        day = pendulum.datetime(2025, 6, 30, tz="America/Los_Angeles")
        assert framework.calculate_time_window(day, "3h", day + offset) is None


class TestRecordGeneration:
    def test_requirement_2s_four_keys_are_enough(self) -> None:
        now = pendulum.datetime(2025, 7, 1, 10, 30, tz="UTC")
        details = framework.generate_pipeline_time_window_record(SMALL, now=now)
        assert details is not None
        assert set(details) == {"target_day", "target_day_str", "window_start_time", "window_end_time", "time_interval"}
        assert details["target_day_str"] == "2025-06-30"
        assert details["window_end_time"].isoformat() == "2025-06-30T02:00:00-07:00"
        record = framework.build_complete_pipeline_record(SMALL, now=now)
        assert record is not None
        assert record["TARGET_DAY"] == details["target_day"]
        assert (record["source_name"], record["TIME_INTERVAL"]) == ("elasticsearch", "2h")
        assert all(record[key] for key in ("key_x", "key_y", "key_z"))

    def test_the_clock_may_be_left_out(self) -> None:
        details = framework.generate_pipeline_time_window_record(SMALL)
        assert details is not None
        today = pendulum.instance(MemoryLifecycleStore().now()).in_timezone(SMALL["timezone"])
        assert timedelta(0) < today - details["target_day"] < timedelta(days=3)

    def test_none_goes_through(self) -> None:
        now, end = pendulum.datetime(2025, 7, 1, 10, 30), pendulum.datetime(2025, 7, 1, tz=SMALL["timezone"])
        assert framework.generate_pipeline_time_window_record(SMALL, now=now, continuation_timestamp=end) is None
        assert framework.build_complete_pipeline_record(SMALL, now=now, continuation_timestamp=end) is None

    def test_a_missing_key_is_named(self) -> None:
        with pytest.raises(ConfigurationError, match="granularity, default_record"):
            framework.build_complete_pipeline_record({"timezone": "UTC", "x_time_back": "1d"})

    def test_a_given_ledger_tells_where_to_continue(self, world: World) -> None:
        world.planned(0)
        world.planned(1)
        details = framework.generate_pipeline_time_window_record(world.final_config, target_day=DAY, store=world.store)
        assert details is not None
        assert details["window_start_time"] == MIDNIGHT + 2 * HOUR

    def test_a_complete_day_is_none(self, world: World) -> None:
        framework.plan_target_date(DAY, configs=world.configs, store=world.store, actor=RUN_1)
        assert framework.build_complete_pipeline_record(world.final_config, target_day=DAY, store=world.store) is None

    def test_a_pipelines_own_configuration_asks_the_projects_ledger(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.planned(0)
        monkeypatch.setattr(assembly, "lifecycle_store", lambda: world.store)
        details = framework.generate_pipeline_time_window_record(world.final_config, now=MIDNIGHT + timedelta(days=1))
        assert details is not None
        assert details["window_start_time"] == MIDNIGHT + HOUR

    def test_a_configuration_written_by_hand_asks_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(assembly, "lifecycle_store", lambda: pytest.fail("asked the ledger"))
        by_hand = SMALL | {"default_record": {"source_object": "flights"}}
        assert framework.build_complete_pipeline_record(by_hand) is not None

    def test_a_store_without_a_source_object_has_nothing_to_say(self, world: World) -> None:
        details = framework.generate_pipeline_time_window_record(SMALL, now=NOW, store=world.store)
        assert details is not None
        assert details["window_start_time"] == details["target_day"]

    def test_a_day_outside_the_horizon_is_none_unless_it_was_asked_for(self, world: World) -> None:
        late = datetime(2014, 6, 1, tzinfo=UTC)
        assert framework.build_complete_pipeline_record(world.final_config, now=late, store=world.store) is None
        with pytest.raises(InvalidInputError, match="end_date"):
            framework.build_complete_pipeline_record(world.final_config, target_day=date(2014, 6, 1), store=world.store)

    @pytest.mark.parametrize(
        "target_day",
        [
            pendulum.datetime(2013, 3, 9, tz=ZONE),
            pendulum.datetime(2013, 3, 9, 13, tz=ZONE),
            date(2013, 3, 9),
            "2013-03-09",
            datetime(2013, 3, 9, 5, tzinfo=UTC).astimezone(pendulum.timezone(ZONE)),
            "2013-03-09T05:00:00Z",
            "2013-03-09T12:00:00-05:00",
            "20130309",
            1_362_805_200,
            pd.Timestamp("2013-03-09"),
        ],
    )
    def test_latest_timestamp_takes_any_form_of_a_day(self, world: World, target_day: Any) -> None:
        assert framework.latest_timestamp_available("flights", target_day, timezone=ZONE, store=world.store) is None
        world.planned(0)
        found = framework.latest_timestamp_available("flights", target_day, timezone=ZONE, store=world.store)
        assert found is not None
        assert (found, found.timezone_name) == (MIDNIGHT + HOUR, ZONE)

    @pytest.mark.parametrize(
        "target_day", ["2013-03-09", date(2013, 3, 9), MIDNIGHT + HOUR, "2013-03-09T23:59:59-05:00"]
    )
    def test_a_record_is_generated_for_any_form_of_a_day(self, world: World, target_day: Any) -> None:
        world.planned(0)
        for generate in (framework.generate_pipeline_time_window_record, framework.build_complete_pipeline_record):
            record = generate(world.final_config, target_day=target_day, store=world.store)
            assert record is not None
            found = {name.lower(): value for name, value in record.items()}
            assert (found["target_day"], found["window_start_time"]) == (MIDNIGHT, MIDNIGHT + HOUR)

    def test_a_plain_date_is_read_in_the_pipelines_own_zone(self, world: World) -> None:
        world.planned(0)
        found = framework.latest_timestamp_available("flights", "2013-03-09", store=world.store)  # main.yaml's
        assert found is not None
        assert found.timezone_name == ZONE
        with pytest.raises(InvalidInputError, match="timezone="):
            framework.latest_timestamp_available("unknown", "2013-03-09", store=world.store)


class TestLoadFinalConfig:
    def test_the_documents_call(self) -> None:
        final_config = framework.load_final_config()
        asked = (
            "timezone", "x_time_back", "granularity", "stale_threshold_hours", "cron_schedule", "email_list",
            "email_on_failure", "email_on_retry", "max_retry_task", "check_fields", "default_record",
        )  # fmt: skip
        assert set(asked) <= set(final_config)
        assert {"source_name", "target_name", "pipeline_id"} <= set(final_config["default_record"])

    def test_placeholders_are_replaced_and_the_result_can_be_wired(self, tmp_path: Path) -> None:
        (tmp_path / "one.yaml").write_text(
            "{source_object: one, granularity: 1h, x_time_back: 1h, start_date: 2013-01-01,\n"
            " source: {type: elasticsearch, index: '${INDEX}', time_field: t},\n"
            " stage: {type: object_storage, bucket: stage}, target: {type: snowflake, table: T, columns: {}}}"
        )
        final_config = framework.load_final_config("one", directory=tmp_path, variables={"INDEX": "flights"}.get)
        assert final_config["source"]["index"] == "flights"
        assert session.pipeline_config(final_config).source.options["index"] == "flights"


class TestPlanningAndLocks:
    def test_a_day_is_planned_once(self, world: World) -> None:
        options = {"configs": world.configs, "store": world.store, "actor": RUN_1}
        (shown,) = framework.plan_target_date("2013-03-10", True, **options)
        assert (shown["expected"], shown["inserted"], shown["dry_run"]) == (23, 23, True)  # clocks go forward
        assert world.store.find() == []
        (done,) = framework.plan_target_date("2013-03-10", **options)
        assert (done["expected"], done["existing"], done["inserted"]) == (23, 0, 23)
        (again,) = framework.plan_target_date(date(2013, 3, 10), **options)
        assert (again["existing"], again["inserted"]) == (23, 0)

    def test_windows_are_replaced_by_a_wider_one(self, world: World) -> None:
        options: dict[str, Any] = {"store": world.store, "actor": RUN_1}
        framework.plan_target_date("2013-03-10", configs=world.configs, **options)
        wide = [["2013-03-10T05:00:00Z", "2013-03-10T08:00:00Z"]]
        shown = framework.invalidate_and_replace(world.final_config, wide, "coarser", dry_run=True, **options)
        assert len(world.store.find(include_invalidated=True)) == 23
        done = framework.invalidate_and_replace(world.final_config, wide, "coarser", **options)
        assert done["replaced"] == shown["replaced"] == ["2013-03-10 00:00-05:00 → 04:00-04:00"]
        first = world.store.find()[0]
        assert (first.is_replacement_run_flag, first.time_interval) == (True, "3h")
        gone = [row for row in world.store.find(include_invalidated=True) if row.is_invalidated_flag]
        assert [row.replaced_by_id for row in gone] == [first.id] * 3
        with pytest.raises(InvalidInputError, match="reason"):
            framework.invalidate_and_replace(world.final_config, wide, " ", **options)

    def test_a_broken_file_is_named_after_the_others_are_planned(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loaded = LoadedPipelines(world.configs, {"broken": ConfigurationError("granularity is missing")})
        monkeypatch.setattr(assembly, "all_configs", lambda: loaded)
        with pytest.raises(ConfigurationError, match="broken: granularity is missing"):
            framework.plan_target_date(DAY, store=world.store, actor=RUN_1)
        assert len(world.store.find()) == 24
        (again,) = framework.plan_target_date(DAY, pipelines=["main"], store=world.store, actor=RUN_1)
        assert again["existing"] == 24

    def test_a_wrong_date_is_refused(self, world: World) -> None:
        with pytest.raises(InvalidInputError, match="YYYY-MM-DD"):
            framework.plan_target_date("10.03.2013", configs=world.configs, store=world.store)

    def test_a_temporary_test_run_plans_nothing(self, world: World) -> None:
        framework.plan_target_date(DAY, configs=world.configs, store=world.store, actor=TEST_RUN)
        assert world.store.find() == []

    def test_windows_whose_run_has_ended_are_released(self, world: World) -> None:
        held = world.held()
        options = {"store": world.store, "actor": RUN_2, "configs": world.configs}
        assert framework.cleanup_stale_locks(**options, run_state=lambda *_: RunState.ACTIVE) == []
        (released,) = framework.cleanup_stale_locks(**options, run_state=lambda *_: RunState.ENDED)
        assert (released["id"], released["status"]) == (held["id"], "PENDING")


class TestActor:
    def test_outside_a_task_one_python_session_acts_as_one_run(self) -> None:
        first, second = (run_context.current_actor(call) for call in ("source_to_stage", "audit"))
        assert (first.dag_id, first.dag_run_id) == (second.dag_id, second.dag_run_id)
        assert " " in first.dag_id, "no DAG can have this id"
        assert (first.task_id, second.task_id) == ("source_to_stage", "audit")
        assert run_context.is_last_try()
        assert run_context.run_state("data_pipeline_main", "run-1") is RunState.UNKNOWN

    def test_a_session_holds_its_window_from_call_to_call(self, world: World) -> None:
        world.planned(0)
        for function in (framework.transfer_source_to_stage, framework.transfer_stage_to_target, framework.audit):
            function(world.final_config, world.row(), pipeline=world.pipeline)
        assert world.row()["pipeline_final_status"] == "COMPLETED"

    def test_the_projects_ledger_is_closed_after_the_call(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        closed: list[bool] = []
        monkeypatch.setattr(world.store, "close", lambda: closed.append(True), raising=False)
        monkeypatch.setattr(assembly, "lifecycle_store", lambda: world.store)
        assert framework.get_all_in_progress_records() == []
        assert closed == [True]
