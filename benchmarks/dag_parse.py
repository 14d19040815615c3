"""How long all DAG files take to import on top of `airflow.sdk`: `python benchmarks/dag_parse.py`.

The floor is `airflow.sdk` itself, measured in the same processes; each figure is the median of five fresh interpreters.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
RUNS = 5
CODE = """
import importlib.util, json, pathlib, time
started = time.perf_counter()
import airflow.sdk
from airflow.sdk import DAG, Asset, CronTriggerTimetable, ExceptionRetryPolicy, Param, task
sdk = time.perf_counter()
for path in sorted(pathlib.Path("dags").glob("*.py")):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(json.dumps([sdk - started, time.perf_counter() - sdk]))
"""


def main() -> None:
    """Measure and print."""
    figures = []
    for _ in range(RUNS):
        done = subprocess.run([sys.executable, "-c", CODE], cwd=REPO, capture_output=True, text=True, check=True)
        figures.append(json.loads(done.stdout.strip().splitlines()[-1]))
    floor, ours = (statistics.median(column) for column in zip(*figures, strict=True))
    print(f"airflow.sdk (floor): {floor:.3f} s; all DAG files on top of it: {ours:.3f} s; ratio {ours / floor:.2f}")


if __name__ == "__main__":
    main()
