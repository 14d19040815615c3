"""What a database spells its own way: the words of the shared statements, and the form of bound values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from include.sql.text import SqlFragment, fill, sql_text

INSTANTS = ("start", "end", "now", "replaced_start", "replaced_end", "mirrored_at")
"""Bound instants. A statement says `{start}` for the expression that makes the database's own value of it."""

LISTS = ("replaced", "pipelines")
"""Bound lists. A statement says `column {in_replaced}`."""

_PARAMETER = re.compile(r"%\((\w+)\)s")


def numbered(sql: str, number: int) -> str:
    """Return a statement with a number behind each parameter's name, so that several copies can stand in one.

    >>> numbered("SELECT %(start)s", 2)
    'SELECT %(start_2)s'
    """
    return _PARAMETER.sub(rf"%(\1_{number})s", sql)


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Dialect:
    """The statements of one database: its own, and those that it shares with others.

    Attributes:
        folders: Folders of statements, below `include/sql` or absolute: its own, then those that others use, too. The
            first that has a file of the statement's name gives its text.
        clock: Expression for the present instant; it goes on inside of a transaction.
        begin: Statement that opens a transaction. A statement after the one that takes the guard row must see what was
            committed before that.
        begin_query: Statement that opens a transaction for a person's query, which can't write where the database knows
            such a thing.
        instant: Expression that makes a value for an instant's column of the bound `{value}`.
        among: Condition, after a column's name, that it is in the bound list `{value}`.
        hash_sum: Exact sum of the column `_id_hash` (60 bits each, many rows), a whole number or its digits as text.
        bound: Returns a value in the form in which the driver binds it; it gets instants as aware `datetime`, lists,
            text, and whole numbers of up to 38 digits.
        parameter: How the driver spells the parameter `{name}`. Statement files always say `%(name)s`.
    """

    folders: tuple[str, ...]
    clock: str
    begin: str = "BEGIN"
    begin_query: str = "BEGIN"
    instant: str = "{value}"
    among: str = "IN ({value})"
    hash_sum: str = "SUM(_id_hash)"
    bound: Callable[[Any], Any] = _as_it_is
    parameter: str = "%({name})s"

    def text(self, name: str, fragments: Mapping[str, SqlFragment]) -> str:
        """Return a statement's text with its identifiers and this dialect's words.

        Raises:
            FileNotFoundError: No folder has it.
        """
        return fill(self._raw(name), {**self._words, **fragments})

    def spelled(self, sql: str) -> str:
        """Return a statement with its parameters as the driver spells them."""
        return _PARAMETER.sub(lambda match: self.parameter.replace("{name}", match[1]), sql)

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a statement's parameters as the driver binds them."""
        return {name: self.bound(value) for name, value in values.items()}

    def _raw(self, name: str) -> str:
        *before, last = self.folders
        for folder in before:
            with suppress(FileNotFoundError):
                return sql_text(f"{folder}/{name}")
        return sql_text(f"{last}/{name}")

    @cached_property
    def _words(self) -> dict[str, SqlFragment]:
        instants = {name: self.instant.replace("{value}", f"%({name})s") for name in INSTANTS}
        lists = {f"in_{name}": self.among.replace("{value}", f"%({name})s") for name in LISTS}
        words = {"clock": self.clock, "hash_sum": self.hash_sum, **instants, **lists}
        return {name: SqlFragment(word) for name, word in words.items()}
