"""What a source and a target may tell about what they would do; each is asked only where it has the method."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from include.pipeline_framework.core.time.windows import TimeWindow


@runtime_checkable
class TellsQueries(Protocol):
    """A source that shows its requests."""

    def queries(self, window: TimeWindow) -> list[str]:
        """Return the requests that read the window, as text for people; the data is not read."""
        ...


@runtime_checkable
class TellsDefinitions(Protocol):
    """A target that shows its tables."""

    def definitions(self) -> list[str]:
        """Return the statements that create its tables, as text for people; the target is not asked."""
        ...
