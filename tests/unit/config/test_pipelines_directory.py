"""`PIPELINES_DIRECTORY`: the pipelines' files live where the environment says, for every process that has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from include.pipeline_framework.config.loader import PIPELINES_DIRECTORY
from local_stack.home import REPO


def test_the_command_line_reads_the_folder_of_the_variable(tmp_path: Path) -> None:
    shutil.copy(PIPELINES_DIRECTORY / "defaults.yaml", tmp_path)
    text = (PIPELINES_DIRECTORY / "main.yaml").read_text(encoding="utf-8")
    (tmp_path / "elsewhere.yaml").write_text(text.replace("timezone: America/New_York", "timezone: Nowhere/Land"))
    done = subprocess.run(
        [sys.executable, "-m", "include.cli", "config", "validate"],
        cwd=REPO,
        env={**os.environ, "PIPELINES_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"{tmp_path}/elsewhere.yaml" in done.stdout + done.stderr
    assert "Nowhere/Land" in done.stdout + done.stderr
