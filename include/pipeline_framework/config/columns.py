"""Define the typed columns of a target, as every target's `columns` option writes them: `{name: type}` or a mapping.

An adapter turns them into `ports.ColumnSpec` and decides; this model exists so that a wrong column is reported
with its own path (`target.columns.year.type`) and so that editors know them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=48)]
ColumnType = Literal["text", "integer", "number", "boolean", "timestamp", "date", "json"]
Key = Annotated[str, StringConstraints(min_length=1)]


def _form(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else "type"


class ColumnRule(BaseModel):
    """A column whose value lies elsewhere than at its own name."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: ColumnType
    path: Key | Annotated[list[Key], Field(min_length=1)] | None = Field(
        None, description="Keys from the document's root: text with dots, or a list. Keys may be joined by dots there."
    )
    format: Literal["epoch_second", "epoch_millis"] | None = Field(
        None, description="What a number in a timestamp or date column counts since 1970."
    )


class TargetColumns(BaseModel):
    """The `columns` option."""

    model_config = ConfigDict(extra="forbid", strict=True)

    columns: dict[
        ColumnName,
        Annotated[
            Annotated[ColumnType, Tag("type")] | Annotated[ColumnRule, Tag("mapping")],
            Discriminator(_form),
        ],
    ] = Field(description="Typed columns of the target table: name to type; the whole document is in doc anyway.")
