"""Checks a Snowflake target before any window is claimed; see `Check`.

Nothing is created but a table of the session's own. Grants are asked for where Snowflake tells them; a role that may
not see them, and the local stack's emulator, which has none, are told as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC
from functools import partial
from typing import Any
from uuid import uuid4

from include.implementation_modules.snowflake.errors import translated_error
from include.implementation_modules.snowflake.refusals import refusal
from include.implementation_modules.snowflake.target import SQL_TYPES, SnowflakeTarget
from include.implementation_modules.sql_warehouse.compatibility import PresentColumn, TypeRules, judge_columns
from include.implementation_modules.sql_warehouse.session import Session
from include.implementation_modules.sql_warehouse.statements import MissingObjectError
from include.pipeline_framework.core.watching.verdicts import Findings, Verdict
from include.pipeline_framework.errors import PipelineError, ServiceUnavailableError, TerminalError
from include.pipeline_framework.ports.checking import Look
from include.sql.text import SqlFragment, quoted

_DIALECT = replace(SnowflakeTarget.DIALECT, folders=("snowflake_checking", "snowflake"))
_SCHEMA_RIGHTS = ("CREATE TABLE", "CREATE STAGE")
_LOADING, _RECEIVING = ("SELECT", "INSERT", "DELETE"), ("SELECT", "INSERT", "UPDATE", "DELETE")

RULES = TypeRules(
    spelled={**SQL_TYPES, "count": "NUMBER(38, 0)", "document": "VARIANT"},
    whole={
        "text": r"VARCHAR\((16777216|134217728)\)",
        "integer": r"NUMBER\(3[78],0\)",
        "number": r"FLOAT",
        "boolean": r"BOOLEAN",
        "timestamp": r"TIMESTAMP_NTZ\([6-9]\)",
        "date": r"DATE",
        "count": r"NUMBER\((19|[23]\d),0\)",
        "document": r"VARIANT",
        "json": r"VARIANT",
    },
    narrow={
        "text": r"VARCHAR\(\d+\)",
        "integer": r"NUMBER\(\d+,\d+\)",
        "number": r"NUMBER\(\d+,\d+\)",
        "timestamp": r"TIMESTAMP_NTZ\([0-5]\)",
    },
)


def check(connect: Callable[[], Any], options: SnowflakeTarget.Options, look: Look) -> Sequence[Verdict]:
    """Look at login, role, database, schema, warehouse, rights, and the columns of an existing table."""
    found = Findings("target")
    connection = _connected(connect, look, found)
    if connection is not None:
        with closing(connection):
            _Looking(connection, options, look, found).all()
    return found.verdicts


def _connected(connect: Callable[[], Any], look: Look, found: Findings) -> Any:
    try:
        return connect()
    except PipelineError as error:
        found.refused("connection", error)
    except Exception as error:
        translated = translated_error(error, "connect")
        if translated is None:
            raise
        known = None if isinstance(error, OSError) else refusal(error)
        if known:
            found.refused(known.check, translated)
        else:
            found.unreachable(translated, look.connection_id)
    return None


class _Looking:
    def __init__(self, connection: Any, options: SnowflakeTarget.Options, look: Look, found: Findings) -> None:
        self._options, self._look, self._found = options, look, found
        self._table = options.table.upper()
        self._role = "<role>"
        self._fragments: dict[str, SqlFragment] = {}
        self._session = Session(connection, _DIALECT, self._fragments, translated_error, f"target {self._table}")

    def all(self) -> None:
        """Look at one thing after the other, as far as each makes sense."""
        before = self._look.clock()
        answered = self._found.attempt("reachable", lambda: self._session.run("clock"))
        if answered is None:
            return
        self._role = self._told("current_role") or self._role
        self._found.ok("reachable", f"logged in with the role {self._role}")
        self._found.clock(answered[0][0].replace(tzinfo=UTC), before, self._look.clock())
        if (place := self._place()) is not None:
            self._names(place)
            self._computes()
            self._tables(".".join(place))

    def _place(self) -> tuple[str, str] | None:
        """Return database and schema if both are there."""
        (now,) = self._session.run("current_place")
        database, schema = (
            (wanted or is_now or "").upper()
            for wanted, is_now in zip((self._options.database, self._options.schema_name), now, strict=True)
        )
        for kind, name in (("database", database), ("schema", schema)):
            if not name:
                remedy = f"Set `{kind}` under target, or in the connection {self._look.connection_id}."
                self._found.wrong(kind, f"neither the pipeline's file nor the connection names a {kind}", remedy)
        if not database or not schema:
            return None
        if database not in self._shown("show_databases"):
            grant = f"CREATE DATABASE {database}; GRANT USAGE ON DATABASE {database} TO ROLE {self._role};"
            self._missing("database", database, grant)
            return None
        self._found.ok("database", database)
        self._fragments["database"] = quoted(database)
        if schema not in self._shown("show_schemas"):
            name = f"{database}.{schema}"
            rights = "USAGE, CREATE TABLE, CREATE STAGE"
            self._missing(
                "schema", name, f"CREATE SCHEMA {name}; GRANT {rights} ON SCHEMA {name} TO ROLE {self._role};"
            )
            return None
        self._found.ok("schema", f"{database}.{schema}")
        return database, schema

    def _names(self, place: tuple[str, str]) -> None:
        self._fragments["place"] = quoted(*place)
        self._fragments["target"] = quoted(*place, self._table)
        self._fragments["receipts"] = quoted(*place, f"{self._table}_RECEIPTS")
        self._fragments["probe"] = quoted(f"DOCTOR_{uuid4().hex[:12].upper()}")

    def _computes(self) -> None:
        """Fill a table of the session's own: it takes a warehouse that the role may use."""
        try:
            for name in ("use_schema", "create_probe", "fill_probe", "empty_probe"):
                self._session.run(name)
        except TerminalError as error:
            known = refusal(error.__cause__)
            self._found.refused(known.check if known else "warehouse", error)
        except ServiceUnavailableError as error:
            self._found.refused("warehouse", error)
        else:
            self._found.ok("warehouse", "a temporary table was created, filled and emptied")

    def _tables(self, place: str) -> None:
        name = f"{place}.{self._table}"
        table, receipts = self._columns("describe_target"), self._columns("describe_receipts")
        missing = [each for each, of in ((name, table), (f"{name}_RECEIPTS", receipts)) if of is None]
        if missing:
            self._may("may create", "grants_on_schema", f"SCHEMA {place}", _SCHEMA_RIGHTS)
            self._found.ok("tables", f"the first run creates {' and '.join(missing)}")
        if table is not None:
            judge_columns(self._options.columns, table, RULES, name, self._found)
            self._may("may load", "grants_on_table", f"TABLE {name}", _LOADING)
        if receipts is not None:
            self._may("may load", "grants_on_receipts", f"TABLE {name}_RECEIPTS", _RECEIVING)

    def _columns(self, statement: str) -> dict[str, PresentColumn] | None:
        """Return a table's columns by name; None: it is not there."""
        try:
            rows = self._session.run(statement)
        except MissingObjectError:
            return None
        return {name: PresentColumn(kind, null == "N" and default is None) for name, kind, _, null, default, *_ in rows}

    def _may(self, check: str, statement: str, what: str, wanted: Sequence[str]) -> None:
        """Compare the grants on an object with the roles that the session has."""
        try:
            rows = self._named(statement)
            active = {
                role: bool(self._session.run("role_is_active", {"role": role})[0][0])
                for role in {row["grantee_name"] for row in rows if row["granted_to"] == "ROLE"}
            }
        except PipelineError:
            self._found.unknown(
                check,
                f"the grants on {what} can't be read with this role, or the server has none",
                f"Look at SHOW GRANTS ON {what}; the role needs {', '.join(wanted)}.",
            )
            return
        held = {row["privilege"] for row in rows if active.get(row["grantee_name"])}
        missing = [] if "OWNERSHIP" in held else [privilege for privilege in wanted if privilege not in held]
        if missing:
            grant = f"GRANT {', '.join(missing)} ON {what} TO ROLE {self._role};"
            self._found.wrong(check, f"the role {self._role} lacks {', '.join(missing)} on {what}", grant)
        else:
            self._found.ok(check, f"{', '.join(wanted)} on {what}")

    def _missing(self, kind: str, name: str, remedy: str) -> None:
        said = f"the {kind} {name} does not exist, or the role {self._role} may not see it"
        self._found.wrong(kind, said, f"{remedy} Or correct `{kind}` in the pipeline's file.")

    def _shown(self, statement: str) -> set[str]:
        shown = self._found.attempt("may see", partial(self._named, statement))
        return {str(row["name"]) for row in shown or ()}

    def _named(self, statement: str) -> list[dict[str, Any]]:
        """Return the rows of a SHOW, whose columns come in an order that changes from release to release."""
        rows = self._session.run(statement)
        names = [str(column[0]).lower() for column in self._session.cursor.description]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _told(self, statement: str) -> str | None:
        value = self._session.run(statement)[0][0]
        return None if value is None else str(value)
