"""Every SQLSTATE that psycopg knows: what kind it is, and that no adapter lets it out as it is."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import psycopg
import pytest
from psycopg import errors

from include.implementation_modules.postgres import read_errors
from include.implementation_modules.postgres.mirror import PostgresMirror
from include.implementation_modules.postgres.target import translated_error
from include.implementation_modules.postgres_ledger import adoption_errors, changed_rows
from include.implementation_modules.postgres_ledger import errors as ledger_errors
from include.implementation_modules.postgres_ledger.adoption_errors import UnreadableError
from include.orders_sync.adapters import postgres_orders
from include.pipeline_framework.errors import (
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
    TerminalError,
    TransientError,
)
from include.postgres_server.errors import Trouble, kind_of, said, trouble_of
from tests.architecture.repository import files, name

STATES = {state: kind for state, kind in errors._sqlcodes.items() if len(state) == 5}
OWN = [
    psycopg.OperationalError("server closed the connection unexpectedly"),
    psycopg.InterfaceError("the connection is closed"),
    psycopg.InternalError("no result"),
    psycopg.DatabaseError("no result"),
    psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"),
    psycopg.ProgrammingError("can't adapt"),
    psycopg.NotSupportedError("pipeline mode"),
    psycopg.errors.ConnectionTimeout("connection timeout expired"),
]
"""The client's own, without a SQLSTATE."""

KINDS = {
    Trouble.UNAVAILABLE: "08000 08006 08P01 25P02 25P03 25P04 40003 55000 55006 57014 57P01 58030 72000 HV00N XX000",
    Trouble.READ_ONLY: "25006",
    Trouble.BUSY: "53000 53100 53200 53300 HV001",
    Trouble.CONFLICT: "40001 40P01 55P03",
    Trouble.BAD_VALUE: "22001 22003 22007 22P02 22P05",
    Trouble.BROKEN_RULE: "23502 23503 23505 23514 23P01 44000",
    Trouble.NOT_THERE: "3D000 3F000 42703 42P01",
    Trouble.NOT_ALLOWED: "0LP01 0P000 28000 28P01 42501",
    Trouble.REFUSED: "0A000 21000 25001 26000 42601 42804 42883 42P05 54000 F0000 HV000 P0001",
}


@pytest.mark.parametrize(("kind", "states"), KINDS.items())
def test_what_each_state_is(kind: Trouble, states: str) -> None:
    assert {state: kind_of(state) for state in states.split()} == dict.fromkeys(states.split(), kind)


def test_the_clients_own_errors_and_those_of_connecting() -> None:
    found = [trouble_of(error) for error in OWN]
    away, bad, refused = Trouble.UNAVAILABLE, Trouble.BAD_VALUE, Trouble.REFUSED
    assert found == [away, away, away, away, bad, refused, refused, away]
    connecting = 'connection failed: connection to server at "h", port 5432 failed: '
    assert trouble_of(psycopg.OperationalError(connecting + "session is read-only")) is Trouble.READ_ONLY
    wrong = psycopg.OperationalError(connecting + 'FATAL:  password authentication failed for user "u"')
    assert (trouble_of(wrong), said(wrong)) == (Trouble.NOT_ALLOWED, "OperationalError (sqlstate 28P01)")
    for words, state in {
        'FATAL:  role "u" does not exist': "28000",
        'FATAL:  no pg_hba.conf entry for host "h", user "u", database "d", no encryption': "28000",
        'FATAL:  permission denied for database "d"': "42501",
        'FATAL:  database "d" does not exist': "3D000",
    }.items():
        assert said(psycopg.OperationalError(connecting + words)) == f"OperationalError (sqlstate {state})"


def test_a_ledger_whose_database_does_not_exist_is_not_one_that_was_not_migrated() -> None:
    error = ledger_errors.ledger_error(psycopg.OperationalError('FATAL:  database "d" does not exist'))
    assert error.what == "the ledger's database does not exist"
    assert "Correct the schema field of lifecycle_postgres" in error.remedy


Translate = Callable[[Exception], Exception]


def by_context(context: Callable[[], AbstractContextManager[None]]) -> Translate:
    def translate(error: Exception) -> Exception:
        try:
            with context():
                raise error
        except (PipelineError, UnreadableError, psycopg.Error) as translated:
            return translated

    return translate


def by_function(function: Callable[[Exception, str], Exception | None]) -> Translate:
    def translate(error: Exception) -> Exception:
        return function(error, "here") or error

    return translate


MIRROR = PostgresMirror(lambda: None, PostgresMirror.Options(table="t"))
USERS: dict[str, Translate] = {
    "the ledger": by_context(ledger_errors.translated),
    "the ledger's changes": by_context(changed_rows._translated),
    "an adoption": by_context(lambda: adoption_errors.translated("t")),
    "a source": by_context(lambda: read_errors.translated("t")),
    "a target": by_function(translated_error),
    "a mirror": by_function(MIRROR._reworded),
    "the orders sync": by_context(lambda: postgres_orders._translated("t")),
}


def all_errors() -> Iterator[psycopg.Error]:
    yield from (kind(state) for state, kind in STATES.items())
    yield from OWN


@pytest.mark.parametrize("user", USERS)
def test_no_error_of_the_client_gets_out(user: str) -> None:
    """Class by class, all 260 and the client's own: one of the framework's, with four parts, of the right branch."""
    assert len(STATES) > 250
    for error in all_errors():
        translated = USERS[user](error)
        if isinstance(translated, UnreadableError):  # an adoption's own, for `PostgresImport.unreadable`
            assert trouble_of(error) is Trouble.BAD_VALUE
            continue
        assert isinstance(translated, PipelineError), (error.sqlstate, error)
        assert translated.what and translated.where and translated.remedy
        trouble = trouble_of(error)
        is_passing = trouble.is_passing and not (user == "a source" and trouble is Trouble.READ_ONLY)
        if user == "an adoption" and isinstance(error, errors.UniqueViolation | errors.ExclusionViolation):
            is_passing = True  # another session planned the same windows
        assert isinstance(translated, TransientError if is_passing else TerminalError), (error.sqlstate, translated)
        if trouble is Trouble.BUSY and user != "an adoption":
            assert isinstance(translated, ServiceBusyError)
        if trouble in (Trouble.UNAVAILABLE, Trouble.READ_ONLY) and is_passing:
            assert isinstance(translated, ServiceUnavailableError)


def test_nobody_judges_an_error_of_psycopg_by_a_list_of_its_own() -> None:
    """A class of psycopg that is caught outside of the table is one that was forgotten there."""
    allowed = {
        # two of one kind, which mean something else while an older table is adopted
        "include/implementation_modules/postgres_ledger/adoption_errors.py": {"ExclusionViolation", "UniqueViolation"},
        # the text of a URL
        "include/implementation_modules/postgres/connecting.py": {"ProgrammingError"},
        # below the adapters; and the migration's own RAISE
        "include/sql/migrations/__init__.py": {"OperationalError", "RaiseException", "ReadOnlySqlTransaction"},
        "include/postgres_server/errors.py": {"DataError", "ProgrammingError", "NotSupportedError"},
        "include/implementation_modules/postgres_ledger/values.py": {"DataError"},
        # a second connection that can't be had is an answer there
        "include/postgres_server/pooler.py": {"OperationalError"},
    }
    found: dict[str, set[str]] = {}
    for path in files(".py", under="include"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("psycopg", "psycopg.errors"):
                kind = getattr(errors, node.attr, None)
                if isinstance(kind, type) and issubclass(kind, psycopg.Error) and kind is not psycopg.Error:
                    found.setdefault(name(path), set()).add(node.attr)
    assert found == allowed
