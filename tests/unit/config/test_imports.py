"""What a DAG file pays for its configuration when it is parsed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("airflow", "pandas", "boto3", "botocore", "elasticsearch", "snowflake.connector", "psycopg", "sqlalchemy")
SCRIPT = f"""
import sys
from include.implementation_modules.registry import options_model
from include.pipeline_framework.config.loader import load_pipeline
load_pipeline("main", options_model=options_model)
print(*(name for name in {HEAVY!r} if name in sys.modules))
"""


def test_loading_a_pipeline_imports_no_client_library_and_no_airflow() -> None:
    repo = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=repo,
        env={"PYTHONPATH": str(repo)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
