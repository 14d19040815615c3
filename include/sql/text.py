"""Statement texts: the files of this folder, and fragments that are safe to put into them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NewType

from include.sql import statement

SqlFragment = NewType("SqlFragment", str)
"""SQL text that is safe to put into a statement: a quoted identifier, or text built of such and constants."""

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def fill(statement: str, fragments: Mapping[str, SqlFragment]) -> str:
    """Replace every `{placeholder}` of a statement; only fragments are inserted, the driver binds the values.

    >>> fill("DELETE FROM {target} WHERE _id = %(id)s", {"target": SqlFragment('"FLIGHTS"')})
    'DELETE FROM "FLIGHTS" WHERE _id = %(id)s'
    """
    return _PLACEHOLDER.sub(lambda match: fragments[match[1]], statement)


def quoted(*names: str) -> SqlFragment:
    """Return a dotted, quoted identifier; the caller has folded the names to the database's case.

    >>> quoted("PUBLIC", "FLIGHTS")
    '"PUBLIC"."FLIGHTS"'
    """
    return SqlFragment(".".join(f'"{checked_name_of_object(name)}"' for name in names))


def checked_name_of_object(name: str) -> str:
    """Return the name if it is an identifier, of any length: derived names are longer than configured ones."""
    if not IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} is no identifier")
    return name


def listed(items: Iterable[str]) -> SqlFragment:
    """Return the items with a comma before each: lists of typed columns always follow the framework's own columns."""
    return SqlFragment("".join(f",\n    {item}" for item in items))


@cache
def sql_text(name: str) -> str:
    """Return a statement, or a part of one, without its comment lines, so that parts can be put into others."""
    return "\n".join(line for line in statement(name).splitlines() if not line.lstrip().startswith("--")).strip()
