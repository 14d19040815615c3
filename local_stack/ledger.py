"""Brings the ledger's tables up to date, through the product's own command line."""

from __future__ import annotations

import os
import subprocess
import sys

from local_stack.environment import environment
from local_stack.errors import LocalStackError
from local_stack.home import REPO, Home

_TIMEOUT_SECONDS = 120


def migrate(home: Home) -> bool:
    """Run `python -m include.cli ledger migrate` against the stack's Postgres; False when there is no such command."""
    if not (REPO / "include" / "cli.py").exists():
        return False
    done = subprocess.run(
        [sys.executable, "-m", "include.cli", "ledger", "migrate"],
        env={**os.environ, **environment(home)},
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    if done.returncode != 0:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise LocalStackError(
            f"`python -m include.cli ledger migrate` failed with exit code {done.returncode}:\n{output}",
            "Postgres runs; mend the migration and run `python -m local_stack up` again.",
        )
    return True
