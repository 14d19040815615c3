"""Reads columns of a team's older table as expressions of the ledger's types; names are quoted, values are bound."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from include.pipeline_framework.config.adoption_mapping import AdoptionMapping, Given
from include.pipeline_framework.errors import InvalidInputError
from include.sql.text import SqlFragment, fill, sql_text

COMPUTED = frozenset({"target_day", "time_interval", "source_query_window_duration_minutes"})
"""Columns that follow from the window and its time zone; the older table's values are not read."""

NOT_THEIRS = frozenset(
    {
        "fence", "heartbeat_at", "pipeline_locked_at", "not_before_at", "replaced_by_id", "is_replacement_run_flag",
        "target_deletion_done_flag", "stage_location",
    }
)  # fmt: skip
"""Columns with a meaning only where they were written: fences, leases, ids of other rows, another stage's files."""

REQUIRED = ("source_object", "query_window_start_at", "query_window_end_at")
_TIMES = ("timestamp with time zone", "timestamp without time zone", "date")
_HAS_OFFSET = ":[0-9.]+ *[a-z+-]"
"""Matches a time of day that is followed by something."""

_STEP = """CASE
        WHEN MOD(EXTRACT(MICROSECONDS FROM {end})::bigint, 1000) != 0 THEN '1 microsecond'::interval
        WHEN MOD(EXTRACT(MICROSECONDS FROM {end})::bigint, 1000000) != 0 THEN '1 millisecond'::interval
        WHEN EXTRACT(SECOND FROM {end}) != 0 THEN '1 second'::interval
        WHEN EXTRACT(MINUTE FROM {end}) = 59 THEN '1 minute'::interval
        ELSE '0'::interval
    END"""
"""The step from an inclusive end to the exclusive one; an end on a full minute is already exclusive, in every table."""

_IS_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

_TEXTS = ("text", "character varying", "character", "name", "citext")
_NUMBERS = ("numeric", "double precision", "real", "integer", "bigint", "smallint")


@dataclass(slots=True)
class Expressions:
    """The expressions that read the older table.

    Attributes:
        by_column: Ledger column → expression of the ledger's type over `theirs`.
        texts: Ledger column → the plain text column of the older table that it is cast from.
        local: Bound of a window → condition that a row's value has no offset, and so is a local time.
        is_end_inclusive: Their windows include the moment that their end names.
        parameters: Values that the expressions bind.
        notes: Notes for people.
    """

    by_column: dict[str, SqlFragment] = field(default_factory=dict)
    texts: dict[str, tuple[SqlFragment, str]] = field(default_factory=dict)
    local: dict[str, SqlFragment] = field(default_factory=dict)
    is_end_inclusive: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def get(self, column: str, otherwise: str = "NULL::text") -> SqlFragment:
        """Return the expression of a column, or a constant if the table has nothing for it."""
        return self.by_column.get(column, SqlFragment(otherwise))

    @property
    def adopted(self) -> list[str]:
        """Return the ledger columns that are copied unchanged."""
        return [name for name in self.by_column if name not in (*REQUIRED, "id", "timezone", "pipeline_final_status")]

    def selected(self) -> SqlFragment:
        """Return `expression AS "column"` of the copied columns, each with a comma before it."""
        return SqlFragment("".join(f",\n        {self.by_column[name]} AS {identifier(name)}" for name in self.adopted))

    def rows(self, table: SqlFragment) -> dict[str, SqlFragment]:
        """Return the fragments that read rows and the bounds of their windows, local times in the session's zone."""
        source, start, end = (self.get(column) for column in REQUIRED)
        step = SqlFragment(_STEP.replace("{end}", end) if self.is_end_inclusive else "'0'::interval")
        given = {"their_source": source, "their_start": start, "their_end": end, "said_end": end}
        if not self.local:
            exclusive = SqlFragment(f"({end} + {step})") if self.is_end_inclusive else end
            return {**given, "their_end": exclusive, "their_rows": table}
        read_start, read_end = identifier("read_window_start"), identifier("read_window_end")
        text = fill(
            sql_text("adoption/local_times"),
            {
                **given,
                "their_table": table,
                "to_exclusive": step,
                "their_id": self.get("id"),
                "start_is_local": self.local.get(REQUIRED[1], SqlFragment("FALSE")),
                "end_is_local": self.local.get(REQUIRED[2], SqlFragment("FALSE")),
                "read_start": read_start,
                "read_end": read_end,
            },
        )
        return {
            "their_source": source,
            "said_end": end,
            "their_start": SqlFragment(f"theirs.{read_start}"),
            "their_end": SqlFragment(f"theirs.{read_end}"),
            "their_rows": SqlFragment(f"(\n{text}\n)"),
        }

    def names(self) -> SqlFragment:
        """Return the copied columns' names, each with a comma before it."""
        return SqlFragment("".join(f", {identifier(name)}" for name in self.adopted))


def identifier(*names: str) -> SqlFragment:
    """Return a quoted, dotted name of any characters, ready for a statement that has parameters."""
    return SqlFragment(sql.Identifier(*names).as_string(None).replace("%", "%%"))


def choose(mapping: AdoptionMapping, theirs: Mapping[str, str], ledger: Mapping[str, str], table: str) -> Expressions:
    """Return the expressions of a mapping over a table.

    Args:
        mapping: As written.
        theirs: Columns of the older table → type, without length.
        ledger: Columns of `pipeline_lifecycle` → type.
        table: For messages.

    Raises:
        InvalidInputError: A column is unknown on either side, required but missing, or of a type that can't become
            the ledger's.
    """
    unknown = sorted(set(mapping.given) - set(ledger))
    if unknown:
        raise InvalidInputError(
            f"the ledger has no column {_hints(unknown, ledger)}",
            where="--mapping, columns",
            meaning="Nothing was read or written",
            remedy="The left side of columns is a column of docs/ledger.md, the right side one of theirs.",
        )
    found = Expressions(is_end_inclusive=mapping.end == "inclusive")
    ignored: list[str] = []
    absent: list[str] = []
    for column, kind in ledger.items():
        given = mapping.given.get(column) or (Given(column=column, value=None) if column in theirs else None)
        if given is None:
            continue
        if column in COMPUTED or column in NOT_THEIRS:
            ignored.append(column)
        elif given.value is not None:
            found.parameters[f"value_{column}"] = given.value
            found.by_column[column] = SqlFragment(f"%(value_{column})s::{kind}")
        elif (name := _find(given.column or "", theirs)) is None:
            absent.append(str(given.column))
        else:
            found.by_column[column] = _cast(column, kind, name, theirs[name], table, found)
    if absent:
        raise InvalidInputError(
            f"there is no column {_hints(sorted(absent), theirs)}",
            where=table,
            meaning="The mapping names it; nothing was read or written",
            remedy=f"Correct the mapping. The table has {', '.join(sorted(theirs))}.",
        )
    missing = [column for column in REQUIRED if column not in found.by_column]
    if missing:
        raise InvalidInputError(
            f"nothing says what is {', '.join(missing)}",
            where=table,
            meaning="A row of the ledger is a window of a source; nothing was read or written",
            remedy=f"Name their columns in the mapping. The table has {', '.join(sorted(theirs))}.",
        )
    if ignored:
        found.notes.append(f"not read, because the ledger computes or owns them: {', '.join(sorted(ignored))}")
    return found


def _cast(column: str, kind: str, name: str, their_kind: str, table: str, found: Expressions) -> SqlFragment:
    quoted = f"theirs.{identifier(name)}"
    is_text = their_kind in _TEXTS
    text = f"NULLIF(BTRIM({quoted}::text), '')"
    if is_text:
        found.texts[column] = (SqlFragment(text), kind)
    if kind == "text" or column == "id":
        return SqlFragment(text)
    if kind.startswith("timestamp"):
        if not (is_text or their_kind in _TIMES):
            raise InvalidInputError(
                f"the column {name} is {their_kind}, which is no time",
                where=f"{table}, {column}",
                meaning="Nothing was read or written",
                remedy="Give it as text or a timestamp; epoch numbers through a view with TO_TIMESTAMP(…).",
            )
        instant = f"({text if is_text else quoted})::timestamptz"
        if column == REQUIRED[2] and found.is_end_inclusive:  # a date is a whole day
            if their_kind == "date":
                instant = f"({quoted} + 1)::timestamptz"
            elif is_text:
                instant = f"CASE WHEN {text} ~ '{_IS_DATE}' THEN ({text}::date + 1)::timestamptz ELSE {instant} END"
        if column in REQUIRED:
            if is_text:
                found.local[column] = SqlFragment(f"{text} !~* '{_HAS_OFFSET}'")
            elif their_kind != _TIMES[0]:
                found.local[column] = SqlFragment("TRUE")
            return SqlFragment(instant)
        # Infinity, past or future, and years that no client can hold mean that no value is known.
        return SqlFragment(f"CASE WHEN {instant} BETWEEN '1900-01-01' AND '2200-01-01' THEN {instant} END")
    if their_kind in _NUMBERS and kind in _NUMBERS:
        return SqlFragment(f"{quoted}::{kind}")
    return SqlFragment(f"({text})::{kind}")


def _find(name: str, theirs: Mapping[str, str]) -> str | None:
    """Return the column of that name; one that differs in case only if there is just one."""
    if name in theirs:
        return name
    alike = [column for column in theirs if column.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _hints(names: Sequence[str], known: Mapping[str, str]) -> str:
    def hint(name: str) -> str:
        close = difflib.get_close_matches(name, known, n=1)
        return f"{name!r} (did you mean {close[0]}?)" if close else repr(name)

    return ", ".join(hint(name) for name in names)
