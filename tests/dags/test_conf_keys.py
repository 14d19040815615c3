"""The conf of a run: every DAG's first task refuses what none of its params is, with what is allowed and meant.

The DAGs are those of the bundle, their params are merged with the conf by Airflow's own function, and the bodies are
called as a worker calls them; only the run itself is made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from include.pipeline_framework.errors import InvalidInputError
from tests.dags.test_dag_files import DAG_IDS, REPO

SWAPPED = {"string": 7, "boolean": "true", "integer": "30", "array": "main", "null": None}
"""A value of another type than the key of it."""


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(REPO / "dags"), bundle_path=REPO / "dags", load_op_links=False)
    return dict(bag.dags)


@pytest.fixture(autouse=True)
def nothing_can_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A body that looks at its conf too late would fail with another error."""
    for name in ("LIFECYCLE_URL", "ORDERS_URL"):
        monkeypatch.setenv(name, "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.chdir(tmp_path)
    yield


def begin(dag: Any, conf: dict[str, Any]) -> None:
    """Call the body of the DAG's first task with this conf."""
    from airflow.sdk.definitions.param import process_params  # two seconds, which other processes can do without
    from airflow.sdk.execution_time.context import set_current_context

    (first,) = dag.roots if len(dag.roots) == 1 else [task for task in dag.roots if not task.is_teardown]
    # merging a conf changes the params themselves
    own, task = (SimpleNamespace(dag_id=dag.dag_id, params=deepcopy(each.params)) for each in (dag, first))
    params = process_params(cast("Any", own), cast("Any", task), conf, suppress_exception=False)
    ti = SimpleNamespace(dag_id=dag.dag_id, run_id="manual__1", task_id=first.task_id, map_index=-1, try_number=1)
    dag_run = SimpleNamespace(conf=conf, run_after=None)
    context: Any = {"dag": own, "params": params, "dag_run": dag_run, "ti": ti, "triggering_asset_events": {}}
    with set_current_context(context):
        first.python_callable(**first.op_kwargs)


@pytest.mark.parametrize("dag_id", sorted(DAG_IDS))
class TestEveryDag:
    def test_an_unknown_key_is_refused_with_what_is_allowed(self, dags: dict[str, Any], dag_id: str) -> None:
        with pytest.raises(InvalidInputError) as refused:
            begin(dags[dag_id], {"zzzzzz": True})
        assert refused.value.what == "conf has unknown keys ['zzzzzz']"
        assert refused.value.where == dag_id
        assert all(name in refused.value.remedy for name in dags[dag_id].params)
        assert refused.value.meaning == "Nothing was done"

    def test_a_null_is_a_key_too(self, dags: dict[str, Any], dag_id: str) -> None:
        with pytest.raises(InvalidInputError, match="unknown keys"):
            begin(dags[dag_id], {"zzzzzz": None})

    def test_each_param_misspelt_is_refused_and_the_right_name_offered(self, dags: dict[str, Any], dag_id: str) -> None:
        for name in dags[dag_id].params:
            for misspelt in {name.replace("_", "-"), name.replace("_", ""), name.upper(), f"{name}s"} - {name}:
                with pytest.raises(InvalidInputError) as refused:
                    begin(dags[dag_id], {misspelt: dags[dag_id].params[name]})
                assert f"did you mean {name} for {misspelt}?" in refused.value.remedy

    def test_a_value_of_another_type_is_refused(self, dags: dict[str, Any], dag_id: str) -> None:
        from airflow.sdk.exceptions import ParamValidationError

        for name in dags[dag_id].params:
            schema = dags[dag_id].params.get_param(name).schema
            kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
            for value in [SWAPPED[kind] for kind in kinds if kind != "null"] + [{"a": 1}, 1.5]:
                with pytest.raises((ParamValidationError, InvalidInputError), match=name):
                    begin(dags[dag_id], {name: value})
            if "integer" in kinds:
                with pytest.raises(InvalidInputError, match=f"{name} 3.0 is not a whole number"):
                    begin(dags[dag_id], {name: 3.0})


@pytest.mark.parametrize(
    ("dag_id", "conf", "meant"),
    [
        ("orders_sync_run_profiler", {"store": "BLR0001", "force": True}, "store_code for store"),
        ("orders_sync_run_profiler", {"window-days": 30}, "window_days for window-days"),
        ("td_orders_sync", {"dryrun": True}, "dry_run for dryrun"),
        ("daily_planner", {"target-date": "2013-03-09", "DryRun": True}, "dry_run for DryRun"),
        ("state_manager", {"plan": "x"}, "plan_id for plan"),
    ],
)
def test_what_people_type(dags: dict[str, Any], dag_id: str, conf: dict[str, Any], meant: str) -> None:
    with pytest.raises(InvalidInputError, match=meant):
        begin(dags[dag_id], conf)


def test_a_conf_that_airflow_leaves_out_is_refused(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS", "False")
    with pytest.raises(InvalidInputError, match="the run's conf is not used: dry_run"):
        begin(dags["publish_lifecycle"], {"dry_run": True})
