"""Checks a stage before any window is claimed: one tiny object is written, listed, read and deleted; see `Check`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from hashlib import md5, sha256
from typing import Any
from uuid import uuid4

from include.implementation_modules.object_storage.stage import ObjectStorageStageOptions
from include.implementation_modules.object_storage.storage import ObjectStorage
from include.pipeline_framework.core.watching.verdicts import Findings, Verdict
from include.pipeline_framework.errors import ConfigurationError, PipelineError
from include.pipeline_framework.ports.checking import Look

FOLDER = "_doctor"
"""Below the prefix; a source object begins with a letter, so no location of a window can be in it."""

_CONTENT = b"a check of the stage; it may be deleted\n"
_STEPS = {
    "NoSuchBucket": "bucket exists",
    "InvalidAccessKeyId": "authenticated",
    "SignatureDoesNotMatch": "authenticated",
    "NoCredentialsError": "authenticated",
    "PartialCredentialsError": "authenticated",
}


def check(client: Any, options: ObjectStorageStageOptions, look: Look) -> Sequence[Verdict]:
    """Try all that a stage does, each step on its own; the object is deleted again.

    The listing comes first: some servers make a bucket that is missing when something is written into it.
    """
    found = Findings("stage")
    storage = options.storage(lambda: client)
    if not _list(storage, options, look, found):
        return found.verdicts
    key = f"{options.prefix}/{FOLDER}/{uuid4().hex}"
    try:
        storage.put(key, io.BytesIO(_CONTENT), size=len(_CONTENT), **_digests())
    except PipelineError as error:
        _refused(error, "may write", look, found)
        return found.verdicts
    found.ok("may write", storage.uri(f"{options.prefix}/"))
    _read(storage, key, found)
    found.attempt("may delete", lambda: storage.delete([key]), lambda _: "the object is gone again")
    return found.verdicts


def _digests() -> dict[str, bytes]:
    return {"md5": md5(_CONTENT, usedforsecurity=False).digest(), "sha256": sha256(_CONTENT).digest()}


def _list(storage: ObjectStorage, options: ObjectStorageStageOptions, look: Look, found: Findings) -> bool:
    """Return whether anything else makes sense to try."""
    try:
        some = list(storage.list(f"{options.prefix}/{FOLDER}/"))
    except PipelineError as error:
        return _refused(error, "may list", look, found)
    found.ok("may list", f"{len(some)} objects in {FOLDER}/")
    return True


def _read(storage: ObjectStorage, key: str, found: Findings) -> None:
    try:
        with storage.open(key) as file:
            content = file.read()
    except FileNotFoundError:
        content = b""
    except PipelineError as error:
        found.refused("may read", error)
        return
    if content == _CONTENT:
        found.ok("may read", "what was written came back")
    else:
        remedy = "Look for a proxy or a cache between here and the storage; a stage needs read-after-write."
        found.wrong("may read", "what was written did not come back", remedy)


def _refused(error: PipelineError, step: str, look: Look, found: Findings) -> bool:
    """Tell what a refusal is about: the step itself, or what the storage's own code says; return whether the step."""
    if not isinstance(error, ConfigurationError):
        found.unreachable(error, look.connection_id)
        return False
    known = next((name for code, name in _STEPS.items() if f"({code})" in error.what), step)
    found.refused(known, error)
    return known == step
