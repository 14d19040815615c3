"""Ids, options, groups of stores and the result of a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import pytest

from include.orders_sync.config import CONFIG_FILE, load_config
from include.orders_sync.core.pipelines import PROFILER, TD, UC, Store, problem_of_store
from include.orders_sync.core.runs import RunOptions, StoreReport, instances, reports_of, run_id_of, run_result
from include.orders_sync.tasks.runs import parse_options
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError

NOW = datetime(2026, 1, 6, 20, tzinfo=UTC)  # the 7th in Kolkata
OPTIONS = RunOptions("r", PROFILER, "test", date(2026, 1, 7))


def test_a_run_id_is_stable_and_fits_the_column() -> None:
    key = "orders_sync_run_profiler manual__" + "x" * 250
    assert run_id_of(PROFILER, key, NOW) == run_id_of(PROFILER, key, NOW)
    assert run_id_of(PROFILER, key, NOW) != run_id_of(PROFILER, key + "y", NOW)
    assert len(run_id_of(PROFILER, key, NOW)) <= 63  # the column has 64, a session's name 63


def test_options_travel_as_json() -> None:
    options = parse_options(TD, {"from_date": "2026-01-01", "orders_only": True}, load_config(), run_id="r", now=NOW)
    assert RunOptions.from_json(json.loads(json.dumps(options.to_json()))) == options
    assert (options.today, options.from_date, options.to_date) == (
        date(2026, 1, 7), date(2026, 1, 1), date(2026, 1, 7)
    )  # fmt: skip


def test_defaults_are_configured() -> None:
    options = parse_options(PROFILER, {"env": None, "store_code": ""}, load_config(), run_id="r", now=NOW)
    config = load_config()
    assert (options.window_days, options.overlap_days, options.max_workers) == (90, 1, 3)
    assert (options.run_env, options.sync_group, options.store_code, options.force) == ("dev", "ALL", None, False)
    assert (config.window_days, config.overlap_days, config.max_workers, config.default_days) == (90, 1, 3, 90)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"window_days": "90"}, "window_days is '90'"),
        ({"max_workers": True}, "max_workers is True"),
        ({"sync_group": "both"}, "the sync group is 'BOTH'"),
        ({"env": " prod"}, "without blanks around"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        parse_options(PROFILER, given, load_config(), run_id="r", now=NOW)


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 2048, 10_000])
def test_instances_hold_every_store_once_and_fit_airflow(count: int) -> None:
    codes = [f"S{number}" for number in range(count)]
    groups = instances(codes)
    assert [code for group in groups for code in group["stores"]] == codes
    assert len(groups) <= 1_024
    if count <= 1_024:
        assert [group["name"] for group in groups] == codes
    if count == 1_025:
        assert groups[0]["name"] == "S0…S1 (2)"


@pytest.mark.parametrize(
    ("counts", "reports", "problems", "expected"),
    [
        ([], [], {}, "success"),
        ([(TD, "S1", "success", 3)], [], {}, "success"),
        ([(TD, "S1", "success", 3), (UC, "S1", "partial", 1)], [], {}, "partial"),
        ([(TD, "S1", "partial", 1), (UC, "S1", "failed", 1)], [], {}, "failed"),
        ([(TD, "S1", "running", 1)], [], {}, "failed"),
        ([(TD, "S1", "success", 1)], [StoreReport("S2", skipped="locked by x")], {}, "partial"),
        ([(TD, "S1", "success", 1)], [StoreReport("S2", died="gone")], {}, "failed"),
        ([(TD, "S1", "success", 1)], [], {"S3": "no group"}, "partial"),
    ],
)
def test_overall_status(counts: list[Any], reports: list[StoreReport], problems: dict[str, str], expected: str) -> None:
    assert run_result(OPTIONS, counts, reports, problems=problems).status == expected


def test_what_an_instance_left_before_the_run_was_cleared_does_not_count() -> None:
    old = {"start": "first", "reports": [asdict(StoreReport("S001", skipped="locked by somebody"))]}
    new = {"start": "second", "reports": [asdict(StoreReport("S002")), asdict(StoreReport("S003"))]}
    assert [report.store_code for report in reports_of("second", [old, None, new])] == ["S002", "S003"]


def test_the_summary_text_counts_per_pipeline() -> None:
    counts = [
        (TD, "S1", "success", 3), (TD, "S2", "success", 1), (TD, "S2", "failed", 1), (UC, "S1", "success", 2),
    ]  # fmt: skip
    reports = [
        StoreReport("S1", planned={TD: 3, UC: 2}, tried={TD: 3, UC: 2}),
        StoreReport("S2", planned={TD: 5}, tried={TD: 2}, errors={TD: "no"}),
        StoreReport("S3", planned={TD: 0}, skipped="locked by x"),
    ]
    text = run_result(OPTIONS, counts, reports, problems={"S4": "why"}).text
    assert text.splitlines() == [
        f"{TD}: 1 of 2 stores done; windows: 4 success, 0 partial, 1 failed, 3 not tried after a failure; "
        "1 stores skipped because locked",
        f"{UC}: 1 of 1 stores done; windows: 2 success, 0 partial, 0 failed; 0 stores skipped because locked",
        "S3 skipped: locked by x",
        "S4 left out: why",
        f"S2 {TD}: no",
    ]


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        (Store("S1", NOW.date(), "td"), None),
        (Store("S12345678", NOW.date()), "1 to 8 characters"),
        (Store("S1", NOW.date(), cost_center="123456789"), "1 to 8 characters"),
        (Store("S1", NOW.date(), ""), "the sync group is ''"),
    ],
)
def test_what_is_wrong_with_a_store(store: Store, problem: str | None) -> None:
    found = problem_of_store(store)
    assert (found is None) == (problem is None)
    assert problem is None or problem in str(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pipeline_timezone: Mars/Olympus\n", "not an IANA time zone"),
        ("pipeline_timezone: Asia/Kolkata\nwindow_days: 0\n", "window_days"),
        ("pipeline_timezone: Asia/Kolkata\nmax_worker: 3\n", "did you mean max_workers"),
        (
            "pipeline_timezone: Asia/Kolkata\nreports: {td_orders_sync: {orders: {path: x, format: json}}}\n",
            "reports of",
        ),
        ("pipeline_timezone: Asia/Kolkata\nstore_lock_wait_seconds: .inf\n", "finite number"),
        ("pipeline_timezone: [\n", "YAML syntax"),
    ],
)
def test_a_wrong_configuration_is_told(tmp_path: Any, text: str, told: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        load_config(path)


def test_the_limits_earlier_name_is_read(tmp_path: Any) -> None:
    text = CONFIG_FILE.read_text().replace("workers_limit:", "most_workers:")
    (tmp_path / "config.yaml").write_text(text)
    assert load_config(tmp_path / "config.yaml") == load_config()
