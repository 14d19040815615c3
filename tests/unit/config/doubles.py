"""Adapters that exist only as options, and a directory of pipeline files built from text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from include.pipeline_framework.errors import ConfigurationError


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    index: str = Field(default="", max_length=50)
    table: str = ""
    page_size: int = Field(default=1_000, ge=1)
    prefix: str = Field(default="p", pattern=r"^[a-z/]+$")
    columns: dict[str, Any] = Field(default_factory=dict)


class Lenient(BaseModel):
    size: int = 0


class Adapter:
    Options = Options

    def __init__(self, client: Any, options: Options) -> None:
        self.client, self.options = client, options


class WithoutOptions:
    pass


NOT_A_CLASS = 1


def own_function(
    final_config: Any, target_day: Any, window_start_time: Any, window_end_time: Any, interval: Any
) -> Any:
    return f"{final_config['timezone']} {target_day} {window_start_time} {window_end_time} {interval}"


def list_function(*_arguments: Any) -> Any:
    return ["a", "list"]


def nul_function(*_arguments: Any) -> Any:
    return "a\0b"


def options_model(role: str, type_name: str) -> type[BaseModel]:
    known = {"memory": Options, "lenient": Lenient}
    if type_name not in known:
        raise ConfigurationError(f"{type_name!r} is no {role}; allowed: memory")
    return known[type_name]


def good(**changes: Any) -> dict[str, Any]:
    """A valid pipeline; a change to None takes the key out, a dotted key changes one inside."""
    data: dict[str, Any] = {
        "source_object": "events",
        "granularity": "1h",
        "x_time_back": "1d",
        "start_date": "2013-01-01",
        "source": {"type": "memory", "index": "events"},
        "stage": {"type": "memory"},
        "target": {"type": "memory", "table": "EVENTS", "columns": {"year": "integer"}},
    }
    for name, value in changes.items():
        if value is None:
            data.pop(name)
        elif isinstance(value, dict) and isinstance(data.get(name), dict):
            data[name] = {**data[name], **value}
        else:
            data[name] = value
    return data


def write(directory: Path, name: str, data: dict[str, Any] | str) -> Path:
    path = directory / f"{name}.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path
