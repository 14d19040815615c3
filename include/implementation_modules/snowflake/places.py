"""Chooses database and schema of a session, and names them when they are not there."""

from __future__ import annotations

from collections.abc import Sequence

from include.implementation_modules.sql_warehouse.session import Session
from include.implementation_modules.sql_warehouse.statements import MissingObjectError


def use_schema(session: Session, place: Sequence[str]) -> None:
    """Choose the schema of unqualified names, those of temporary tables: fakesnow 0.12.1 takes only such for them.

    Args:
        session: Its statement `use_schema` names the place.
        place: Schema, or database and schema, which Snowflake's own message does not name; empty: nothing to choose.

    Raises:
        MissingObjectError: Database or schema is not there, or the role may not see it.
    """
    if not place:
        return
    try:
        session.run("use_schema")
    except MissingObjectError as error:
        name, database = ".".join(place), place[0] if len(place) > 1 else "<database>"
        raise MissingObjectError(
            f"The database or the schema {name} does not exist, or the role may not see it",
            where=session.where,
            meaning="`database` and `schema` of the target, or of its connection, name it; nothing was changed",
            remedy=f"CREATE DATABASE {database}; CREATE SCHEMA {name}; GRANT USAGE ON DATABASE {database} TO ROLE "
            f"<role>; GRANT USAGE, CREATE TABLE, CREATE STAGE ON SCHEMA {name} TO ROLE <role>; or correct the names.",
        ) from error.__cause__
