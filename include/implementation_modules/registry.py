"""Maps names of adapters, as pipeline files use them, to classes; a class is imported at its first use.

An adapter is a class with a constructor (or class method `from_client`) that takes `(client, options)`, and a pydantic
model `Options` as class attribute. Its static method `connect(connection)` makes its client from Airflow's connection,
of whatever type; without one, the connection's type decides (`CONNECTS`). Its static method `check(client, options,
look)`, if it has one, is what `doctor` asks. Besides the names below, a pipeline may name
any class by its dotted path, `package.module:Class`, so a new system needs no change here (`docs/adding-a-target.md`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from include.pipeline_framework.errors import ConfigurationError

if TYPE_CHECKING:
    from include.pipeline_framework.ports.checking import Check

_HERE = "include.implementation_modules"

ADAPTERS: Mapping[str, Mapping[str, str]] = {
    "source": {
        "elasticsearch": f"{_HERE}.elasticsearch.source:ElasticsearchSource",
        "postgres": f"{_HERE}.postgres.source:PostgresSource",
    },
    "stage": {"object_storage": f"{_HERE}.object_storage.stage:ObjectStorageStage"},
    "target": {
        "snowflake": f"{_HERE}.snowflake.target:SnowflakeTarget",
        "postgres": f"{_HERE}.postgres.target:PostgresTarget",
    },
}
"""Dotted paths of adapters by role and name."""

MIRRORS: Mapping[str, str] = {
    "snowflake": f"{_HERE}.snowflake.mirror:SnowflakeMirror",
    "postgres": f"{_HERE}.postgres.mirror:PostgresMirror",
}
"""Dotted paths of the ledger's mirrors by type of the target beside whose tables they are."""

INSPECTIONS: Mapping[str, str] = {
    "elasticsearch": f"{_HERE}.elasticsearch.inspecting:ElasticsearchInspection",
    "postgres": f"{_HERE}.postgres.inspecting:PostgresInspection",
}
"""Dotted paths of what looks at a source before its pipeline exists, by the source's type."""

CHECKS: Mapping[str, Mapping[str, str]] = {
    "source": {
        "elasticsearch": f"{_HERE}.elasticsearch.checking:check",
        "postgres": f"{_HERE}.postgres.checking:check_source",
    },
    "stage": {"object_storage": f"{_HERE}.object_storage.checking:check"},
    "target": {
        "snowflake": f"{_HERE}.snowflake.checking:check",
        "postgres": f"{_HERE}.postgres.checking:check_target",
    },
}
"""Dotted paths of what checks a system before any window is claimed, by role and name; see `ports.checking.Check`."""

CONNECTS: Mapping[str, str] = {
    "aws": f"{_HERE}.object_storage.connecting:connect",
    "elasticsearch": f"{_HERE}.elasticsearch.connecting:connect",
    "postgres": f"{_HERE}.postgres.connecting:connect",
    "snowflake": f"{_HERE}.snowflake.connecting:connect",
}
"""Dotted paths of what makes a client, by the connection's type: for an adapter that has no `connect` of its own."""

_WRITING = {**CONNECTS, "postgres": f"{_HERE}.postgres.connecting:connect_to_primary"}

_DOTTED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)


@lru_cache(maxsize=256)
def adapter_class(role: str, type_name: str) -> type[Any]:
    """Return the class that plays a role under a registered name or a dotted path.

    Raises:
        ConfigurationError: Unknown name, or the class can't be imported (the import's own error is the cause).
    """
    known = ADAPTERS[role]
    reference = known.get(type_name, type_name)
    if not _DOTTED.fullmatch(reference):
        close = difflib.get_close_matches(type_name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"allowed: {', '.join(sorted(known))}"
        raise ConfigurationError(f"{type_name!r} is no {role}; {hint}", remedy="Or write package.module:Class.")
    module, _, name = reference.partition(":")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:
        raise ConfigurationError(
            f"{reference!r} can't be imported: {type(error).__name__}: {error}",
            remedy="It must be importable from the repository's root.",
        ) from error
    if not isinstance(found, type):
        raise ConfigurationError(f"{reference!r} is not a class", remedy="Name the adapter's class.")
    return found


def known_connect(conn_type: str, *, writes: bool) -> Callable[[Any], Any] | None:
    """Return what makes a client from a connection of a type; None if the type is unknown here.

    Args:
        conn_type: Airflow's.
        writes: The client is for a target.
    """
    reference = (_WRITING if writes else CONNECTS).get(conn_type)
    if reference is None:
        return None
    found: Callable[[Any], Any] = _imported(reference)
    return found


def known_check(role: str, type_name: str) -> Check | None:
    """Return what checks the system of an adapter: a class of somebody else's may have it as its attribute `check`.

    None: it has none.
    """
    reference = CHECKS[role].get(type_name)
    found: Check | None = _imported(reference) if reference else getattr(adapter_class(role, type_name), "check", None)
    return found


def options_model(role: str, type_name: str) -> type[BaseModel]:
    """Return the model of an adapter's options, with which the loader checks a section.

    Raises:
        ConfigurationError: As `adapter_class`, or the class has no `Options`.
    """
    model = getattr(adapter_class(role, type_name), "Options", None)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise ConfigurationError(
            f"{type_name!r} has no pydantic model as its attribute Options", remedy="Give the adapter class one."
        )
    return model


def registered_options() -> dict[str, dict[str, type[BaseModel]]]:
    """Return the options model of every registered adapter by role and name, for the JSON schema."""
    return {role: {name: options_model(role, name) for name in names} for role, names in ADAPTERS.items()}


def create_adapter(role: str, type_name: str, client: Any, options: Mapping[str, Any]) -> Any:
    """Return a ready adapter around a ready client.

    Args:
        role: `source`, `stage` or `target`.
        type_name: The section's `type`.
        client: A client of the adapter's own library, or None where it needs none.
        options: The section's options, placeholders resolved.

    Raises:
        ConfigurationError: As `options_model`, or an option is wrong.
    """
    checked = checked_options(role, type_name, options)
    adapter = adapter_class(role, type_name)
    return getattr(adapter, "from_client", adapter)(client, checked)


def checked_options(role: str, type_name: str, options: Mapping[str, Any]) -> BaseModel:
    """Return the options of a section as the adapter's own model; arguments and errors as of `create_adapter`."""
    try:
        return options_model(role, type_name).model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in (role, *first["loc"]))
        raise ConfigurationError(
            f"{place}: {first['msg']}", remedy="Validate the pipeline's YAML file; it names every wrong option."
        ) from error


def create_mirror(type_name: str, client: Any, options: Mapping[str, Any]) -> Any:
    """Return the mirror of the ledger beside the tables of such a target, around a ready client.

    Args:
        type_name: The target section's `type`; one of `MIRRORS`.
        client: As the target's.
        options: The target section's options, placeholders resolved and checked.
    """
    mirror = _imported(MIRRORS[type_name])
    return mirror(client, mirror.Options.model_validate(dict(options)))


def create_inspection(type_name: str, client: Any) -> Any:
    """Return what looks at a source of a type, one of `INSPECTIONS`, through a ready client."""
    return _imported(INSPECTIONS[type_name])(client)


def _imported(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
