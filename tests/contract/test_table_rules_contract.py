"""What the ledger's table refuses, the double refuses as well: a change or a row that no rule of the table allows."""

from __future__ import annotations

from typing import Any

import pytest

from include.pipeline_framework.core.lifecycle.transitions import NEVER_CHANGED, Transition
from include.pipeline_framework.core.records.ledger_row import COLUMNS
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import IllegalTransitionError, InvalidInputError
from include.pipeline_framework.ports.ledger import LifecycleStore
from tests.contract.ledger_rows import DAY, HOUR, planned
from tests.doubles import table_rules

PLANNER = Actor("daily_planner", "run-1", "plan")


def changed(store: LifecycleStore, changes: dict[str, Any]) -> None:
    (row,) = store.insert_planned([planned()], PLANNER).inserted
    try:
        store.change(row.id, lambda _row, _now: Transition("tried", changes), PLANNER)
    finally:
        assert store.get(row.id) == row
        assert [event["event"] for event in store.events(row.id)] == ["planned"]


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("pipeline_final_status_is_known", {"pipeline_final_status": "BANANA"}),
        ("elt_process_status_is_known", {"elt_process_status": "BANANA"}),
        ("source_to_stage_ingestion_status_is_known", {"source_to_stage_ingestion_status": "BANANA"}),
        ("stage_to_target_ingestion_status_is_known", {"stage_to_target_ingestion_status": "BANANA"}),
        ("audit_process_status_is_known", {"audit_process_status": "BANANA"}),
        ("audit_result_status_is_known", {"audit_result_status": "BANANA"}),
        ("phase_completed_is_known", {"phase_completed": "BANANA"}),
        ("retry_attempt_is_counted", {"retry_attempt": -1}),
        ("removable_rows_are_counted", {"removable_count": -1}),
        ("completed_is_audited", {"pipeline_final_status": "COMPLETED"}),
        ("in_progress_has_an_owner", {"pipeline_final_status": "IN_PROGRESS"}),
        ("pending_has_no_owner", {"dag_run_id": "run-2"}),
        ("replaced_row_is_invalidated", {"replaced_by_id": 7}),
        ("retry_attempt", {"retry_attempt": None}),
        ("is_invalidated_flag", {"is_invalidated_flag": None}),
    ],
)
def test_a_change_against_a_rule_of_the_table_is_refused(
    store: LifecycleStore, rule: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError, match=f"the ledger's rule {rule} refuses a row"):
        changed(store, changes)


def test_a_row_against_a_rule_of_the_table_is_refused(store: LifecycleStore) -> None:
    backwards = planned() | {"query_window_end_at": DAY, "query_window_start_at": DAY}
    with pytest.raises(InvalidInputError):
        store.insert_planned([backwards], PLANNER)
    with pytest.raises(InvalidInputError, match="the ledger's rule source_name refuses a row"):
        store.insert_planned([planned() | {"source_name": None}], PLANNER)
    assert store.find() == []


@pytest.mark.parametrize("column", ["no_such_column", 'id" = 1, "id', *sorted(NEVER_CHANGED)])
def test_a_change_of_what_is_no_column_or_says_which_window_it_is_is_refused(
    store: LifecycleStore, column: str
) -> None:
    with pytest.raises(IllegalTransitionError, match="the step 'tried' writes what a row does not take"):
        changed(store, {"last_error": "kept as it was", column: DAY + HOUR})


def test_a_column_that_one_step_writes_needs_no_other_place(store: LifecycleStore) -> None:
    """The statement is made of the step's own columns."""
    (row,) = store.insert_planned([planned()], PLANNER).inserted
    changes = {"static_metadata": {"team": "b"}, "expected_pipeline_duration_mins": 7, "data_domain": "travel"}
    store.change(row.id, lambda _row, _now: Transition("tried", changes), PLANNER)
    after = store.get(row.id)
    assert {name: getattr(after, name) for name in changes} == changes
    written_by_itself = {"record_last_updated_at", "changed_in"}
    assert {
        name for name in COLUMNS if getattr(after, name) != getattr(row, name)
    } - written_by_itself == changes.keys()


def test_the_double_knows_every_check_of_the_table() -> None:
    assert set(table_rules.CHECKS) == table_rules.named_checks()
