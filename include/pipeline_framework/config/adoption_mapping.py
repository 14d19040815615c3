"""Read the mapping file of `ledger adopt`: it maps columns of a team's older state table to the ledger's columns.

::

    source_object: {column: feed}      # or {value: orders}; not needed where their column has the ledger's name
    timezone: America/New_York         # of the local days; not needed where a pipeline file has the source
    granularity: 1h
    end: inclusive                     # theirs is the last moment of a window (23:59:59, ….999, a day's own date)
    naive_timezone: UTC                # in which times without an offset are meant
    columns:                           # ledger column: theirs, or {value: …}; ledger-named columns need no line
      id: batch_id
      query_window_start_at: window_from
      query_window_end_at: window_to
      pipeline_final_status: state
    statuses: {done: COMPLETED, queued: PENDING}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from include.pipeline_framework.config.problems import Problem, problems_of
from include.pipeline_framework.config.yaml_file import read_yaml
from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.core.time.days import zone
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.errors import ConfigurationError

NULL_STATUS = "NULL"
"""Key of `statuses` that means rows without a status."""

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


def _timezone(name: str) -> str:
    zone(name)
    return name


def _granularity(text: str) -> str:
    if parse_granularity(text).total_seconds > 86_400:
        raise ValueError("a window never crosses a day, so the granularity is at most 1d")
    return text


def _status(value: Any) -> Any:
    known = [status.value for status in Status]
    if isinstance(value, str) and value.strip().upper() in known:
        return value.strip().upper()
    raise ValueError(f"it must be one of {', '.join(known)}")


def _given(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class Given(BaseModel):
    """The origin of a value: a column of the older table, or the mapping itself."""

    model_config = _STRICT

    column: Annotated[str, Field(min_length=1)] | None = Field(None, description="Name of their column.")
    value: Annotated[str, Field(min_length=1)] | None = Field(None, description="The same for every row.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Given:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either column (the name of theirs) or value")
        return self


AnyGiven = Annotated[Given, BeforeValidator(_given)]
Zone = Annotated[str, AfterValidator(_timezone)]


class AdoptionMapping(BaseModel):
    """A checked mapping file; whether the older table has the columns is checked when it is read."""

    model_config = _STRICT

    source_object: AnyGiven | None = Field(None, description="The ledger's key of a row.")
    timezone: Zone | None = Field(None, description="IANA name; local days of the rows.")
    naive_timezone: Zone = Field("UTC", description="IANA name; of times that have no offset.")
    granularity: Annotated[str, AfterValidator(_granularity)] | None = Field(
        None, description="Length of a window where the rows of a source don't tell."
    )
    end: Literal["exclusive", "inclusive"] | None = Field(
        None,
        description="Whether their windows end before query_window_end_at (the default), or with that microsecond, "
        "millisecond, second, minute or day, as fine as it is written.",
    )
    columns: dict[str, AnyGiven] = Field(default_factory=dict, description="Ledger column: their column.")
    statuses: dict[str, Annotated[str, BeforeValidator(_status)]] = Field(
        default_factory=dict, description=f"Their status: the ledger's. {NULL_STATUS}: rows without one."
    )

    @model_validator(mode="after")
    def _one_source(self) -> AdoptionMapping:
        if self.source_object and "source_object" in self.columns:
            raise ValueError("source_object is given twice, beside columns and in it; keep one")
        return self

    @property
    def given(self) -> dict[str, Given]:
        """Return for each ledger column, `source_object` included, where its value comes from."""
        return {**self.columns, **({"source_object": self.source_object} if self.source_object else {})}


def read_mapping(path: Path | None) -> AdoptionMapping:
    """Read a mapping file; without one, every column has the ledger's name.

    Raises:
        ConfigurationError: The message has all problems of the file, each with its line.
    """
    if path is None:
        return AdoptionMapping.model_validate({})
    read = read_yaml(path)
    problems = list(read.problems)
    if not problems:
        try:
            return AdoptionMapping.model_validate(read.data)
        except ValidationError as error:
            problems = [
                Problem(str(path), key, read.lines.get(key), value=value, message=message.removeprefix("Value error, "))
                for key, value, message in problems_of(error, AdoptionMapping, read.data)
            ]
    lines = [str(problem).replace("; give it here or in defaults.yaml", "") for problem in problems]
    raise ConfigurationError(
        lines[0] if len(lines) == 1 else "\n".join([f"{len(lines)} problems:", *(f"  - {line}" for line in lines)]),
        where="--mapping",
        meaning="Nothing was read or written",
        remedy="Correct the file; docs/operations.md, Adopting an existing state table, shows every key.",
    )
