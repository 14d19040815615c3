"""One pipeline in memory, driven through the functions of `include.framework`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from include import framework
from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.records.planning import planned_row
from include.pipeline_framework.core.records.row import TEMPORARY_RUN_PREFIX, Actor
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks.pipeline import Pipeline
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore
from tests.doubles.memory_target import MemoryTarget
from tests.doubles.memory_transfer import MemorySource, MemoryStage

ZONE = "America/New_York"
DAY = date(2013, 3, 9)
MIDNIGHT = datetime(2013, 3, 9, 5, tzinfo=UTC)  # in New York
NOW = datetime(2013, 3, 11, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)

RUN_1 = Actor("data_pipeline_main", "run-1", "a task", 0, 1)
RUN_2 = Actor("data_pipeline_main", "run-2", "a task", 0, 1)
TEST_RUN = Actor("data_pipeline_main", f"{TEMPORARY_RUN_PREFIX}1", "a task")

SMALL = {
    "timezone": "America/Los_Angeles",
    "x_time_back": "1d2h",
    "granularity": "2h",
    "default_record": {"source_name": "elasticsearch", "target_name": "snowflake"},
}
"""Requirement 2's example."""


def config(**changes: Any) -> PipelineConfig:
    return PipelineConfig.model_validate(
        {
            "pipeline_id": "main",
            "source_object": "flights",
            "timezone": ZONE,
            "granularity": "1h",
            "x_time_back": "1d",
            "start_date": "2013-01-01",
            "end_date": "2014-01-01",
            "source": {"type": "memory"},
            "stage": {"type": "memory"},
            "target": {"type": "memory", "table": "FLIGHTS"},
            **changes,
        }
    )


def document(name: str, at: datetime) -> Document:
    return Document(name, at, b'{"origin": "JFK"}')


@dataclass
class World:
    """One pipeline in memory: three documents in each of the first two hours of the day, and the ledger's clock."""

    now: datetime = NOW
    config: PipelineConfig = field(default_factory=config)

    def __post_init__(self) -> None:
        self.store = MemoryLifecycleStore(lambda: self.now)
        self.source = MemorySource(
            document(f"{hour}-{n}", MIDNIGHT + hour * HOUR + n * timedelta(minutes=10))
            for hour in (0, 1)
            for n in range(3)
        )
        self.stage, self.target = MemoryStage(), MemoryTarget()
        self.pipeline = Pipeline(self.config, self.store, self.source, self.stage, self.target)
        self.configs = {"main": self.config}

    @property
    def final_config(self) -> dict[str, Any]:
        return self.config.final_config()

    def record(self, hour: int = 0, **changes: Any) -> dict[str, Any]:
        """A generated record of one hour, not stored yet."""
        at = MIDNIGHT + hour * HOUR
        record = framework.build_complete_pipeline_record(
            self.final_config, now=NOW, target_day=DAY, continuation_timestamp=at, store=self.store
        )
        assert record is not None
        return record | changes

    def planned(self, hour: int = 0) -> dict[str, Any]:
        """The stored row of one hour."""
        assert framework.upload_record_to_database(self.final_config, self.record(hour), store=self.store, actor=RUN_1)
        return self.row(hour)

    def row(self, hour: int = 0) -> dict[str, Any]:
        rows = self.store.find(source_object="flights")
        return next(row.as_record() for row in rows if row.query_window_start_at == MIDNIGHT + hour * HOUR)

    def call(self, function: Callable[..., Any], record: dict[str, Any], actor: Actor = RUN_1) -> Any:
        return function(self.final_config, record, pipeline=self.pipeline, actor=actor)

    def counts(self, record: dict[str, Any]) -> tuple[int, int]:
        """Rows of the record's window at both ends."""
        counts = (framework.get_source_count, framework.get_target_count)
        source, target = (count(self.final_config, record, pipeline=self.pipeline) for count in counts)
        return source, target

    def update(self, record: dict[str, Any], actor: Actor = RUN_1, state: RunState = RunState.ACTIVE) -> bool:
        return framework.update_record_in_database(
            record, store=self.store, actor=actor, configs=self.configs, run_state=lambda *_: state
        )

    def events(self, hour: int = 0) -> list[str]:
        return [event["event"] for event in self.store.events(self.row(hour)["id"])]

    def replacement(self) -> dict[str, Any]:
        """A planned row of the first hour, as a replacement needs it."""
        return planned_row(self.final_config, TimeWindow(MIDNIGHT, MIDNIGHT + HOUR), deriving)

    def held(self) -> dict[str, Any]:
        """The record of the first hour, held by run 1 after its extract."""
        self.planned(0)
        self.call(framework.transfer_source_to_stage, self.row())
        return framework.get_all_in_progress_records(store=self.store)[0]
