"""Define what a pipeline's file may say about the derived columns of a window."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from include.pipeline_framework.core.records.derived import DEFAULT_TEMPLATES, check_template

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _rule_kind(value: Any) -> str:
    return "callable" if isinstance(value, dict | BaseModel) else "template"


class CallableRule(BaseModel):
    """A function `(final_config, target_day, window_start_time, window_end_time, time_interval)`."""

    model_config = _STRICT

    callable: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="package.module:function")


DerivedRule = Annotated[
    Annotated[str, AfterValidator(check_template), Tag("template")] | Annotated[CallableRule, Tag("callable")],
    Discriminator(_rule_kind),
]


class DerivedColumns(BaseModel):
    """Ids, categories and keys of a window: each a template of plain fields, or a function."""

    model_config = _STRICT

    key_x: DerivedRule = DEFAULT_TEMPLATES["key_x"]
    key_y: DerivedRule = DEFAULT_TEMPLATES["key_y"]
    key_z: DerivedRule = DEFAULT_TEMPLATES["key_z"]
    source_id: DerivedRule = DEFAULT_TEMPLATES["source_id"]
    stage_id: DerivedRule = DEFAULT_TEMPLATES["stage_id"]
    target_id: DerivedRule = DEFAULT_TEMPLATES["target_id"]
    source_category: DerivedRule = DEFAULT_TEMPLATES["source_category"]
    stage_category: DerivedRule = DEFAULT_TEMPLATES["stage_category"]
    target_category: DerivedRule = DEFAULT_TEMPLATES["target_category"]
