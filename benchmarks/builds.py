"""Builds beside each other: code of a benchmark runs in a process of its own that imports one build's modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]

BASE = "ea635e6"
"""The build to compare with unless somebody names another one: the last one before the work on speed."""


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Yield a checkout of a revision, a git worktree in a temporary folder, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path = Path(folder) / "base"
        _git("worktree", "add", "--quiet", "--detach", str(path), revision)
        try:
            yield path
        finally:
            _git("worktree", "remove", "--force", str(path))


def answer(code: str, *arguments: str, build: Path, environ: Mapping[str, str] | None = None) -> Any:
    """Run code that prints JSON as its last line, in a build's folder and with its modules; return what it printed.

    Raises:
        RuntimeError: The code failed; the message is the end of what it wrote to standard error.
    """
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=build,
        env={**os.environ, "PYTHONPATH": str(build), **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"in {build}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(REPO), *arguments], check=True)
