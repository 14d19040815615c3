"""The DAG files: exactly these DAGs, explicit arguments, manuals, thin imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from include.pipeline_framework.config.scaffold import pipeline_mismatches

REPO = Path(__file__).resolve().parents[2]
DAG_FILES = sorted(path for path in (REPO / "dags").glob("*.py") if path.name != "__init__.py")
DAG_IDS = {
    "audit_windows",
    "backfill_windows",
    "check_overdue_windows",
    "cleanup_stale_locks",
    "daily_planner",
    "data_pipeline_main",
    "data_pipeline_replay",
    "doctor",
    "orders_sync_run_profiler",
    "publish_lifecycle",
    "record_generation",
    "state_manager",
    "td_orders_sync",
    "uc_orders_sync",
    "window_consumer_example",
}

_PROVIDERS = ("amazon", "elasticsearch", "postgres", "smtp", "snowflake")
HEAVY = (
    "pandas",
    "boto3",
    "botocore",
    "elasticsearch",
    "snowflake",
    "psycopg",
    "httpx",
    "openpyxl",
    *(f"airflow.providers.{name}" for name in _PROVIDERS),
)
_IMPORT_ALL = f"""
import sys
import airflow.sdk
before = set(sys.modules)
import importlib.util, pathlib
for path in sorted(pathlib.Path("dags").glob("*.py")):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
new = set(sys.modules) - before
print(sorted(name for name in new if name.startswith({HEAVY!r})))
"""


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(REPO / "dags"), bundle_path=REPO / "dags", load_op_links=False)
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_exactly_these_dags(dags: dict[str, Any]) -> None:
    assert set(dags) == DAG_IDS


def test_every_pipeline_file_has_its_dag_file_and_the_reverse() -> None:
    assert pipeline_mismatches(REPO) == []


@pytest.mark.parametrize("dag_id", sorted(DAG_IDS))
def test_a_dag_says_everything_explicitly(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    assert len(dag.doc_md) > 300
    assert dag.catchup is False
    assert dag.dagrun_timeout is not None
    assert dag.start_date.tzinfo is not None
    assert dag.tags
    for task in dag.tasks:
        assert task.retries > 0
        assert task.retry_policy is not None
        assert task.doc_md


def test_the_pipeline_runs_its_steps_in_order(dags: dict[str, Any]) -> None:
    dag = dags["data_pipeline_main"]
    order = [
        "populate_pipeline_batches",
        "store_and_validate",
        "window.pre_validation",
        "window.source_to_stage",
        "window.stage_to_target",
        "window.audit",
        "continue_backfill",
        "cleanup_stale_locks",
    ]
    for upstream, downstream in pairwise(order):
        assert downstream in dag.get_task(upstream).downstream_task_ids
    # the later a step, the sooner it runs: a window that is begun is finished before the next one begins
    assert {str(getattr(task.weight_rule, "value", task.weight_rule)) for task in dag.tasks} == {"upstream"}
    teardown = dag.get_task("cleanup_stale_locks")
    assert (teardown.is_teardown, teardown.on_failure_fail_dagrun) == (True, True)
    assert {str(getattr(kind, "value", kind)) for kind in dag.allowed_run_types} == {
        "scheduled",
        "manual",
        "operator_triggered",
    }


def test_the_state_manager_asks_before_it_applies(dags: dict[str, Any]) -> None:
    dag = dags["state_manager"]
    after = {task.task_id: task.downstream_task_ids for task in dag.tasks}
    assert after == {
        "check_conf": {"make_plan", "load_plan"},
        "make_plan": set(),
        "load_plan": {"next_step", "apply_plan"},
        "next_step": {"approve", "apply_plan"},
        "approve": {"apply_plan"},
        "apply_plan": set(),
    }
    approve = dag.get_task("approve")
    assert (approve.defaults, approve.fail_on_reject) == (["Reject"], False)
    assert approve.response_timeout < dag.dagrun_timeout
    assert dag.get_task("apply_plan").trigger_rule.value == "none_failed_min_one_success"


def test_the_profiler_has_a_param_for_every_flag(dags: dict[str, Any]) -> None:
    dag = dags["orders_sync_run_profiler"]
    schemas = {name: dag.params.get_param(name).schema for name in dag.params}
    assert set(schemas) == {
        "env", "sync_group", "window_days", "overlap_days", "max_workers", "force", "store_code", "dry_run"
    }  # fmt: skip
    assert schemas["sync_group"]["enum"] == ["TD", "UC", "ALL"]
    numbers = {name: (dag.params[name], schema["minimum"]) for name, schema in schemas.items() if "minimum" in schema}
    assert numbers == {"window_days": (90, 1), "overlap_days": (1, 0), "max_workers": (3, 1)}
    assert dag.timetable.expression == "15 */3 * * *"


@pytest.mark.parametrize("dag_id", ["td_orders_sync", "uc_orders_sync"])
def test_the_orders_pipelines_have_no_schedule(dags: dict[str, Any], dag_id: str) -> None:
    assert type(dags[dag_id].timetable).__name__ == "NullTimetable"
    assert {"from_date", "to_date", "store_code"} <= set(dags[dag_id].params)
    assert ({"orders_only", "sales_only"} <= set(dags[dag_id].params)) == (dag_id == "td_orders_sync")


def test_a_task_body_has_at_most_three_lines() -> None:
    for path in DAG_FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any("task" in ast.unparse(d) for d in node.decorator_list):
                statements = [
                    s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
                ]
                assert 1 <= len(statements) <= 3, (path.name, node.name)


def test_parsing_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORT_ALL], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_pipelines_file_imports_what_its_shape_needs_and_no_task() -> None:
    """Every parse is a fresh process: what only a running task needs would be imported again and again."""
    code = """
import sys
from include.orchestration.data_pipeline import data_pipeline
data_pipeline("main")
rooms = ("tasks", "core.continuity", "core.restoring", "core.watching", "core.why", "core.lifecycle.transitions")
names = tuple("include.pipeline_framework." + room for room in rooms)
print(sorted(name for name in sys.modules if name.startswith((*names, "include.wiring.workspace"))))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_the_params_of_a_pipeline_are_its_dags_and_not_copied_into_every_task(dags: dict[str, Any]) -> None:
    dag = dags["data_pipeline_main"]
    assert {"target_date", "windows", "until", "replace"} <= set(dag.params)
    assert {task.task_id: dict(task.params) for task in dag.tasks if task.params} == {}


def test_core_and_tasks_import_without_airflow() -> None:
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "airflow":
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import include.pipeline_framework.core, include.pipeline_framework.tasks.planning
import include.pipeline_framework.tasks.move_window, include.pipeline_framework.tasks.cleanup_stale_locks
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)


def test_a_broken_pipeline_takes_no_other_down(tmp_path: Path) -> None:
    """Its own DAG is absent and the import error says why; the rest is there."""
    from airflow.dag_processing.dagbag import DagBag

    (tmp_path / "data_pipeline_main.py").write_text((REPO / "dags" / "data_pipeline_main.py").read_text())
    broken = (REPO / "dags" / "data_pipeline_main.py").read_text().replace('("main")', '("no_such_pipeline")')
    (tmp_path / "data_pipeline_broken.py").write_text(broken)
    bag = DagBag(dag_folder=str(tmp_path), bundle_path=tmp_path, load_op_links=False)
    assert set(bag.dags) == {"data_pipeline_main"}
    (error,) = bag.import_errors.values()
    assert "there is no pipeline 'no_such_pipeline'" in error
