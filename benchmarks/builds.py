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

from benchmarks.comparison import Role

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
    # a fresh checkout that may not keep its bytecode would compile itself in every process
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=build,
        env={**kept, "PYTHONPATH": str(build), **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"in {build}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def quickest(code: str, *arguments: str, base: Path | None) -> dict[Role, Any]:
    """Return the quicker one of two answers of this build and of the older one, by `seconds` in the answers.

    They run in turns: what else the machine does then slows both down, and not only the one that it met.
    """
    builds: dict[Role, Path] = {"product": REPO, **({"before": base} if base else {})}
    found: dict[Role, list[Any]] = {role: [] for role in builds}
    for role, build in 2 * list(builds.items()):
        found[role].append(answer(code, *arguments, build=build))
    return {role: min(answers, key=lambda each: float(each["seconds"])) for role, answers in found.items()}


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(REPO), *arguments], check=True)
