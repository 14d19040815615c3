"""The port to a system that answers a person's queries; a target may have it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from include.pipeline_framework.core.watching.queries import Answer


@runtime_checkable
class Queryable(Protocol):
    """Answers one query."""

    def query(self, statement: str, limit: int) -> Answer:
        """Run one statement that reads, in a transaction that is rolled back; return at most `limit` rows.

        Raises:
            PipelineError: The system refused it, or did not answer.
        """
        ...
