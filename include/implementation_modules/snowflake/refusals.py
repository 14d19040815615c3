"""Names what Snowflake refuses: login, role, warehouse, database, schema or right, with the statement that mends it.

The numbers are Snowflake's own: https://docs.snowflake.com/en/developer-guide/python-connector/python-connector-api
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from include.implementation_modules.sql_warehouse.statements import MissingObjectError
from include.pipeline_framework.errors import ConfigurationError

_LOGIN_REFUSED = {390100, 390101, 390102, 390144, 390318, *range(394300, 394307)}  # password, user, key, token
_NETWORK_POLICY = {390420, 390422}
_ROLE_REFUSED = {390186, 390189}  # not granted to the user; does not exist
_OF_CONNECTION = 390201  # database, schema or warehouse of the connection
_NO_WAREHOUSE = 606
_NOT_ALLOWED = {3001, 3041}
_NO_DATABASE, _NO_SCHEMA = 90105, 90106
_MISSING = {2003, 2043}

_NAMED = re.compile(r"(Database|Schema|Warehouse|Role|Integration) '\"?([\w$.\"]+?)\"?' does not exist", re.IGNORECASE)
_EMULATED = re.compile(r"(Schema|Catalog) with name \"?([\w$.]+?)\"? does not exist", re.IGNORECASE)
_PRIVILEGE = re.compile(r"Insufficient privileges to operate on ([\w ]+?) '([^']+)'", re.IGNORECASE)
_NOTHING = "Nothing was changed"
_RIGHTS = {
    "database": "USAGE",
    "schema": "USAGE, CREATE TABLE, CREATE STAGE",
    "warehouse": "USAGE",
    "integration": "USAGE",
    "stage": "USAGE",
    "table": "SELECT, INSERT, UPDATE, DELETE",
}


class Refusal(NamedTuple):
    """What a check of it is called, what is wrong, what it means, and what to do."""

    check: str
    what: str
    meaning: str
    remedy: str


def refusal(error: Any) -> Refusal | None:
    """Return what an error of the connector says of login, role, warehouse, database, schema and rights; else None."""
    number = error.errno or 0
    text = " ".join(str(getattr(error, "raw_msg", None) or getattr(error, "msg", "") or "").split())
    if number in _LOGIN_REFUSED:
        return Refusal(
            "authenticated",
            f"Snowflake answers, and refuses the login (errno {number})",
            f"User, password, key or token of the connection is wrong or has expired. {_NOTHING}",
            "Correct the login of the target's connection.",
        )
    if number in _NETWORK_POLICY:
        return Refusal(
            "authenticated",
            f"Snowflake refuses this machine's address (errno {number})",
            f"A network policy of the account or the user does not list it. {_NOTHING}",
            "Let an administrator add the workers' addresses to the network policy.",
        )
    if number in _ROLE_REFUSED:
        return Refusal(
            "role",
            f"Snowflake does not let the login have the connection's role (errno {number})",
            f"The role does not exist, or was not granted to the user. {_NOTHING}",
            "GRANT ROLE <role> TO USER <user>; or correct `role` in the connection's extra.",
        )
    if number == _OF_CONNECTION:
        return Refusal(
            "warehouse" if "warehouse" in text.lower() else "database",
            f"Snowflake refuses what the connection names: {_short(text)} (errno {number})",
            f"It does not exist, or the role may not use it. {_NOTHING}",
            "GRANT USAGE ON WAREHOUSE, DATABASE and SCHEMA to the role, or correct the connection's extra.",
        )
    if number == _NO_WAREHOUSE:
        return Refusal(
            "warehouse",
            "The session has no warehouse (errno 606)",
            f"The connection names none, or the role may not use it. {_NOTHING}",
            "Name it as `warehouse` in the connection's extra; GRANT USAGE ON WAREHOUSE <warehouse> TO ROLE <role>;",
        )
    if number in (_NO_DATABASE, _NO_SCHEMA):
        kind = "database" if number == _NO_DATABASE else "schema"
        return Refusal(
            kind,
            f"The session has no {kind} (errno {number})",
            f"Neither the pipeline's file nor the connection names one, or the role may not use it. {_NOTHING}",
            "Set `database` and `schema` under target, or in the connection; GRANT USAGE on both to the role.",
        )
    if number in _NOT_ALLOWED:
        return _not_allowed(number, text)
    if number in _MISSING and (named := _NAMED.search(text) or _EMULATED.search(text)):
        kind, name = named[1].lower().replace("catalog", "database"), named[2].replace('"', "")
        rights = _RIGHTS.get(kind, "USAGE")
        return Refusal(
            kind,
            f"The {kind} {name} does not exist, or the role may not see it (errno {number})",
            _NOTHING,
            f"CREATE {kind.upper()} {name}; GRANT {rights} ON {kind.upper()} {name} TO ROLE <role>; "
            f"or correct `{kind}` in the pipeline's file or the connection.",
        )
    return None


def named_error(error: Any, where: str) -> ConfigurationError | None:
    """Return the framework's error for what `refusal` knows; None for any other error."""
    found = refusal(error)
    if found is None:
        return None
    kind = MissingObjectError if error.errno in _MISSING else ConfigurationError
    return kind(found.what, where=where, meaning=found.meaning, remedy=found.remedy)


def _not_allowed(number: int, text: str) -> Refusal:
    found = _PRIVILEGE.search(text)
    kind, name = (found[1].lower(), found[2]) if found else ("", "")
    right, on = _RIGHTS.get(kind, "<privilege>"), f"{kind.upper() or '<object>'} {name or '<name>'}"
    return Refusal(
        "may load",
        f"A privilege is missing: {_short(text)} (errno {number})",
        f"The role may not do what a load needs. {_NOTHING}",
        f"GRANT {right} ON {on} TO ROLE <role>;",
    )


def _short(text: str) -> str:
    return text[:200]
