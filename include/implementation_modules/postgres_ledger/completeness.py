"""Counts the ledger's windows by day and status, for many sources with two statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from include.pipeline_framework.core.watching import completeness
from include.pipeline_framework.core.watching.completeness import Completeness, CompletenessScope, StatusCount
from include.pipeline_framework.ports.ledger import Record

Run = Callable[[str, Mapping[str, Any]], Sequence[Record]]
"""Runs a statement of the ledger by its name, with parameters."""


def completeness_of(scopes: Sequence[CompletenessScope], run: Run) -> list[Completeness]:
    """See `LedgerCompleteness.completeness`."""
    wanted = {
        "sources": [scope.source_object for scope in scopes],
        "first_days": [scope.first for scope in scopes],
        "last_days": [scope.last for scope in scopes],
        "settled": [scope.settled_at for scope in scopes],
    }
    counts: dict[str, list[StatusCount]] = defaultdict(list)
    for row in run("completeness", wanted):
        counts[row["source_object"]].append(StatusCount(**row))
    behind = {row["source_object"]: row["behind_since"] for row in run("oldest_unfinished", wanted)}
    return [
        completeness.completeness(scope, counts[scope.source_object], behind.get(scope.source_object))
        for scope in scopes
    ]
