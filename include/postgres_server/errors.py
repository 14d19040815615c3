"""Errors of Postgres in nine kinds: one table of SQLSTATEs for all code that uses a Postgres.

A class of psycopg says little: a read-only server, an ended transaction and a corrupt index share one class, a full
disk, a bad foreign server and a wrong password another one. The five characters of the SQLSTATE say what a caller has
to know: whether the same call may succeed later, and on which connection.
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any


class Trouble(StrEnum):
    """The kinds of errors, by what a caller can do."""

    UNAVAILABLE = "unavailable"
    """No answer, or "not now": try again, on a new connection."""
    READ_ONLY = "read only"
    """A standby, or a server made read-only: try again, on a new connection, which may reach another server."""
    BUSY = "busy"
    """Out of connections, memory or disk: try again, later than otherwise."""
    CONFLICT = "conflict"
    """Another session was in the way: try the transaction again."""
    BAD_VALUE = "bad value"
    """A value that the type can't hold: another value is needed."""
    BROKEN_RULE = "broken rule"
    """A constraint refuses the row: another row is needed."""
    NOT_THERE = "not there"
    """A table, column or schema is missing: a person has to create it."""
    NOT_ALLOWED = "not allowed"
    """The login lacks a right: a person has to grant it."""
    REFUSED = "refused"
    """The statement itself is refused: another try gives the same answer."""

    @property
    def is_passing(self) -> bool:
        """Return whether the same call may succeed later."""
        return self in (Trouble.UNAVAILABLE, Trouble.READ_ONLY, Trouble.BUSY, Trouble.CONFLICT)

    @property
    def needs_new_connection(self) -> bool:
        """Return whether the connection can no longer be used."""
        return self in (Trouble.UNAVAILABLE, Trouble.READ_ONLY)


_BY_STATE = {
    "08": Trouble.UNAVAILABLE,  # connection; a pooler's own errors are 08P01
    "0L": Trouble.NOT_ALLOWED,  # grantor
    "0P": Trouble.NOT_ALLOWED,  # role
    "22": Trouble.BAD_VALUE,
    "23": Trouble.BROKEN_RULE,
    "25006": Trouble.READ_ONLY,
    "25P": Trouble.UNAVAILABLE,  # the transaction or its session has ended: aborted, idle or open for too long
    "28": Trouble.NOT_ALLOWED,  # login
    "3D": Trouble.NOT_THERE,  # database
    "3F": Trouble.NOT_THERE,  # schema
    "40": Trouble.CONFLICT,
    "40003": Trouble.UNAVAILABLE,  # whether the statement was completed is unknown
    "42501": Trouble.NOT_ALLOWED,
    "42703": Trouble.NOT_THERE,  # column
    "42P01": Trouble.NOT_THERE,  # table
    "44": Trouble.BROKEN_RULE,  # WITH CHECK OPTION of a view
    "53": Trouble.BUSY,
    "55": Trouble.UNAVAILABLE,  # the object is not in the required state, or in use
    "55P03": Trouble.CONFLICT,  # the wait for a lock took too long
    "57": Trouble.UNAVAILABLE,  # cancelled, shutting down, starting up
    "58": Trouble.UNAVAILABLE,  # the server's system: input, output, files
    "72": Trouble.UNAVAILABLE,  # the snapshot is too old
    "HV001": Trouble.BUSY,  # a foreign server's memory
    "HV00N": Trouble.UNAVAILABLE,  # no connection to a foreign server
    "XX": Trouble.UNAVAILABLE,  # an internal error, a damaged page
}
"""Kinds by the longest matching prefix; other states are REFUSED."""

_STATES_OF_CONNECTING = {
    r"authentication failed": "28P01",
    r"role \".*\" does not exist|no pg_hba.conf entry|pg_hba.conf rejects": "28000",
    r"database \".*\" does not exist|no such database": "3D000",
    r"permission denied for database": "42501",
    r"session is read-only": "25006",
}
"""Libpq gives no SQLSTATE when it can't connect, so its words are matched; unknown words mean UNAVAILABLE."""


def kind_of(state: str) -> Trouble:
    """Return the kind of a SQLSTATE.

    >>> kind_of("25006").value, kind_of("40P01").value, kind_of("42601").value
    ('read only', 'conflict', 'refused')
    """
    lengths = range(len(state), 0, -1)
    return next((_BY_STATE[state[:length]] for length in lengths if state[:length] in _BY_STATE), Trouble.REFUSED)


def state_of(error: Exception) -> str:
    """Return the SQLSTATE of an error of psycopg, "" if it has none."""
    state: str | None = getattr(error, "sqlstate", None)
    if state:
        return state
    text = str(error)
    return next((state for words, state in _STATES_OF_CONNECTING.items() if re.search(words, text)), "")


def trouble_of(error: Exception) -> Trouble:
    """Return the kind of an error of psycopg, the server's or the client's own."""
    import psycopg

    if state := state_of(error):
        return kind_of(state)
    if isinstance(error, psycopg.DataError):
        return Trouble.BAD_VALUE  # for example a text with NUL: psycopg does not send it
    if isinstance(error, psycopg.ProgrammingError | psycopg.NotSupportedError):
        return Trouble.REFUSED
    return Trouble.UNAVAILABLE  # closed, lost, timed out, or an invalid answer


def said(error: Any) -> str:
    """Return the server's first line and SQLSTATE, as DETAIL and CONTEXT would quote the row; or the client's class.

    The text of a connection error may contain the connection's settings.
    """
    state = state_of(error)
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    text = " ".join(str(primary or type(error).__name__).split())[:200]
    return f"{text} (sqlstate {state})" if state else text
