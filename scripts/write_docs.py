"""Rewrites the generated pages: docs/configuration.md from the models, docs/ledger.md from a database's comments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local_stack import stack

REPO = Path(__file__).resolve().parents[1]
PAGES = {"docs/configuration.md": ["config", "describe"], "docs/ledger.md": ["ledger", "describe"]}


def main() -> None:
    """Ask the command line for every page, beside a Postgres that exists for this moment only."""
    with stack.temporary(servers=("postgres",)) as variables:
        for page, arguments in PAGES.items():
            command = [sys.executable, "-m", "include.cli", *arguments]
            done = subprocess.run(
                command, cwd=REPO, env={**os.environ, **variables}, stdout=subprocess.PIPE, check=True
            )
            (REPO / page).write_bytes(done.stdout)
            print(f"wrote {page}")


if __name__ == "__main__":
    main()
