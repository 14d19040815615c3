"""Define every error that the framework raises on purpose; each says what a caller does about it.

::

    PipelineError
    ├── TransientError                 try again: the world may have changed
    │   ├── ServiceUnavailableError      a system did not answer, or answered "not now"
    │   │   └── ServiceBusyError           it has too much to do: wait longer
    │   ├── IncompleteExtractError       the source gave fewer rows than it says it has
    │   ├── TornStageError               staged files and manifest do not agree
    │   ├── LedgerChangedError           the ledger failed over or was restored: a person has to say which of the two
    │   ├── PublishConflictError         another session holds the target's guard row
    │   └── TargetBusyError              the table's publishes take turns
    └── TerminalError                  do not try again: a person or a later run has to act
        ├── ConfigurationError           a pipeline file is wrong
        │   └── ConnectionMissingError   Airflow has no such connection
        ├── InvalidInputError            a parameter or a conf is wrong
        ├── BadDocumentError             a document that the target cannot hold, or that comes twice
        ├── RowsWouldVanishError         a load would delete loaded rows: a person has to agree
        ├── ApprovalNeededError          closed windows differ, and a person has to decide
        ├── AuditFailedError             stage, load and target do not agree
        └── LedgerRefusedError           the ledger said no; nothing was written
            ├── IllegalTransitionError     the row's state does not allow it
            ├── RowMistakenError           the row's number stands for another window by now
            ├── FenceLostError             a newer start of a task owns the window
            ├── WindowHeldError            another DAG run owns the window
            ├── WindowFinishedError        the window is COMPLETED or SKIPPED
            └── WindowInvalidatedError     the row was replaced

A message has four parts: what happened, where, what it means and what to do. Errors of client libraries never cross a
port; they are the `__cause__` of one of these.
"""

from __future__ import annotations

from typing import Any


class PipelineError(Exception):
    """Base of the tree; catch it to tell "the framework refused" from a bug.

    Args:
        what: What happened, one clause without a full stop.
        where: Pipeline, window, file or key: what a reader needs to find the place.
        meaning: What it means for the data. Optional.
        remedy: What a person should do now. Optional.
    """

    def __init__(self, what: str, *, where: str = "", meaning: str = "", remedy: str = "") -> None:
        self.what, self.where, self.meaning, self.remedy = what, where, meaning, remedy
        super().__init__(what)

    def __str__(self) -> str:
        """Return all four parts in one line, so that a log viewer shows them together."""
        text = f"{self.what} [{self.where}]" if self.where else self.what
        parts = [text, self.meaning, self.remedy and f"What to do: {self.remedy}"]
        return ". ".join(part.rstrip(".") for part in parts if part)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the keyword-only fields when pickled: Airflow moves errors between processes."""
        return _rebuild, (type(self), self.what, self.where, self.meaning, self.remedy), self.__dict__


def _rebuild(cls: type[PipelineError], what: str, where: str, meaning: str, remedy: str) -> PipelineError:
    return cls(what, where=where, meaning=meaning, remedy=remedy)


class TransientError(PipelineError):
    """The same call may succeed later; Airflow's retry policy retries it."""


class ServiceUnavailableError(TransientError):
    """A source, stage, target or ledger did not answer, or answered that it can't serve the call right now."""


class ServiceBusyError(ServiceUnavailableError):
    """A system answered that it has too much to do; the call is retried later than after other transient errors.

    Attributes:
        retry_after_seconds: How long the system asked callers to wait, if it did.
    """

    retry_after_seconds: float | None = None

    def asking_for(self, seconds: float | None) -> ServiceBusyError:
        """Return the same error with the wait that the system asked for."""
        self.retry_after_seconds = seconds
        return self


class IncompleteExtractError(TransientError):
    """Pages, shards or counts of one extract disagree: the extract is thrown away, never loaded."""


class TornStageError(TransientError):
    """A manifest is missing, or a file is missing, changed or has another checksum: extract again."""


class LedgerChangedError(TransientError):
    """The ledger is not the one that was recorded; transient, because a cluster manager may say so in a moment."""


class PublishConflictError(TransientError):
    """The guard row stayed locked by another publish for the whole waiting time."""


class TargetBusyError(TransientError):
    """Another window is publishing into the table, which takes one at a time: the task waits without a worker."""


class TerminalError(PipelineError):
    """Trying again gives the same result; Airflow's retry policy fails the task at once."""


class ConfigurationError(TerminalError, ValueError):
    """A pipeline file or an environment value is wrong; the message names file, path, value and what is allowed."""


class ConnectionMissingError(ConfigurationError):
    """Airflow has no connection of that id."""


class InvalidInputError(TerminalError, ValueError):
    """An argument, a parameter or a DAG run's conf is wrong; nothing was written."""


class BadDocumentError(TerminalError):
    """A document that the target can't hold; the message names its id."""


class RowsWouldVanishError(TerminalError):
    """Loading the window again would delete more rows than it may before a person agrees; the message counts them.

    See `core.vanishing`.
    """


class ApprovalNeededError(TerminalError):
    """Closed windows differ from what was loaded; repairing them would delete rows or hide a loss, so a person decides.

    The run has done everything else; the message counts the rows and says how to answer.
    """


class AuditFailedError(TerminalError):
    """Manifest, load and target disagree; the window was deleted at the target and will be run again, bounded."""


class LedgerRefusedError(TerminalError):
    """The ledger refused a change; its row is unchanged."""


class IllegalTransitionError(LedgerRefusedError):
    """The asked-for state can't follow the present one; the message names both."""


class RowMistakenError(LedgerRefusedError):
    """The ledger gave a row's number to another window; the message names both, and nothing was written."""


class FenceLostError(LedgerRefusedError):
    """A newer start of a task took the window; a task that gets this error is a zombie and must stop writing."""


class WindowHeldError(LedgerRefusedError):
    """Another DAG run owns the window; the message names it."""


class WindowFinishedError(LedgerRefusedError):
    """The window is COMPLETED or SKIPPED; it is never rewritten in place."""


class WindowInvalidatedError(LedgerRefusedError):
    """The row was invalidated; the message names its replacement."""
