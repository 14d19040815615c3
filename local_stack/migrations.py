"""Brings the tables of ledger and orders sync up to date, through the product's own command line."""

from __future__ import annotations

import os
import sys

from local_stack.environment import environment
from local_stack.home import REPO, Home
from local_stack.waiting import Tell, run_child


def migrate(home: Home, schema: str, tell: Tell) -> None:
    """Run `python -m include.cli <schema> migrate` (`ledger`, `orders`) against the stack's Postgres."""
    run_child(
        [sys.executable, "-m", "include.cli", schema, "migrate"],
        environ={**os.environ, **environment(home)},
        cwd=REPO,
        tell=tell,
        what=f"`python -m include.cli {schema} migrate`",
        remedy="Postgres runs; mend the migration and run `python -m local_stack up` again.",
    )
