"""The doubles in memory keep the contracts of their ports."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import pytest

from include.implementation_modules.object_storage.stage import ObjectStorageStage
from include.pipeline_framework.errors import ServiceUnavailableError
from include.pipeline_framework.ports.source import Document
from tests.contract.faulty_connections import Faults
from tests.contract.object_storage_place import ObjectStoragePlace
from tests.contract.source_contract import SourceContract
from tests.contract.stage_contract import StageContract
from tests.contract.target_contract import TargetContract
from tests.contract.target_harness import COLUMNS, Row, TargetHarness
from tests.doubles.memory_target import MemoryTarget
from tests.doubles.memory_transfer import MemorySource, MemoryStage


class MemoryTargetHarness(TargetHarness):
    """The table lives in the target itself, so another target has another table."""

    def __init__(self) -> None:
        super().__init__(MemoryStage(), Faults(lambda: ServiceUnavailableError("no answer")))

    def build(self, columns: Any = COLUMNS, table: str | None = None, guard_wait_seconds: float = 20) -> MemoryTarget:
        target = MemoryTarget(options=MemoryTarget.Options(columns=columns))
        target.before_commit, target.after_commit = self.faults.before_commit, self.faults.after_commit
        return target

    def rows(self) -> list[Row]:
        return self.target.rows

    def remove_row(self, row_id: str) -> None:
        kept = tuple(row for row in self.target._state.rows if row["_id"] != row_id)
        self.target._state = dataclasses.replace(self.target._state, rows=kept)


class TestMemoryTarget(TargetContract):
    exempt: ClassVar = {
        "test_a_lost_answer_to_commit_is_a_success_when_the_receipt_is_there": "nothing lies between it and its caller",
        "test_a_lost_answer_to_commit_is_decided_by_the_receipts": "nothing lies between it and its caller",
        "test_a_persons_query_reads_what_is_loaded": "it has no SQL",
        "test_a_column_that_the_file_gets_later_is_added_to_the_table": "every target of other options is a new one",
        "test_a_guard_row_that_stays_locked_is_a_conflict": "its lock is waited for without a limit",
    }

    @pytest.fixture
    def unprepared(self) -> TargetHarness:
        return MemoryTargetHarness()


class MemorySystem:
    def __init__(self) -> None:
        self.source = MemorySource(options=MemorySource.Options(page_size=7))

    def put(self, documents: Mapping[str, datetime | None]) -> None:
        for key, at in documents.items():
            if at is None:
                self.source.undated.add(key)
            else:
                self.source.add(Document(key, at, json.dumps({"name": key}).encode()))

    def remove(self, *ids: str) -> None:
        for key in ids:
            del self.source.documents[key]

    def open_views(self) -> int:
        return 0


class TestMemorySource(SourceContract):
    @pytest.fixture
    def system(self) -> MemorySystem:
        return MemorySystem()


class TestMemoryStage(StageContract):
    @pytest.fixture
    def place(self) -> ObjectStoragePlace:
        objects: dict[str, bytes] = {}

        def build(options: ObjectStorageStage.Options) -> MemoryStage:
            stage = MemoryStage(options)
            stage.storage.objects = objects
            return stage

        return ObjectStoragePlace(build, "memory:///", bucket="memory")


@pytest.mark.parametrize("exempt", [{"test_that_is_not_there": "reason"}, {"test_an_older_fence_is_refused": ""}])
def test_an_exemption_names_a_case_of_the_contract_and_a_reason(exempt: dict[str, str]) -> None:
    with pytest.raises(TypeError, match=next(iter(exempt))):
        type("TestOther", (TargetContract,), {"exempt": exempt})
