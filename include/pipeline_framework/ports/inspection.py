"""The port to a source that has no pipeline yet: what there is, what it looks like, and what is in it."""

from __future__ import annotations

from typing import Protocol

from include.pipeline_framework.core.proposing.description import SourceDescription, SourceShape


class SourceInspection(Protocol):
    """Looks at a source and never writes. Its cost is bounded: one aggregation, and a few hundred documents.

    Every method raises ConfigurationError for what a person has to mend (a wrong password, no such index or table, a
    missing right), and ServiceUnavailableError when the source does not answer.
    """

    def names(self) -> list[str]:
        """Return the indices, aliases or tables that the user may see, without the system's own, in order."""
        ...

    def shape(self, name: str) -> SourceShape:
        """Return the fields of one of them.

        Raises:
            InvalidInputError: There is none of this name; the message has the nearest one.
        """
        ...

    def describe(self, shape: SourceShape, time_field: str, timezone: str) -> SourceDescription:
        """Return its days, and a sample of its documents.

        Args:
            shape: From `shape`.
            time_field: The event time.
            timezone: IANA name; the days are local to it.

        Raises:
            InvalidInputError: There is no such field, or it can't be an event time; the message has those that can.
        """
        ...
