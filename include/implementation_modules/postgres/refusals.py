"""Names what a Postgres refuses: login, database, schema, table or right, with the statement that mends it."""

from __future__ import annotations

import re
from typing import NamedTuple

from include.postgres_server.errors import said, state_of

_DENIED = re.compile(r"permission denied for (schema|database|table|view|relation|sequence) (\S+)")
_RIGHTS = {"schema": "USAGE, CREATE", "database": "CONNECT, TEMPORARY", "sequence": "USAGE"}
_ON = {"schema": "SCHEMA ", "database": "DATABASE ", "sequence": "SEQUENCE "}


class Refusal(NamedTuple):
    """What is wrong, what it means, and what to do."""

    what: str
    meaning: str
    remedy: str


def refusal(error: Exception) -> Refusal | None:
    """Return what an error says of login, database, schema and rights; None for any other error."""
    state, message = state_of(error), said(error)
    if state.startswith("28"):
        return Refusal(
            f"Postgres answers, and refuses the login: {message}",
            "Login or password of the connection is wrong; nothing was changed",
            "Correct login and password of the target's connection.",
        )
    if state == "3D000":
        return Refusal(
            f"The database does not exist: {message}",
            "The target's connection names a database that the server has not; nothing was changed",
            "Correct the schema field of the connection (it is the database's name), or CREATE DATABASE it.",
        )
    if state == "3F000":
        return Refusal(
            f"The schema does not exist: {message}",
            "`schema` of the target names one that the database has not; nothing was changed",
            "CREATE SCHEMA it and grant USAGE, CREATE on it to the login, or correct `schema` in the pipeline's file.",
        )
    if state == "42501" and (denied := _DENIED.search(message)):
        kind, name = denied.groups()
        rights, on = _RIGHTS.get(kind, "SELECT, INSERT, UPDATE, DELETE"), _ON.get(kind, "")
        return Refusal(
            f"A privilege is missing: {message}",
            "The login may not do what a load needs; nothing was changed",
            f"GRANT {rights} ON {on}{name} TO <the login of the target's connection>;",
        )
    return None
