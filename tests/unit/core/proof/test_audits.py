"""What an audit's numbers mean."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.proof.audits import AuditNumbers, AuditOutcome, LateDataTolerance, decide
from include.pipeline_framework.core.proof.fingerprints import Fingerprint

ROWS = Fingerprint.of(f"id-{n}" for n in range(100))
LOST = Fingerprint.of(f"id-{n}" for n in range(99))
SWAPPED = Fingerprint.of([*(f"id-{n}" for n in range(99)), "id-0"])
NONE = LateDataTolerance()
PASSED, LATE, REOPEN, FAILED = (
    AuditOutcome.PASSED, AuditOutcome.PASSED_LATE_DATA, AuditOutcome.REOPEN, AuditOutcome.FAILED,
)  # fmt: skip


def numbers(source: int = 100, **changes: Any) -> AuditNumbers:
    return AuditNumbers(**{"staged": ROWS, "loaded": ROWS, "target": ROWS, "source_count": source, **changes})


@pytest.mark.parametrize("reopened_before", [False, True])
@pytest.mark.parametrize("tolerance", [NONE, LateDataTolerance(rows=1_000, percent=100)])
@pytest.mark.parametrize(
    "changes",
    [{"staged": LOST}, {"loaded": LOST}, {"target": LOST}, {"target": SWAPPED}, {"staged": SWAPPED},
     {"loaded": Fingerprint()}, {"target": Fingerprint(100, ROWS.hash_sum + 1)}],
)  # fmt: skip
def test_a_disagreement_inside_always_fails(
    changes: dict[str, Any], tolerance: LateDataTolerance, reopened_before: bool
) -> None:
    decision = decide(numbers(**changes), tolerance, reopened_before=reopened_before)
    assert decision.outcome is FAILED
    for value in (*changes.values(), ROWS):
        assert str(value) in decision.reason


@pytest.mark.parametrize(
    ("source", "tolerance", "first", "second"),
    [
        (100, NONE, PASSED, PASSED),
        (101, NONE, REOPEN, LATE),
        (99, NONE, REOPEN, LATE),
        (0, NONE, REOPEN, LATE),
        (103, LateDataTolerance(rows=3), LATE, LATE),
        (97, LateDataTolerance(rows=3), LATE, LATE),
        (104, LateDataTolerance(rows=3), REOPEN, LATE),
        (96, LateDataTolerance(rows=3), REOPEN, LATE),
        (105, LateDataTolerance(percent=5), LATE, LATE),
        (95, LateDataTolerance(percent=5), LATE, LATE),
        (106, LateDataTolerance(percent=5), REOPEN, LATE),
        (101, LateDataTolerance(percent=0.5), REOPEN, LATE),
        # either bound suffices
        (110, LateDataTolerance(rows=1, percent=10), LATE, LATE),
        (110, LateDataTolerance(rows=10, percent=1), LATE, LATE),
        (111, LateDataTolerance(rows=10, percent=10), REOPEN, LATE),
        (100, LateDataTolerance(rows=3), PASSED, PASSED),
        # a source that keeps moving never fails
        (10**9, NONE, REOPEN, LATE),
    ],
)
def test_the_sources_movement(
    source: int, tolerance: LateDataTolerance, first: AuditOutcome, second: AuditOutcome
) -> None:
    decisions = [decide(numbers(source), tolerance, reopened_before=before) for before in (False, True)]
    assert [decision.outcome for decision in decisions] == [first, second]
    if source != 100:
        assert decisions[0].reason == f"the source has {source - 100:+d} rows since the extract (100 staged)"


def test_quarantined_documents_are_not_missing_rows() -> None:
    assert decide(numbers(102, quarantined=2), NONE, reopened_before=False).outcome is PASSED
    assert decide(numbers(100, quarantined=2), NONE, reopened_before=False).outcome is REOPEN


def test_an_empty_window_passes_and_its_first_late_row_reopens_it() -> None:
    empty = Fingerprint()
    parts = {"staged": empty, "loaded": empty, "target": empty}
    assert decide(numbers(0, **parts), NONE, reopened_before=False).outcome is PASSED
    # percent of nothing tolerates nothing
    assert decide(numbers(1, **parts), LateDataTolerance(percent=100), reopened_before=False).outcome is REOPEN


@pytest.mark.parametrize(
    ("source", "target", "quarantined", "difference", "percentage"),
    [
        (100, ROWS, 0, 0, Decimal(0)),
        (101, ROWS, 0, 1, Decimal("0.9901")),
        (99, ROWS, 0, -1, Decimal("-1.0101")),
        (102, ROWS, 2, 0, Decimal(0)),
        (0, Fingerprint(), 0, 0, None),
        (0, ROWS, 0, -100, None),
        (3, Fingerprint(1, 5), 0, 2, Decimal("66.6667")),
        (1, ROWS, 0, -99, Decimal(-9900)),
    ],
)
def test_the_ledgers_columns(
    source: int, target: Fingerprint, quarantined: int, difference: int, percentage: Decimal | None
) -> None:
    measured = numbers(source, target=target, quarantined=quarantined, undated_count=7)
    assert measured.columns() == {
        "source_count": source,
        "target_count": target.rows,
        "target_fingerprint": target.hash_sum,
        "count_difference": difference,
        "percentage_difference": percentage,
        "undated_count": 7,
    }


@given(st.integers(0, 10**6), st.integers(0, 1_000), st.floats(0, 100), st.booleans())
def test_only_corruption_fails(source: int, rows: int, percent: float, reopened: bool) -> None:
    outcome = decide(numbers(source), LateDataTolerance(rows, percent), reopened_before=reopened).outcome
    assert outcome is not FAILED
    assert (outcome is PASSED) == (source == 100)
    if reopened:
        assert outcome is not REOPEN
