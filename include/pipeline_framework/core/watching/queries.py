"""A query that a person writes: one statement that reads, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from include.pipeline_framework.errors import InvalidInputError

_READS = ("select", "with", "values", "table", "show", "describe", "desc", "explain")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_TEXT = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$\$.*?\$\$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a query.

    Attributes:
        columns: Names, each once: a repeated one gets a number.
        rows: At most as many as were wanted.
        has_more: There are more rows than that.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    has_more: bool

    @classmethod
    def of(cls, columns: Sequence[str], rows: Sequence[Sequence[Any]], limit: int) -> Answer:
        """Make it of up to `limit + 1` rows.

        >>> Answer.of(["n", "n"], [(1, 2), (3, 4)], 1)
        Answer(columns=('n', 'n_2'), rows=((1, 2),), has_more=True)
        """
        seen: dict[str, int] = {}
        names = []
        for column in columns:
            seen[column] = seen.get(column, 0) + 1
            names.append(column if seen[column] == 1 else f"{column}_{seen[column]}")
        return cls(tuple(names), tuple(tuple(row) for row in rows[:limit]), len(rows) > limit)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the rows by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def one_query(text: str) -> str:
    """Return the statement without what follows it; it keeps slips apart from queries, and is no protection.

    >>> one_query("select 1 ; ")
    'select 1'

    Raises:
        InvalidInputError: It is none that reads, or more than one.
    """
    statement = text.strip()
    while statement.endswith(";"):
        statement = statement[:-1].rstrip()
    bare = _COMMENT.sub(" ", _TEXT.sub("''", statement)).strip(" \t\r\n(")
    word = re.match(r"[A-Za-z]*", bare)
    if not word or word[0].lower() not in _READS:
        raise InvalidInputError(
            f"it begins with {bare.split(maxsplit=1)[0] if bare.split() else 'nothing'!r}",
            where="sql",
            meaning="Only queries are run here; nothing was done",
            remedy=f"Begin with one of {', '.join(_READS)}. To change data, use the system's own client.",
        )
    if ";" in bare:
        raise InvalidInputError(
            "these are several statements", where="sql", meaning="Nothing was done", remedy="Run one at a time."
        )
    return statement
