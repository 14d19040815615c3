"""Checks a Postgres as a source or a target before any window is claimed; see `Check`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from include.implementation_modules.postgres.source import PostgresSourceOptions
from include.implementation_modules.postgres.target import SQL_TYPES, PostgresTarget
from include.implementation_modules.sql_warehouse.compatibility import PresentColumn, TypeRules, judge_columns
from include.pipeline_framework.core.watching.verdicts import Findings, Verdict
from include.pipeline_framework.ports.checking import Look
from include.postgres_server.checking import (
    Relation,
    Server,
    grant,
    looked,
    opened,
    own_session,
    require_writes,
)

_TIMESTAMPTZ = "timestamp with time zone"
_LOADING, _RECEIVING = ("SELECT", "INSERT", "DELETE"), ("SELECT", "INSERT", "UPDATE", "DELETE")

RULES = TypeRules(
    spelled={**SQL_TYPES, "count": "BIGINT", "document": "JSONB"},
    whole={
        "text": r"text|character varying",
        "integer": r"numeric|numeric\((3[7-9]|[4-9]\d|\d{3,}),0\)",
        "number": r"double precision|numeric",
        "boolean": r"boolean",
        "timestamp": _TIMESTAMPTZ,
        "date": r"date",
        "count": r"bigint|numeric",
        "document": r"jsonb",
        "json": r"jsonb",
    },
    narrow={
        "text": r"character varying\(\d+\)|character\(\d+\)",
        "integer": r"smallint|integer|bigint|numeric\(\d+,\d+\)",
        "number": r"real|numeric\(\d+,\d+\)",
        "timestamp": r"timestamp\(\d\) with time zone",
    },
)


def check_source(connect: Callable[[], Any], options: PostgresSourceOptions, look: Look) -> Sequence[Verdict]:
    """Look at server, login, table, time and id column, and at what a policy hides."""
    found = Findings("source")
    if (connection := opened(connect, look.connection_id, found)) is None:
        return found.verdicts
    with closing(connection):
        server = looked(connection, look.clock, found)
        if server is not None:
            if server.is_standby:
                found.ok("standby", "the server is a standby: a window waits until the standby has replayed enough")
            _readable(server, options, found)
    return found.verdicts


def check_target(connect: Callable[[], Any], options: PostgresTarget.Options, look: Look) -> Sequence[Verdict]:
    """Look at server, login, pooler, schema, rights, and the columns of an existing table; nothing is created."""
    found = Findings("target")
    if (connection := opened(connect, look.connection_id, found)) is None:
        return found.verdicts
    with closing(connection):
        server = looked(connection, look.clock, found)
        if server is not None:
            require_writes(server, look.connection_id, found)
            own_session(server, connect, found)
            _loadable(server, options, found)
    return found.verdicts


def _readable(server: Server, options: PostgresSourceOptions, found: Findings) -> None:
    name = f"{options.table_schema}.{options.table}"
    table = found.attempt("table exists", lambda: server.relation(options.table_schema, options.table))
    if table is None or not _is_there(table, options.table_schema, server, found):
        return
    if table.number is None:
        found.wrong("table exists", f"there is no table or view {name}", "Correct table_schema and table under source.")
        return
    found.ok("table exists", name)
    if "SELECT" in table.privileges:
        found.ok("may read", f"SELECT on {name}")
    else:
        found.wrong("may read", f"{server.login} may not read {name}", grant("SELECT", name, server.login))
    if table.is_restricted and options.row_security == "refuse":
        found.wrong(
            "sees every row",
            f"row-level security hides rows of {name} from {server.login}",
            f'ALTER ROLE "{server.login}" BYPASSRLS; or `row_security: accept` if its part is all that is wanted.',
        )
    _time_and_id(table, options, name, found)


def _time_and_id(table: Relation, options: PostgresSourceOptions, name: str, found: Findings) -> None:
    time, row_id = table.columns.get(options.time_column), table.columns.get(options.id_column)
    if time is None or time.type != _TIMESTAMPTZ:
        is_what = f"is {time.type}" if time else f"is no column of {name}"
        found.wrong(
            "time field",
            f"the time column {options.time_column!r} {is_what}: a time without a zone names no instant",
            "Set time_column to a timestamptz column, or read a view that converts it.",
        )
    else:
        found.ok("time field", f"{options.time_column} is {_TIMESTAMPTZ}")
    if row_id is None:
        found.wrong("id column", f"{options.id_column!r} is no column of {name}", "Correct id_column under source.")
    elif not row_id.is_unique:
        found.warning(
            "id column",
            f"no index says that {options.id_column!r} is unique by itself; a load refuses an id that comes twice",
            "Name a column that is unique and never NULL; where ids repeat and each row counts, `ids_repeat: true`.",
        )
    else:
        found.ok("id column", f"{options.id_column} is unique")


def _loadable(server: Server, options: PostgresTarget.Options, found: Findings) -> None:
    schema, name = options.schema_name.lower(), options.table.lower()
    table = found.attempt("schema exists", lambda: server.relation(schema, name))
    if table is None or not _is_there(table, schema, server, found):
        return
    if not table.may_create_temporary:
        what = f"DATABASE {server.database}"
        found.wrong("may load", "the login may not create temporary tables", grant("TEMPORARY", what, server.login))
    receipts = server.relation(schema, f"{name}_receipts")
    missing = [each for each, of in ((name, table), (f"{name}_receipts", receipts)) if of.number is None]
    if missing and not table.may_create:
        said = f"{' and '.join(missing)} must be created, and {server.login} may not create tables in {schema}"
        found.wrong("may create", said, grant("CREATE", f"SCHEMA {schema}", server.login))
    elif missing:
        found.ok("may create", f"the first run creates {' and '.join(missing)} in {schema}")
    if table.number is not None:
        _may(table, _LOADING, f"{schema}.{name}", server, found)
        there = {column: PresentColumn(known.type, known.is_needed) for column, known in table.columns.items()}
        judge_columns(options.columns, there, RULES, f"{schema}.{name}", found)
        if table.is_restricted:
            found.wrong(
                "sees every row",
                f"row-level security hides rows of {schema}.{name} from {server.login}",
                f'ALTER ROLE "{server.login}" BYPASSRLS;',
            )
    if receipts.number is not None:
        _may(receipts, _RECEIVING, f"{schema}.{name}_receipts", server, found)


def _is_there(table: Relation, schema: str, server: Server, found: Findings) -> bool:
    if not table.has_schema:
        remedy = f'CREATE SCHEMA {schema} AUTHORIZATION "{server.login}"; or correct it in the pipeline\'s file.'
        found.wrong("schema exists", f"the database {server.database} has no schema {schema}", remedy)
        return False
    if not table.may_use_schema:
        said = f"{server.login} may not use the schema {schema}"
        found.wrong("schema exists", said, grant("USAGE", f"SCHEMA {schema}", server.login))
        return False
    found.ok("schema exists", f"{schema} in {server.database}")
    return True


def _may(table: Relation, wanted: Sequence[str], name: str, server: Server, found: Findings) -> None:
    missing = ", ".join(privilege for privilege in wanted if privilege not in table.privileges)
    if missing:
        said = f"{server.login} lacks {missing} on {name}"
        found.wrong("may load", said, grant(missing, name, server.login))
    else:
        found.ok("may load", f"{', '.join(wanted)} on {name}")
