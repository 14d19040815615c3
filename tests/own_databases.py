"""A database for each test. Those of a template are taken in turns: to make one is a thousand files, to empty it a few.

A used database is taken again only when nothing of its schema, rights and settings differs from its template.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

PLAIN = "template1"

_OURS = "(SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname != 'information_schema')"
_RELATIONS = f"SELECT oid::BIGINT FROM pg_class WHERE relnamespace IN {_OURS}"
_SCHEMA = f"""
SELECT MD5(STRING_AGG(line, '|' ORDER BY line)) FROM (
    SELECT CONCAT_WS(' ', 'n', oid, nspname, nspowner, nspacl) FROM pg_namespace WHERE oid IN {_OURS}
    UNION ALL
    SELECT CONCAT_WS(' ', 'c', oid, relname, relowner, relacl, relrowsecurity, relforcerowsecurity, reloptions)
    FROM pg_class WHERE relnamespace IN {_OURS}
    UNION ALL
    SELECT CONCAT_WS(' ', 'a', attrelid, attnum, attname, atttypid, atttypmod, attnotnull, attisdropped, attacl)
    FROM pg_attribute WHERE attrelid IN ({_RELATIONS})
    UNION ALL SELECT CONCAT_WS(' ', 'd', adrelid, adnum, PG_GET_EXPR(adbin, adrelid)) FROM pg_attrdef
    UNION ALL SELECT CONCAT_WS(' ', 'k', oid, conname, convalidated) FROM pg_constraint WHERE connamespace IN {_OURS}
    UNION ALL SELECT CONCAT_WS(' ', 't', oid, tgname, tgenabled) FROM pg_trigger
    UNION ALL SELECT CONCAT_WS(' ', 'f', oid, proname, proacl, MD5(prosrc), proconfig) FROM pg_proc
    WHERE pronamespace IN {_OURS}
    UNION ALL SELECT CONCAT_WS(' ', 'i', indexrelid, indisvalid) FROM pg_index WHERE indrelid IN ({_RELATIONS})
    UNION ALL SELECT CONCAT_WS(' ', 'p', oid, polname) FROM pg_policy
    UNION ALL SELECT CONCAT_WS(' ', 'e', extname, extversion) FROM pg_extension
    UNION ALL SELECT CONCAT_WS(' ', 'v', oid, ev_action IS NULL) FROM pg_rewrite
    WHERE ev_class IN ({_RELATIONS})
    UNION ALL SELECT CONCAT_WS(' ', 's', setrole, setconfig) FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = CURRENT_DATABASE())
    UNION ALL SELECT CONCAT_WS(' ', 'b', datdba, datacl, datconnlimit) FROM pg_database
    WHERE datname = CURRENT_DATABASE()
) AS found (line)
"""


@dataclass(frozen=True, slots=True)
class _Database:
    """One copy, as it was when it was new.

    Attributes:
        name: Its name.
        schema: A checksum of everything but rows.
        namespaces: Its schemas.
        relations: Oids of its tables, views, sequences and indexes.
        rows: Checksum of each table that had rows.
        sequences: Where they stood.
    """

    name: str
    schema: str
    namespaces: set[str]
    relations: set[int]
    rows: dict[str, str]
    sequences: dict[str, tuple[int, bool]]


_free: dict[tuple[str, str], list[_Database]] = {}


@contextmanager
def own_database(admin_url: str, template: str, prepare: Callable[[str], None] = lambda _url: None) -> Iterator[str]:
    """The URL of a database that nobody else has; of a template of the tests maybe one that was used and emptied.

    `prepare` is called with the URL of a new one.
    """
    base, free = admin_url.rpartition("/")[0], _free.setdefault((admin_url, template), [])
    found = free.pop() if free else None
    name = found.name if found else _create(admin_url, template)
    url = f"{base}/{name}"
    try:
        if found is None:
            prepare(url)
            found = None if template == PLAIN else _look(url, name)
        yield url
    finally:
        if found and _is_emptied(url, found):
            free.append(found)
        else:
            drop(admin_url, name)


def forget_template(admin_url: str, template: str) -> None:
    """Drop its free copies."""
    for found in _free.pop((admin_url, template), ()):
        drop(admin_url, found.name)


def drop(admin_url: str, name: str, tries: int = 20) -> None:
    """Drop a database; FORCE may not end autovacuum, which visits a busy one for a moment."""
    for left in reversed(range(tries)):
        try:
            with psycopg.connect(admin_url, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege:
            if not left:
                raise
            time.sleep(0.5)
        else:
            return


def _create(admin_url: str, template: str) -> str:
    name = f"test_{uuid.uuid4().hex[:12]}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(create)
    return name


def _look(url: str, name: str) -> _Database:
    with psycopg.connect(url) as connection:
        return _Database(
            name,
            _schema(connection),
            _namespaces(connection),
            {oid for (oid,) in connection.execute(_RELATIONS.encode())},
            {table: _content(connection, table) for table in _full(connection)},
            {sequence: _state(connection, sequence) for sequence in _sequences(connection)},
        )


def _is_emptied(url: str, known: _Database) -> bool:
    """Whether the database is as new; what stands in the way of it is no matter: another one is made then."""
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET lock_timeout = '2s'")
            connection.execute(
                "SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity "
                "WHERE datname = CURRENT_DATABASE() AND pid != PG_BACKEND_PID() AND backend_type = 'client backend'"
            )
            _drop_what_came(connection, known)
            if _schema(connection) != known.schema:
                return False
            _empty(connection, known)
            return True
    except psycopg.Error:
        return False


def _drop_what_came(connection: psycopg.Connection[Any], known: _Database) -> None:
    """Schemas, tables, views and sequences that it did not have."""
    for name in _namespaces(connection) - known.namespaces:
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
    kinds = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE"}
    came = connection.execute(
        f"SELECT oid::REGCLASS::TEXT, relkind::TEXT FROM pg_class WHERE relnamespace IN {_OURS} "
        "AND relkind IN ('r', 'p', 'v', 'm', 'S') AND oid::BIGINT != ALL(%s)".encode(),
        [list(known.relations)],
    ).fetchall()
    for name, kind in came:
        connection.execute(f"DROP {kinds[kind]} IF EXISTS {name} CASCADE".encode())


def _empty(connection: psycopg.Connection[Any], known: _Database) -> None:
    """Only tables that have rows; those that had some when it was new have to be as they were."""
    full = _full(connection)
    if {name: _content(connection, name) for name in full if name in known.rows} != known.rows:
        raise psycopg.DataError("rows that were there from the beginning have changed")
    filled = [name for name in full if name not in known.rows]
    with connection.transaction():
        for name in filled:
            connection.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER".encode())
        if filled:
            connection.execute(f"TRUNCATE {', '.join(filled)} CASCADE".encode())
        for name in filled:
            connection.execute(f"ALTER TABLE {name} ENABLE TRIGGER USER".encode())
    for name, state in known.sequences.items():
        if _state(connection, name) != state:
            connection.execute("SELECT SETVAL(%s, %s, %s)", [name, *state])


def _schema(connection: psycopg.Connection[Any]) -> str:
    ((found,),) = connection.execute(_SCHEMA.encode())
    return str(found)


def _namespaces(connection: psycopg.Connection[Any]) -> set[str]:
    return {name for (name,) in connection.execute(f"SELECT nspname FROM pg_namespace WHERE oid IN {_OURS}".encode())}


def _full(connection: psycopg.Connection[Any]) -> list[str]:
    """Tables that have rows."""
    statement = f"SELECT oid::REGCLASS::TEXT FROM pg_class WHERE relkind = 'r' AND relnamespace IN {_OURS}"
    names = [name for (name,) in connection.execute(statement.encode())]
    asked = ", ".join(f"EXISTS (SELECT FROM {name})" for name in names)
    (answers,) = connection.execute(f"SELECT {asked}".encode())
    return [name for name, has_rows in zip(names, answers, strict=True) if has_rows]


def _sequences(connection: psycopg.Connection[Any]) -> list[str]:
    statement = f"SELECT oid::REGCLASS::TEXT FROM pg_class WHERE relkind = 'S' AND relnamespace IN {_OURS}"
    return [name for (name,) in connection.execute(statement.encode())]


def _content(connection: psycopg.Connection[Any], table: str) -> str:
    """A checksum of a table's rows."""
    ((found,),) = connection.execute(
        f"SELECT MD5(STRING_AGG(t::TEXT, '|' ORDER BY t::TEXT)) FROM {table} AS t".encode()
    )
    return str(found)


def _state(connection: psycopg.Connection[Any], sequence: str) -> tuple[int, bool]:
    ((last, is_called),) = connection.execute(f"SELECT last_value, is_called FROM {sequence}".encode())
    return int(last), bool(is_called)
