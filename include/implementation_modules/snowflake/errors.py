"""Errors of the Snowflake connector as the framework's."""

from __future__ import annotations

from typing import Any

from include.implementation_modules.snowflake.refusals import named_error
from include.implementation_modules.sql_warehouse.statements import MissingObjectError
from include.pipeline_framework.errors import (
    BadDocumentError,
    PipelineError,
    PublishConflictError,
    ServiceBusyError,
    ServiceUnavailableError,
    TerminalError,
)

_LOCK_NOT_RELEASED = 625  # the wait for a lock failed: timed out, or the 21st waiter
_STOPPED = {604, 630}  # cancelled; statement time-out
_SESSION_GONE = {390111, 390112, 390113, 390114}  # also its tokens; a new connection has new ones
_NO_SUCH_OBJECT = {2003, 2043, 904}  # table, stage or schema; the same for others; column
_EXISTS = 2002


def translated_error(error: Exception, where: str) -> PipelineError | None:
    """Return the framework's error for an error of the client library; None for any other error."""
    from snowflake.connector import errors

    if not isinstance(error, errors.Error):
        return _unavailable(error, where) if isinstance(error, OSError) else None
    number, state = error.errno or 0, error.sqlstate or ""
    if number == _LOCK_NOT_RELEASED:
        return PublishConflictError(
            "another session holds a lock on the target",
            where=where,
            meaning="Another publish is running, or a killed one was not cleaned up yet; nothing was changed",
            remedy="Nothing: the task is tried again. SHOW LOCKS names the holder; killed ones end after minutes.",
        )
    if named := named_error(error, where):
        return named
    if number in _STOPPED | _SESSION_GONE or state.startswith("08") or _is_network(error):
        return _unavailable(error, where)
    if number in _NO_SUCH_OBJECT:
        return MissingObjectError(
            f"Snowflake knows no such table, column or stage: {_brief(error)}",
            where=where,
            meaning="It was never created, was dropped, or the role may not see it; nothing was changed",
            remedy="Run prepare() with a role that may create it, add the column by hand, or grant access.",
        )
    if state.startswith("22"):
        return BadDocumentError(
            f"Snowflake can't hold a staged document ({_numbers(error)})",
            where=where,
            meaning="Nothing was changed in the target",
            remedy="Look the query up in Snowflake's history: it names the line. Mend the document at its source.",
        )
    return TerminalError(
        f"Snowflake refused a statement: {_brief(error)}",
        where=where,
        meaning="Nothing was changed in the target; trying again gives the same answer",
        remedy="Look the query up in Snowflake's history; check grants, warehouse and credentials.",
    )


def says_it_exists(error: Any) -> bool:
    """Return whether an error of the connector says that what was to be created is there."""
    return getattr(error, "errno", None) == _EXISTS or "already exists" in str(getattr(error, "msg", ""))


def _is_network(error: Any) -> bool:
    from snowflake.connector import errors

    if isinstance(
        error, errors.ForbiddenError | errors.BadRequest | errors.MethodNotAllowed | errors.NonRetryableTlsError
    ):
        return False
    return isinstance(error, errors.OperationalError | errors.InterfaceError) or not isinstance(
        error, errors.DatabaseError
    )


def _unavailable(error: Exception, where: str) -> ServiceUnavailableError:
    from snowflake.connector import errors

    kind = ServiceBusyError if isinstance(error, errors.TooManyRequests) else ServiceUnavailableError
    return kind(
        f"Snowflake did not answer ({type(error).__name__} {getattr(error, 'errno', '')})".replace(" )", ")"),
        where=where,
        meaning="The receipt decides on the next try what was committed",
        remedy="Nothing: the task is tried again. Check the network and Snowflake's status page if it stays.",
    )


def _brief(error: Any) -> str:
    """Return the first words of Snowflake's text with its numbers; not for errors about data, which quote it."""
    text = " ".join(str(getattr(error, "raw_msg", None) or getattr(error, "msg", "")).split())
    return f"{text[:200]} ({_numbers(error)})"


def _numbers(error: Any) -> str:
    query = f", query {error.sfqid}" if getattr(error, "sfqid", None) else ""
    return f"errno {error.errno}, sqlstate {error.sqlstate}{query}"
