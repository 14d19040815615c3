"""Puts together what looks at a source before its pipeline exists, and what targets accept as its columns."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from include.implementation_modules.registry import INSPECTIONS, adapter_class, create_inspection, options_model
from include.pipeline_framework.config.loader import load_pipeline
from include.pipeline_framework.core.proposing.columns import ColumnRules
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError
from include.wiring import connections

if TYPE_CHECKING:
    from include.pipeline_framework.ports.inspection import SourceInspection

_SYSTEM_COLUMNS = ("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid")
"""Postgres has them in every table, so no column of a target may be called like that, not even in quotes."""


def source_type(connection_id: str) -> str:
    """Return the type of the source behind a connection.

    Raises:
        ConfigurationError: There is no such connection.
        InvalidInputError: No source that can be looked at is behind it.
    """
    found = connections.connection_type(connection_id)
    if found not in INSPECTIONS:
        raise InvalidInputError(
            f"the connection {connection_id!r} has type {found!r}",
            meaning="It is not known how to look at such a source",
            remedy=f"Name a connection of type {' or '.join(sorted(INSPECTIONS))}.",
        )
    return found


def source_inspection(type_name: str, connection_id: str) -> SourceInspection:
    """Return what looks at the sources behind a connection.

    Raises:
        ConfigurationError: The connection is missing, or another system's.
    """
    connect = getattr(adapter_class("source", type_name), "connect", None)
    found: SourceInspection = create_inspection(type_name, connections.client(connection_id, connect=connect))
    return found


def column_rules() -> ColumnRules:
    """Return what every target accepts as typed columns."""
    from include.implementation_modules.sql_warehouse import columns

    reserved = (*columns.OWN_COLUMNS, *_SYSTEM_COLUMNS)
    return ColumnRules(columns.convert, reserved, columns.LONGEST_NAME, columns.LONGEST_PATH)


def table_of(name: str) -> tuple[str, str]:
    """Return schema and table of a table's name."""
    from include.implementation_modules.postgres.inspecting import split_name

    return split_name(name)


def require_valid(pipeline_id: str, text: str, root: Path) -> None:
    """Refuse the text of a pipeline's file that the loader would refuse; it is checked beside a copy of the defaults.

    Raises:
        InvalidInputError: Names the wrong value.
    """
    defaults = root / "include" / "pipelines" / "defaults.yaml"
    with TemporaryDirectory(prefix="new-pipeline-") as folder:
        (Path(folder) / f"{pipeline_id}.yaml").write_text(text, encoding="utf-8")
        if defaults.exists():
            shutil.copy(defaults, folder)
        try:
            load_pipeline(pipeline_id, Path(folder), options_model=options_model, is_alone=True)
        except ConfigurationError as error:
            raise InvalidInputError(
                error.what.replace(f"{folder}/", "a new "),
                meaning="Nothing was written",
                remedy="Give another value for the option that is named.",
            ) from error
