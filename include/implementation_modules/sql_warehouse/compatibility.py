"""Judges whether the columns of an existing table can take what a pipeline loads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from include.pipeline_framework.core.watching.verdicts import Findings
from include.pipeline_framework.ports.target import ColumnSpec

OWN_TYPES: Mapping[str, str] = {
    "_source_object": "text",
    "_id": "text",
    "_id_hash": "count",
    "_event_at": "timestamp",
    "_lifecycle_id": "count",
    "_fence": "count",
    "_file": "text",
    "doc": "document",
}
"""The framework's own columns of every target table, with the keys of `TypeRules`."""


class PresentColumn(NamedTuple):
    """A column of an existing table: its type as the database spells it; whether a row needs a value for it."""

    type: str
    is_needed: bool


@dataclass(frozen=True, slots=True)
class TypeRules:
    """How one database spells the column types: those of the YAML, and `count` and `document` of the own columns.

    Attributes:
        spelled: The type that a new table gets, by key.
        whole: A pattern of the types that hold every value, by key.
        narrow: A pattern of the types that hold some values only, by key; a key may be left out.
    """

    spelled: Mapping[str, str]
    whole: Mapping[str, str]
    narrow: Mapping[str, str]


def judge_columns(
    columns: Sequence[ColumnSpec], there: Mapping[str, PresentColumn], rules: TypeRules, table: str, found: Findings
) -> None:
    """Compare the columns that a pipeline loads with those of its existing table.

    Args:
        columns: The pipeline's.
        there: The table's, by name as the database has it.
        rules: The database's.
        table: Its name, for remedies.
        found: Takes one verdict for each column that does not fit, or one that all fit.
    """
    wanted = {**OWN_TYPES, **{column.name: column.type for column in columns}}
    present = {name.lower(): (name, column) for name, column in there.items()}
    before = len(found.verdicts)
    for name, key in wanted.items():
        meant = rules.spelled[key]
        if name.lower() not in present:
            said, remedy = f"{table} has no column {name!r}", f"ALTER TABLE {table} ADD COLUMN {name} {meant};"
            if name in OWN_TYPES:
                found.wrong("columns", said, remedy)
            else:
                found.warning("columns", f"{said}: the next run adds it, if it may alter the table", remedy)
            continue
        column = present[name.lower()][1]
        if re.fullmatch(rules.whole[key], column.type):
            continue
        said = f"column {name!r} of {table} is {column.type}, {meant} is meant"
        remedy = f"Make the column {meant}, or give it another type in the pipeline's file (target.columns.{name})."
        if re.fullmatch(rules.narrow.get(key, ""), column.type):
            found.warning("columns", f"{said}: longer or larger values fail their window", remedy)
        else:
            found.wrong("columns", said, remedy)
    loaded = {name.lower() for name in wanted}
    for name, column in there.items():
        if column.is_needed and name.lower() not in loaded:
            found.wrong(
                "columns",
                f"column {name!r} of {table} needs a value, and the pipeline loads none",
                f"ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL; or load it (target.columns).",
            )
    if len(found.verdicts) == before:
        found.ok("columns", f"{table} takes all {len(wanted)} columns")
