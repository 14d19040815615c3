"""Decide from which day on a source's windows have to be looked at, so that a look does not grow with its history.

Days that were found whole stay whole until rows are taken out of them, and whoever does that leaves a mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from include.pipeline_framework.core.continuity.findings import Finding, Kind
from include.pipeline_framework.core.continuity.state_facts import StateFacts
from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.core.time.horizon import Horizon

ALWAYS_LOOKED_AT = timedelta(days=14)
"""The days before today that are never settled: other processes may hold some of them, or plan them anew."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SettledMark:
    """A mark of a source in the ledger.

    Attributes:
        id: Its number in the ledger.
        before: The first local day that has to be looked at.
        terms: What the days before it were judged by (`terms_of`); None: rows of `before` or later were taken out.
    """

    id: int
    before: date
    terms: str | None


def terms_of(timezone: str, horizon: Horizon) -> str:
    """Return what a source's days are judged by, as text: with other terms every day has to be looked at again."""
    days = "all days" if horizon.fill_missing_days else "planned days"
    return f"{days} from {horizon.start_date} in {timezone} by {zone_rules.version()}"


def first_open_day(marks: Iterable[SettledMark], terms: str) -> date | None:
    """Return the first day that has to be looked at; None: every day.

    >>> marks = [SettledMark(1, date(2013, 3, 9), "UTC"), SettledMark(2, date(2013, 2, 1), None)]
    >>> first_open_day(marks, "UTC"), first_open_day(marks, "Asia/Tokyo")
    (datetime.date(2013, 2, 1), None)
    """
    of_terms = [mark for mark in marks if mark.terms in (None, terms)]
    return min(mark.before for mark in of_terms) if any(mark.terms for mark in of_terms) else None


def settled_before(facts: StateFacts, findings: Sequence[Finding]) -> date | None:
    """Return the first day that the next look has to look at; None when this one has not looked at any day.

    Another granularity is no reason to look at a day again: nothing but a person changes it.
    """
    tomorrow = facts.scope.tomorrow
    if not facts.days or tomorrow is None:
        return None
    wrong = [finding.day for finding in findings if finding.kind != Kind.GRANULARITY_DRIFT]
    return min([tomorrow.date - _DAY - ALWAYS_LOOKED_AT, facts.days[-1].date + _DAY, *wrong])
