"""Publishing one window at any target, for tests that raise its error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.ports.target import PublishRequest, PublishResult, Target


def publish_one(
    target: Target,
    manifest: Manifest,
    stage: Stage,
    *,
    fence: int,
    lifecycle_id: int,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    **options: Any,
) -> PublishResult:
    """The result; `options` are the others of the request."""
    (outcome,) = target.publish([PublishRequest(manifest, fence, lifecycle_id, **options)], stage, turn=turn)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
