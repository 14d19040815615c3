"""What the ledger's table refuses, taken from its migrations' text or told beside their names.

The in-memory ledger asks here, so that it holds no row that the table would not hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from include.pipeline_framework.core.records.row import Phase, Status
from include.pipeline_framework.errors import InvalidInputError
from include.sql import statement
from include.sql.migrations import LEDGER

Row = Mapping[str, Any]
FIRST = "migrations/versions/0001_pipeline_lifecycle"
LATER = tuple(sorted(file.stem for file in (LEDGER / "versions").glob("*.sql")))[1:]
_DEFAULTS = {"'PENDING'": Status.PENDING.value, "FALSE": False, "0": 0, "'{}'": {}}
_STATUSES = (
    *("elt_process_status", "source_to_stage_ingestion_status", "stage_to_target_ingestion_status"),
    *("audit_process_status", "pipeline_final_status"),
)


def _one_of(column: str, allowed: type[Status] | type[Phase] | tuple[str, ...]) -> Callable[[Row], bool]:
    return lambda row: row[column] is None or row[column] in list(allowed)


def _if(status: Status, rule: Callable[[Row], bool]) -> Callable[[Row], bool]:
    return lambda row: row["pipeline_final_status"] != status or rule(row)


CHECKS: dict[str, Callable[[Row], bool]] = {
    "window_is_half_open": lambda row: row["query_window_start_at"] < row["query_window_end_at"],
    "retry_attempt_is_counted": lambda row: row["retry_attempt"] >= 0,
    **{f"{column}_is_known": _one_of(column, Status) for column in _STATUSES},
    "audit_result_status_is_known": _one_of("audit_result_status", ("PASSED", "FAILED")),
    "phase_completed_is_known": _one_of("phase_completed", Phase),
    "in_progress_has_an_owner": _if(
        Status.IN_PROGRESS,
        lambda row: None not in (row["dag_id"], row["dag_run_id"], row["pipeline_locked_at"]),
    ),
    "pending_has_no_owner": _if(Status.PENDING, lambda row: row["dag_run_id"] is row["heartbeat_at"] is None),
    "completed_is_audited": _if(
        Status.COMPLETED, lambda row: (row["audit_result_status"], row["phase_completed"]) == ("PASSED", "AUDIT")
    ),
    "replaced_row_is_invalidated": lambda row: row["replaced_by_id"] is None or row["is_invalidated_flag"],
    "removable_rows_are_counted": lambda row: row["removable_count"] is None or row["removable_count"] >= 0,
}
"""By the names that the migrations give them; a contract test compares both."""


def lines() -> list[str]:
    """The definitions of the table's columns."""
    body = statement(FIRST).split("CREATE TABLE pipeline_lifecycle (")[1].split("CONSTRAINT")[0]
    added = [
        part.split(";")[0]
        for migration in LATER
        for part in statement(f"migrations/versions/{migration}").split("ALTER TABLE pipeline_lifecycle ADD COLUMN")[1:]
    ]
    found = [line.strip().rstrip(",") for line in (*body.splitlines(), *added)]
    return [line for line in found if line and not line.startswith("--")]


def named_checks() -> set[str]:
    """The names of the table's CHECKs, as its migrations give them."""
    table = statement(FIRST).split("CREATE TABLE pipeline_lifecycle (")[1].split("\n);")[0]
    later = "".join(statement(f"migrations/versions/{migration}") for migration in LATER)
    added = re.findall(r"ALTER TABLE pipeline_lifecycle ADD CONSTRAINT (\w+)\s+CHECK", later)
    return {*re.findall(r"CONSTRAINT (\w+)\s+CHECK", table), *added}


def column_defaults() -> dict[str, Any]:
    """Every column with its default."""
    return {
        line.split()[0]: _DEFAULTS.get(line.rpartition(" DEFAULT ")[2]) if " DEFAULT " in line else None
        for line in lines()
    }


NOT_NULL = frozenset(line.split()[0] for line in lines() if " NOT NULL" in line and " DEFAULT pg_" not in line)
"""Without those that the database fills in itself, such as the transaction."""


def require(row: Row) -> None:
    """Refuse what the table would refuse.

    Raises:
        InvalidInputError: Names the rule, or the column that must not be empty, as the real store does.
    """
    empty = [column for column in sorted(NOT_NULL) if row[column] is None]
    broken = empty or [name for name, holds in CHECKS.items() if not holds(row)]
    if broken:
        raise InvalidInputError(f"the ledger's rule {broken[0]} refuses a row", where="pipeline_lifecycle")
