"""Every way in which a pipeline file can be wrong: what the error names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.pipeline_framework.config.loader import load_all_pipelines, load_pipeline, validate_all
from include.pipeline_framework.errors import ConfigurationError
from tests.unit.config.doubles import good, options_model, write


def message_of(directory: Path, data: dict[str, Any] | str, name: str = "events") -> str:
    write(directory, name, data)
    with pytest.raises(ConfigurationError) as caught:
        load_pipeline(name, directory, options_model=options_model)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "path", "says"),
    [
        # unknown and misspelled keys
        ({"granularty": "1h"}, "granularty", "did you mean granularity?"),
        ({"query_window_delta_lable": "1h"}, "query_window_delta_lable", "did you mean query_window_delta_label?"),
        ({"late_data_tolerance": {"row": 1}}, "late_data_tolerance.row", "did you mean rows?"),
        ({"derived": {"key_w": "x"}}, "derived.key_w", "unknown key"),
        ({"source": {"pagesize": 1}}, "source.pagesize", "did you mean page_size?"),
        ({"source": {"conection_id": "a"}}, "source.conection_id", "did you mean connection_id?"),
        (
            {"target": {"columns": {"year": {"type": "text", "pth": "a"}}}},
            "target.columns.year.pth",
            "did you mean path?",
        ),
        ({"stage": {"type": "lenient", "sise": 1}}, "stage.sise", "did you mean size?"),
        ({"config_hash": "0"}, "config_hash", "unknown key"),
        ({"dag_id": "x"}, "dag_id", "unknown key"),
        # missing
        ({"source_object": None}, "source_object", "is missing; give it here or in defaults.yaml"),
        ({"target": None}, "target", "is missing"),
        # wrong type or value
        ({"enabled": "yes please"}, "enabled", "valid boolean"),
        ({"max_windows_per_run": "3"}, "max_windows_per_run", "valid integer"),
        ({"max_windows_per_run": 0}, "max_windows_per_run", "greater than or equal to 1"),
        ({"max_active_windows": 2000}, "max_active_windows", "less than or equal to 1024"),
        ({"max_retry_task": -1}, "max_retry_task", "greater than or equal to 0"),
        ({"max_retry_task": True}, "max_retry_task", "valid integer"),
        ({"stale_threshold_hours": 0}, "stale_threshold_hours", "greater than 0"),
        ({"stale_threshold_hours": float("nan")}, "stale_threshold_hours", "finite"),
        ({"late_data_tolerance": {"percent": 101}}, "late_data_tolerance.percent", "less than or equal to 100"),
        ({"pre_validation_mode": "counts"}, "pre_validation_mode", "'count' or 'fingerprint'"),
        ({"on_bad_document": "drop"}, "on_bad_document", "'fail' or 'quarantine'"),
        ({"expected_audit_duration_mins": -2}, "expected_audit_duration_mins", "greater than or equal to 0"),
        ({"check_fields": ["key_x", "a b"]}, "check_fields[1]", "match pattern"),
        ({"check_fields": ["TARGET_DY"]}, "check_fields", "'TARGET_DY' is no field of a planned record; did you mean"),
        ({"check_fields": ["TARGET_DYA"]}, "check_fields", "did you mean target_day?"),
        ({"check_fields": ["key_w", "KEY_X"]}, "check_fields", "'KEY_X' is no field of a planned record; did you mean"),
        ({"check_fields": ["source_count"]}, "check_fields", "'source_count' is no field of a planned record"),
        ({"check_fields": ["pipeline_status"]}, "check_fields", "is no field of a planned record"),
        ({"check_fields": ["owner"]}, "check_fields", "'owner' is no field of a planned record; allowed: TARGET_DAY"),
        ({"source": {"page_size": 0}}, "source.page_size", "greater than or equal to 1"),
        ({"source": {"connection_id": "a b"}}, "source.connection_id", "letters, digits"),
        ({"source": {"type": "Elastic Search"}}, "source.type", "match pattern"),
        ({"source": {"type": "memry"}}, "source.type", "is no source; allowed: memory"),
        ({"source": "memory"}, "source", "mapping"),
        ({"metadata": {"priority": 1}}, "metadata", "at the top level"),
        ({"metadata": {"WINDOW_START_TIME": 1}}, "metadata", "at the top level"),
        # time
        ({"timezone": "America/New_Yrok"}, "timezone", "is not a time zone"),
        ({"granularity": "1 fortnight"}, "granularity", "is not a duration"),
        ({"granularity": "2d"}, "granularity", "at most 1d"),
        ({"granularity": "1d1s"}, "granularity", "at most 1d"),
        ({"x_time_back": "yesterday"}, "x_time_back", "is not a duration"),
        ({"x_time_back": 1}, "x_time_back", "valid string"),
        ({"dagrun_timeout": "0h"}, "dagrun_timeout", "is not a duration"),
        ({"query_window_delta_label": "30m"}, "query_window_delta_label", "another name of granularity"),
        ({"granularity": None, "query_window_delta_label": "soon"}, "query_window_delta_label", "is not a duration"),
        ({"start_date": "2013-02-30"}, "start_date", "written like 2013-01-01"),
        ({"start_date": "2013-01-01T00:00:00"}, "start_date", "written like 2013-01-01"),
        ({"start_date": 20130101}, "start_date", "written like 2013-01-01"),
        ({"end_date": "2013-01-01"}, "end_date", "after start_date 2013-01-01"),
        ({"end_date": "2012-01-01"}, "end_date", "after start_date 2013-01-01"),
        ({"cron_schedule": "61 * * * *"}, "cron_schedule", "not a cron expression"),
        ({"cron_schedule": "* * * *"}, "cron_schedule", "five fields"),
        ({"cron_schedule": "0 0 31 2 *"}, "cron_schedule", "not a cron expression"),
        ({"cron_schedule": "@fortnightly"}, "cron_schedule", "not a cron expression"),
        # e-mail
        ({"email_on_failure": True}, "email_on_failure", "email_list has no address"),
        ({"email_on_retry": True, "email_list": []}, "email_on_retry", "email_list has no address"),
        ({"email_list": ["nobody"]}, "email_list[0]", "match pattern"),
        ({"email_list": "a@b.c"}, "email_list", "valid list"),
        # identity
        ({"pipeline_id": "other"}, "pipeline_id", "it must be the file's name, events"),
        ({"source_object": "a b"}, "source_object", "match pattern"),
        ({"source_object": "../x"}, "source_object", "match pattern"),
        # names that are more than names
        ({"source": {"index": "flights/_delete_by_query"}}, "source.index", "is not a name"),
        ({"source": {"index": "a b"}}, "source.index", "is not a name"),
        ({"target": {"table": 'T"; DROP TABLE X; --'}}, "target.table", "is not a name"),
        ({"target": {"columns": {"a; drop": "text"}}}, "target.columns.a; drop", "match pattern"),
        (
            {"target": {"columns": {"year": {"type": "int"}}}},
            "target.columns.year.type",
            "it must be 'text', 'integer'",
        ),
        ({"target": {"columns": {"year": "int"}}}, "target.columns.year", "it must be 'text', 'integer'"),
        ({"target": {"columns": {"year": {"type": "text", "path": []}}}}, "target.columns.year.path", "at least 1"),
        # derived
        ({"derived": {"key_x": "{source_object.__class__}"}}, "derived.key_x", "not one of its fields"),
        ({"derived": {"key_x": "{target_day!r}"}}, "derived.key_x", "not one of its fields"),
        ({"derived": {"key_x": "{target_day[0]}"}}, "derived.key_x", "not one of its fields"),
        ({"derived": {"key_x": "{target_day:>10}"}}, "derived.key_x", "not one of its fields"),
        ({"derived": {"key_x": "{0}"}}, "derived.key_x", "not one of its fields"),
        ({"derived": {"key_x": "{"}}, "derived.key_x", "is not a template"),
        ({"derived": {"key_x": " "}}, "derived.key_x", "it is empty"),
        ({"derived": {"key_x": {"callable": "os.system"}}}, "derived.key_x.callable", "match pattern"),
        ({"derived": {"key_x": 5}}, "derived.key_x", "valid string"),
        # placeholders
        ({"timezone": "${ZONE}"}, "timezone", "may stand only in source, stage, target"),
        ({"email_list": ["${MAIL}"]}, "email_list[0]", "may stand only in source, stage, target"),
        ({"source": {"type": "${TYPE}"}}, "source.type", "not as their type"),
        ({"source": {"index": "${INDEX"}}, "source.index", "${VARIABLE_NAME}"),
        ({"source": {"index": "${A:-${B}}"}}, "source.index", "not nested"),
        ({"source": {"index": "${IN DEX}"}}, "source.index", "${VARIABLE_NAME}"),
        ({"source": {"index": "${INDEX:-A/B}"}}, "source.index", "is not a name"),
        ({"source": {"page_size": "${SIZE:-many}"}}, "source.page_size", "valid integer"),
    ],
)
def test_names_the_path_and_what_is_allowed(tmp_path: Path, changes: dict[str, Any], path: str, says: str) -> None:
    message = message_of(tmp_path, good(**changes))
    assert f": {path}: " in message
    assert says in message
    assert str(tmp_path / "events.yaml") in message


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"password": "hunter2"}, "password"),
        ({"source": {"api_token": "hunter2"}}, "source.api_token"),
        ({"source": {"apikey": "hunter2"}}, "source.apikey"),
        ({"target": {"private_key": "hunter2"}}, "target.private_key"),
        ({"stage": {"aws_secret_access_key": "hunter2"}}, "stage.aws_secret_access_key"),
        ({"target": {"credentials": {"user": "hunter2"}}}, "target.credentials"),
        ({"metadata": {"db_password": "hunter2"}}, "metadata.db_password"),
        ({"source": {"index": "https://elastic:hunter2@host/x"}}, "source.index"),
        ({"source": {"hosts": ["https://elastic:hunter2@host"]}}, "source.hosts[0]"),
    ],
)
def test_secrets_are_refused_and_never_shown(tmp_path: Path, changes: dict[str, Any], path: str) -> None:
    message = message_of(tmp_path, good(**changes))
    assert f": {path}: " in message
    assert "Airflow connection" in message
    assert "hunter2" not in message


def test_a_column_of_the_data_may_be_called_token(tmp_path: Path) -> None:
    write(tmp_path, "events", good(target={"columns": {"token": "text", "password_hash": "text"}}))
    assert load_pipeline("events", tmp_path, options_model=options_model).source_object == "events"


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("source_object: [a\n", ":2:1", "YAML syntax"),
        ("a: 1\nb: 2\na: 3\n", ":3", "duplicate key, first given in line 1"),
        ("source:\n  index: a\n  index: b\n", ":3: source.index", "duplicate key, first given in line 2"),
        ("- a\n- b\n", ":1", "must be a mapping"),
        ("just text\n", ":1", "must be a mapping"),
        ("target:\n  columns:\n    on: text\n", ":3: target.columns", "the key on is not text; put it in quotes"),
        ("a: &x [*x]\n", ":1: a[0]", "an alias may not contain itself"),
        ("a: !!python/object/apply:os.system [id]\n", ":1:4", "YAML syntax"),
        ("a: 1\n---\nb: 2\n", ":2:1", "YAML syntax"),
        ("a: \x07\n", "", "control characters"),
        ("a: *nothing\n", ":1:4", "undefined alias"),
        ("a:\n\t- b\n", ":2:1", "YAML syntax"),
    ],
)
def test_yaml_itself(tmp_path: Path, text: str, place: str, says: str) -> None:
    message = message_of(tmp_path, text)
    assert f"{tmp_path / 'events.yaml'}{place}" in message
    assert says in message


def test_not_utf8_is_a_problem_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "events.yaml").write_bytes(b"description: \xff\n")
    assert "can't be read" in str(load_all_pipelines(tmp_path).errors["events"])


def test_all_problems_of_a_file_come_together_and_in_its_order(tmp_path: Path) -> None:
    data = good(
        timezone="X/Y", end_date="2012-01-01", max_retry_task=-1, source={"page_size": 0}, email_on_failure=True
    )
    lines = message_of(tmp_path, data).splitlines()
    assert lines[0] == "5 problems:"
    numbers = [int(line.split("events.yaml:")[1].split(":")[0]) for line in lines[1:]]
    assert numbers == sorted(numbers)


def test_an_empty_file_lacks_everything(tmp_path: Path) -> None:
    message = message_of(tmp_path, "")
    for key in ("source_object", "granularity", "x_time_back", "start_date", "source", "stage", "target"):
        assert f"events.yaml: {key}: is missing" in message


def test_a_problem_of_the_defaults_is_placed_there(tmp_path: Path) -> None:
    write(tmp_path, "defaults", "max_retry_task: 3\ntimezone: X/Y\n")
    assert f"{tmp_path / 'defaults.yaml'}:2: timezone: 'X/Y'" in message_of(tmp_path, good())


@pytest.mark.parametrize("key", ["source_object", "pipeline_id"])
def test_defaults_cannot_say_who_a_pipeline_is(tmp_path: Path, key: str) -> None:
    write(tmp_path, "defaults", {key: "events"})
    assert "belongs to one pipeline" in message_of(tmp_path, good())


@pytest.mark.parametrize("name", ["nope", "", "../main", "Main", "defaults", "a" * 65])
def test_an_unknown_pipeline_names_the_known_ones(tmp_path: Path, name: str) -> None:
    write(tmp_path, "events", good())
    write(tmp_path, "defaults", {})
    with pytest.raises(ConfigurationError, match=r"there is no pipeline .*allowed: events"):
        load_pipeline(name, tmp_path)


class TestSeveralFiles:
    def test_a_bad_file_takes_no_other_down(self, tmp_path: Path) -> None:
        write(tmp_path, "good", good(source_object="good"))
        write(tmp_path, "bad", good(source_object="bad", timezone="X/Y"))
        write(tmp_path, "broken", "a: [")
        loaded = load_all_pipelines(tmp_path, options_model=options_model)
        assert set(loaded.configs) == {"good"}
        assert set(loaded.errors) == {"bad", "broken"}

    def test_two_files_with_one_source_object_are_both_refused(self, tmp_path: Path) -> None:
        first, second = (write(tmp_path, name, good(source_object="same")) for name in ("first", "second"))
        write(tmp_path, "third", good(source_object="other"))
        loaded = load_all_pipelines(tmp_path)
        assert set(loaded.configs) == {"third"}
        assert str(second) in str(loaded.errors["first"])
        assert str(first) in str(loaded.errors["second"])
        for name, other in (("first", second), ("second", first)):
            with pytest.raises(ConfigurationError, match=str(other)):
                load_pipeline(name, tmp_path)

    def test_the_same_word_elsewhere_is_no_claim(self, tmp_path: Path) -> None:
        write(tmp_path, "events", good())
        write(tmp_path, "other", good(source_object="other", description="reads events, too"))
        assert load_pipeline("events", tmp_path).source_object == "events"

    def test_a_file_name_that_is_no_id_and_one_that_nobody_reads(self, tmp_path: Path) -> None:
        write(tmp_path, "My-Pipeline", good())
        (tmp_path / "lost.yml").write_text("a: 1")
        loaded = load_all_pipelines(tmp_path)
        assert "the file's name is the id" in str(loaded.errors["My-Pipeline"])
        assert "rename it" in str(loaded.errors["lost"])

    def test_broken_defaults_are_reported_once(self, tmp_path: Path) -> None:
        write(tmp_path, "defaults", "a: [")
        assert len(validate_all(tmp_path)) == 1
        write(tmp_path, "one", good(source_object="one"))
        write(tmp_path, "two", good(source_object="two"))
        assert len(validate_all(tmp_path)) == 1
        assert set(load_all_pipelines(tmp_path).errors) == {"one", "two"}

    def test_validate_all_imports_the_functions_and_is_empty_when_all_is_well(self, tmp_path: Path) -> None:
        write(tmp_path, "events", good(derived={"key_x": {"callable": "json:dumps"}}))
        assert validate_all(tmp_path, options_model=options_model) == []
        write(
            tmp_path, "events", good(derived={"key_x": {"callable": "json:no_such"}, "key_y": {"callable": "no_x:y"}})
        )
        problems = validate_all(tmp_path, options_model=options_model)
        assert [problem.key for problem in problems] == ["derived.key_x.callable", "derived.key_y.callable"]
