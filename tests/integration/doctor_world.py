"""A pipeline on the stack's servers for the doctor to look at, and what it says of it."""

from __future__ import annotations

from typing import Any

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.watching.verdicts import CheckState, Verdict
from include.wiring.doctor import Doctor
from include.wiring.workspace import Workspace
from tests.unit.tasks.world import config as config_of


def pipeline(name: str, bucket: str, **sections: dict[str, Any]) -> PipelineConfig:
    """The index, the prefix and the table are called `name`; each argument replaces options of a section."""
    own: dict[str, dict[str, Any]] = {
        "source": {"type": "elasticsearch", "connection_id": "source_elasticsearch", "index": name},
        "stage": {"type": "object_storage", "connection_id": "stage_s3", "bucket": bucket, "prefix": name},
        "target": {
            "type": "snowflake",
            "connection_id": "target_snowflake",
            "table": name,
            "columns": {"said": "text", "delay": "integer"},
        },
    }
    return config_of(**{role: {**section, **sections.get(role, {})} for role, section in own.items()})


def visit(config: PipelineConfig) -> list[Verdict]:
    return Doctor(Workspace(configs={config.pipeline_id: config})).pipeline(config)


def shared(**configs: PipelineConfig) -> list[Verdict]:
    with Workspace(configs=configs) as workspace:
        return Doctor(workspace).shared()


def wrong(verdicts: list[Verdict]) -> list[tuple[str, str]]:
    return [(verdict.role, verdict.check) for verdict in verdicts if verdict.state is CheckState.WRONG]


def only_wrong(verdicts: list[Verdict]) -> Verdict:
    (found,) = [verdict for verdict in verdicts if verdict.state is CheckState.WRONG]
    assert found.remedy
    return found


def ledger(verdicts: list[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.role == "ledger"]
