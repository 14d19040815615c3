"""What a good pipeline file becomes: defaults, merging, the plain dict, the hash, and placeholders at run time."""

from __future__ import annotations

import pickle
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from include.pipeline_framework.config.loader import (
    load_all_pipelines,
    load_final_config,
    load_pipeline,
    resolve_variables,
)
from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.errors import ConfigurationError
from tests.unit.config.doubles import good, options_model, write


def load(directory: Path, **changes: Any) -> Any:
    write(directory, "events", good(**changes))
    return load_pipeline("events", directory, options_model=options_model)


class TestTheFlightsPipeline:
    def test_final_config_has_everything_that_requirement_3_lists(self) -> None:
        config = load_final_config()
        expected = {
            "timezone": "America/New_York",
            "granularity": "1h",
            "query_window_delta_label": "1h",
            "x_time_back": "1d",
            "stale_threshold_hours": 2.0,
            "cron_schedule": "0 * * * *",
            "email_list": [],
            "email_on_failure": False,
            "email_on_retry": False,
            "max_retry_task": 3,
            "check_fields": ["key_x", "key_y", "key_z"],
            "start_date": date(2013, 1, 1),
            "end_date": date(2014, 1, 1),
            "enabled": True,
            "fill_missing_days": False,
            "dag_id": "data_pipeline_main",
            "on_bad_document": "fail",
            "pre_validation_mode": "count",
            "late_data_tolerance": {"rows": 0, "percent": 0},
        }
        assert {key: config[key] for key in expected} == expected
        assert config["source"]["connection_id"] == "source_elasticsearch"
        assert config["stage"] == {"type": "object_storage", "connection_id": "stage_s3", "bucket": "stage"}
        assert config["target"]["connection_id"] == "target_snowflake"
        assert config["target"]["table"] == "FLIGHTS"

    def test_default_record(self) -> None:
        record = load_final_config()["default_record"]
        expected = {
            "pipeline_id": "main",
            "source_name": "elasticsearch",
            "source_object": "flights",
            "stage_name": "object_storage",
            "target_name": "snowflake",
            "target_object": "FLIGHTS",
            "data_domain": "aviation",
            "collection_frequency": "hourly",
            "source_data_frequency": "hourly",
            "expected_source_to_stage_duration_mins": 0.1,
            "expected_stage_to_target_duration_mins": 0.1,
            "expected_audit_duration_mins": 0.1,
            "expected_pipeline_duration_mins": 1,
            "licence": "public domain",
        }
        assert {key: record.get(key) for key in expected} == expected

    def test_columns(self) -> None:
        columns = load_pipeline("main").target.options["columns"]
        integers = {
            *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time"),
            *("arr_delay", "flight", "air_time", "distance"),
        }
        assert {name for name, kind in columns.items() if kind == "integer"} == integers
        assert {name for name, kind in columns.items() if kind == "text"} == {*("carrier", "tailnum", "origin", "dest")}
        assert columns["time_hour"] == "timestamp"

    def test_values_that_the_dag_needs(self) -> None:
        config = load_pipeline("main")
        assert config.dag_id == "data_pipeline_main"
        assert config.window_granularity == Granularity(0, 3600)
        assert config.dagrun_timeout_delta == timedelta(hours=12)
        assert config.horizon == Horizon("America/New_York", date(2013, 1, 1), date(2014, 1, 1), True, False)

    def test_every_committed_file_is_fine(self) -> None:
        assert load_all_pipelines().errors == {}


class TestMerging:
    def test_mappings_key_by_key_lists_as_a_whole(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            "defaults",
            {"late_data_tolerance": {"rows": 1, "percent": 2}, "email_list": ["a@x.org", "b@x.org"], "priority": 7},
        )
        config = load(tmp_path, late_data_tolerance={"rows": 5}, email_list=["c@x.org"])
        assert config.late_data_tolerance.model_dump() == {"rows": 5, "percent": 2}
        assert config.email_list == ["c@x.org"]
        assert config.priority == 7

    def test_a_section_of_another_type_takes_no_defaults(self, tmp_path: Path) -> None:
        write(
            tmp_path, "defaults", {"source": {"type": "lenient", "size": 3}, "stage": {"type": "memory", "prefix": "q"}}
        )
        config = load(tmp_path)
        assert config.source.options == {"index": "events"}
        assert config.stage.options == {"prefix": "q"}

    @pytest.mark.parametrize("defaults", [{"granularity": "1h"}, {"query_window_delta_label": "1h"}])
    @pytest.mark.parametrize("key", ["granularity", "query_window_delta_label"])
    def test_either_spelling_of_the_granularity_replaces_the_default(
        self, tmp_path: Path, defaults: dict[str, Any], key: str
    ) -> None:
        write(tmp_path, "defaults", defaults)
        data = good(granularity=None) | {key: "30 minutes"}
        write(tmp_path, "events", data)
        assert load_pipeline("events", tmp_path).granularity == "30 minutes"

    def test_both_spellings_may_say_the_same(self, tmp_path: Path) -> None:
        assert load(tmp_path, granularity="1h", query_window_delta_label="1 hour").granularity == "1h"

    def test_names_follow_the_sections_unless_given(self, tmp_path: Path) -> None:
        assert load(tmp_path).source_name == "memory"
        assert load(tmp_path, source_name="crm", target_object="X").default_record()["source_name"] == "crm"

    @pytest.mark.parametrize("cron", ["@daily", "*/5 * * * mon-fri", None])
    def test_schedules(self, tmp_path: Path, cron: str | None) -> None:
        write(tmp_path, "events", good() | {"cron_schedule": cron})
        assert load_pipeline("events", tmp_path).cron_schedule == cron

    def test_dates_may_be_quoted_or_not(self, tmp_path: Path) -> None:
        text = "\n".join(f"{key}: {value}" for key, value in good().items() if key not in ("start_date", "end_date"))
        write(tmp_path, "events", f"{text}\nstart_date: 2013-01-01\nend_date: '2013-01-02'\n")
        assert load_pipeline("events", tmp_path).horizon.end_date == date(2013, 1, 2)

    def test_without_a_resolver_options_are_taken_as_they_are(self, tmp_path: Path) -> None:
        write(tmp_path, "events", good(source={"type": "nobody_knows", "anything": 1}))
        assert load_pipeline("events", tmp_path).source.options == {"index": "events", "anything": 1}


class TestTheModel:
    def test_is_frozen_and_picklable(self, tmp_path: Path) -> None:
        config = load(tmp_path)
        with pytest.raises(ValidationError):
            config.timezone = "UTC"
        assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - our own bytes
        assert pickle.loads(pickle.dumps(config)).config_hash == config.config_hash  # noqa: S301

    @pytest.mark.parametrize(
        "changes",
        [
            {"cron_schedule": "@daily"},
            {"max_retry_task": 9},
            {"email_list": ["a@b.c"]},
            {"stage": {"prefix": "q"}},
            {"source": {"page_size": 5}},
            {"granularity": "1 hour"},
            {"x_time_back": "3d"},
            {"description": "new"},
        ],
    )
    def test_hash_ignores_what_does_not_change_the_data(self, tmp_path: Path, changes: dict[str, Any]) -> None:
        assert load(tmp_path, **changes).config_hash == load(tmp_path).config_hash

    @pytest.mark.parametrize(
        "changes",
        [
            {"granularity": "30m"},
            {"timezone": "Asia/Tokyo"},
            {"source_object": "other"},
            {"source": {"index": "other"}},
            {"source": {"connection_id": "other"}},
            {"target": {"columns": {"year": "text"}}},
            {"on_bad_document": "quarantine"},
        ],
    )
    def test_hash_sees_what_does(self, tmp_path: Path, changes: dict[str, Any]) -> None:
        assert load(tmp_path, **changes).config_hash != load(tmp_path).config_hash

    def test_hash_is_the_same_in_every_process_and_version(self, tmp_path: Path) -> None:
        assert load(tmp_path).config_hash == "98cf607b62773347ceee867487cf5b278e483e2811ac1f896f9dadf576ff17ce"


class TestVariables:
    values: ClassVar = {"INDEX": "events_dev", "SIZE": "5"}

    def config(self, directory: Path) -> Any:
        return load(
            directory,
            source={"index": "${INDEX}", "page_size": "${SIZE}", "connection_id": "${CONN:-es_default}"},
            target={"table": "${TABLE:-EVENTS_DEV}", "columns": {"year": "${YEAR_TYPE:-integer}"}},
        )

    def test_stay_as_they_are_when_a_file_is_loaded(self, tmp_path: Path) -> None:
        assert self.config(tmp_path).source.options == {"index": "${INDEX}", "page_size": "${SIZE}"}

    def test_are_replaced_at_run_time(self, tmp_path: Path) -> None:
        written = self.config(tmp_path)
        config = resolve_variables(written, self.values.get, options_model=options_model)
        assert config.source.options == {"index": "events_dev", "page_size": "5"}
        assert config.source.connection_id == "es_default"
        assert config.target.options["columns"] == {"year": "integer"}
        assert config.target_object == "EVENTS_DEV"
        assert config.config_hash == written.config_hash

    def test_final_config(self, tmp_path: Path) -> None:
        self.config(tmp_path)
        assert load_final_config("events", tmp_path, variables=self.values.get)["source"]["index"] == "events_dev"

    def test_nothing_in_a_value_is_replaced_again(self, tmp_path: Path) -> None:
        config = load(tmp_path, stage={"prefix": "${A}/${B:-b}"})
        resolved = resolve_variables(config, {"A": "${B}"}.get)
        assert resolved.stage.options["prefix"] == "${B}/b"

    def test_a_missing_one_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="not set: INDEX, SIZE"):
            resolve_variables(self.config(tmp_path), lambda name: None)

    def test_a_secret_in_one_is_refused_and_not_shown(self, tmp_path: Path) -> None:
        values = {**self.values, "INDEX": "https://elastic:hunter2@host/x"}
        with pytest.raises(ConfigurationError, match=r"source\.index: has a password in it") as caught:
            resolve_variables(self.config(tmp_path), values.get, options_model=options_model)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "value", "path"),
        [
            ("SIZE", "many", "source.page_size"),
            ("INDEX", "x/_search", "source.index"),
            ("TABLE", 'T"; DROP', "target.table"),
            ("CONN", "a b", "source.connection_id"),
            ("YEAR_TYPE", "int", "target.columns.year"),
        ],
    )
    def test_a_wrong_value_is_an_error_that_names_its_place(
        self, tmp_path: Path, name: str, value: str, path: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=f"{path}: "):
            resolve_variables(self.config(tmp_path), {**self.values, name: value}.get, options_model=options_model)
