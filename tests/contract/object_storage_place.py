"""A place for `StageContract`, of whatever storage the object-storage stage uses."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from include.implementation_modules.object_storage.stage import ObjectStorageStage


class ObjectStoragePlace:
    """See `StagePlace`.

    Args:
        build: Returns a stage of such options; all stages are on one storage.
        address: The storage's address, ending with `/`.
        place: Options that name the storage.
    """

    def __init__(self, build: Callable[[Any], ObjectStorageStage], address: str, **place: Any) -> None:
        prefix = f"contract/{uuid.uuid4().hex}"
        self.root = f"{address}{prefix}/"
        self._build, self._place = build, {**place, "prefix": prefix}
        self._plain = self.stage()

    def stage(self, **limits: Any) -> ObjectStorageStage:
        return self._build(ObjectStorageStage.Options(**self._place, **limits))

    def keys(self, prefix: str) -> list[str]:
        stored = self._plain._storage.list(self._plain._key(prefix))
        return sorted(self._plain._storage.uri(entry.key).removeprefix(self.root) for entry in stored)

    def overwrite(self, key: str, content: bytes) -> None:
        self._plain._put(key, content)

    def remove(self, key: str) -> None:
        self._plain._storage.delete([self._plain._key(key)])
