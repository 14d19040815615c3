"""Snowflake as a target keeps its contract, on the emulator behind the real connector."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from include.implementation_modules.object_storage.stage import ObjectStorageStage
from include.implementation_modules.object_storage.storage import S3Storage
from include.implementation_modules.snowflake.target import SnowflakeTarget
from tests.contract.target_contract import TargetContract
from tests.contract.target_harness import Row, SqlTargetHarness, TargetHarness

pytestmark = pytest.mark.integration


class SnowflakeHarness(SqlTargetHarness):
    """Its stage is on S3, where the emulator reads it."""

    def rows(self) -> list[Row]:
        found = super().rows()
        if found and "v_timestamp" in found[0]:  # fakesnow 0.12.1 sends NULL as 1970
            empty = {row["_id"] for row in self.select(f"SELECT _id FROM {self.table} WHERE v_timestamp IS NULL")}
            found = [row | ({"v_timestamp": None} if row["_id"] in empty else {}) for row in found]
        return found


class TestSnowflakeTarget(TargetContract):
    counts_refused = True

    @pytest.fixture
    def unprepared(self, snowflake_connect: Callable[[], Any], s3_client: Any, s3_bucket: str) -> TargetHarness:
        from snowflake.connector.errors import OperationalError

        name = uuid.uuid4().hex[:8]
        options = ObjectStorageStage.Options(bucket=s3_bucket, prefix=f"target-contract/{name}")
        return SnowflakeHarness(
            SnowflakeTarget,
            snowflake_connect,
            lambda: OperationalError("250003: no answer"),
            ObjectStorageStage(S3Storage(s3_client, s3_bucket), options),
            stage_name="STAGE_" + name,
        )
