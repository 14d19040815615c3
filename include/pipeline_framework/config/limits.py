"""Define limits that a pipeline's YAML file may set: how much runs at once, may differ, or may be deleted."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class WindowsInProgress(BaseModel):
    """The most windows in progress at once, over all runs; None: no limit."""

    model_config = _STRICT

    pipeline: int | None = Field(default=None, ge=1, description="Windows of this pipeline.")
    source: int | None = Field(default=None, ge=1, description="Windows of all pipelines with the same source_name.")
    target: int | None = Field(
        default=None, ge=1, description="Windows of all pipelines with the same target_name and target_object."
    )


class LateDataTolerance(BaseModel):
    """How far a fresh count of the source may differ from what was loaded; either limit suffices."""

    model_config = _STRICT

    rows: int = Field(default=0, ge=0, description="Rows.")
    percent: float = Field(default=0, ge=0, le=100, description="Percent of the source's count.")


class VanishedData(BaseModel):
    """How many loaded rows may be removed without a person's approval; either limit suffices."""

    model_config = _STRICT

    rows: int = Field(default=0, ge=0, description="Rows: of a day in a revisit, of a window in a load.")
    percent: float = Field(default=1, ge=0, le=100, description="Percent of the rows that were loaded there.")
