"""The object-storage stage keeps its contract in a directory and on a real S3 server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.implementation_modules.object_storage.stage import ObjectStorageStage
from tests.contract.object_storage_place import ObjectStoragePlace
from tests.contract.stage_contract import REQUEST, StageContract, numbered, pages


def stage_on(client: Any, options: Any) -> ObjectStorageStage:
    return ObjectStorageStage(options.storage(lambda: client), options)


class TestDirectoryStage(StageContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> ObjectStoragePlace:
        return ObjectStoragePlace(lambda options: stage_on(None, options), f"{tmp_path.as_uri()}/", path=str(tmp_path))


@pytest.mark.integration
class TestS3Stage(StageContract):
    @pytest.fixture
    def place(self, s3_client: Any, s3_bucket: str) -> ObjectStoragePlace:
        return ObjectStoragePlace(lambda options: stage_on(s3_client, options), f"s3://{s3_bucket}/", bucket=s3_bucket)

    def test_files_are_not_read_again_to_see_that_they_are_unchanged(
        self, place: ObjectStoragePlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = place.stage(file_rows=10)
        manifest = stage.write(REQUEST, pages(numbered(25)))
        monkeypatch.setattr(stage, "open", pytest.fail)
        assert stage.read_manifest(manifest.location) == manifest
