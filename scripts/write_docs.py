"""Rewrites the generated pages of docs/.

`configuration.md` from the models, `ledger.md` from a database's comments, `bad-input.md` from the messages that the
cases of tests/faults/test_bad_input.py really end with.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
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
    write_bad_input()


def write_bad_input() -> None:
    """Run every case on a stack of its own, or on that of TEST_STACK_HOME."""
    with tempfile.TemporaryDirectory() as directory:
        collected = Path(directory, "messages")
        tests = [sys.executable, "-m", "pytest", "-q", "tests/faults/test_bad_input.py"]
        subprocess.run(tests, cwd=REPO, env={**os.environ, "BAD_INPUT_MESSAGES": str(collected)}, check=True)
        page = [sys.executable, "-m", "tests.faults.bad_input_page", str(collected)]
        done = subprocess.run(page, cwd=REPO, stdout=subprocess.PIPE, check=True)
    (REPO / "docs/bad-input.md").write_bytes(done.stdout)
    print("wrote docs/bad-input.md")


if __name__ == "__main__":
    main()
