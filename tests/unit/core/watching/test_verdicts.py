"""Verdicts: what is wrong, what an error becomes, and clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.pipeline_framework.core.watching.verdicts import CheckState, Findings, is_wrong, summary
from include.pipeline_framework.errors import TerminalError

NOON = datetime(2013, 3, 9, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        (0, CheckState.OK),
        (2, CheckState.OK),  # it was read between asking and the answer
        (-4.9, CheckState.OK),
        (6.9, CheckState.OK),
        (-5, CheckState.WARNING),
        (7, CheckState.WARNING),
        (-60, CheckState.WRONG),
        (62, CheckState.WRONG),
        (86_400, CheckState.WRONG),
    ],
)
def test_a_clock_is_judged_by_its_distance_from_the_time_of_asking(seconds: float, state: CheckState) -> None:
    found = Findings("ledger")
    found.clock(NOON + timedelta(seconds=seconds), NOON, NOON + timedelta(seconds=2))
    (verdict,) = found.verdicts
    assert verdict.state is state
    assert bool(verdict.remedy) == (state is not CheckState.OK)


def test_an_error_is_a_verdict_with_its_place_and_remedy() -> None:
    def fail() -> int:
        raise TerminalError("it is refused", where="index a", remedy="Grant it.")

    found = Findings("source")
    assert found.attempt("may read", fail) is None
    assert found.attempt("reachable", lambda: 3, lambda count: f"{count} indices") == 3
    refused, fine = found.verdicts
    assert (refused.said, refused.remedy, refused.state) == ("it is refused [index a]", "Grant it.", CheckState.WRONG)
    assert (fine.said, fine.state) == ("3 indices", CheckState.OK)


def test_only_wrong_is_wrong_and_the_summary_counts_all() -> None:
    found = Findings("stage")
    found.ok("may list", "")
    found.warning("columns", "", "")
    found.unknown("clock", "", "")
    assert not is_wrong(found.verdicts)
    assert summary(found.verdicts) == "1 warning, 1 could not look, 1 ok"
    found.wrong("may read", "", "")
    assert is_wrong(found.verdicts)
    assert found.verdicts[-1].as_record()["state"] == "wrong"
    assert summary([]) == "nothing was checked"
