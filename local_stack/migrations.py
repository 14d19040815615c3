"""Brings the tables of ledger and orders sync up to date, through the product's own command line."""

from __future__ import annotations

import os
import subprocess
import sys

from local_stack.environment import environment
from local_stack.errors import LocalStackError
from local_stack.home import REPO, Home

_TIMEOUT_SECONDS = 120


def migrate(home: Home, schema: str) -> None:
    """Run `python -m include.cli <schema> migrate` (`ledger`, `orders`) against the stack's Postgres."""
    done = subprocess.run(
        [sys.executable, "-m", "include.cli", schema, "migrate"],
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
            f"`python -m include.cli {schema} migrate` failed with exit code {done.returncode}:\n{output}",
            "Postgres runs; mend the migration and run `python -m local_stack up` again.",
        )
