"""Parsing 10, 100 and 1,000 pipelines beside DAGs of the same shape with empty tasks: `python -m benchmarks.dag_parse`.

In three ways, CPU seconds of all files:

* one interpreter, as `DagBag` reads a folder: nothing is imported twice;
* a fork for each file, as Airflow's DAG processor does it, which imports, builds and serializes in the fork. Here the
  product was imported before the fork by `local_stack/airflow_local_settings.py.txt`, as the local stack and
  docker-compose.yaml do;
* the same without these settings: each fork imports the product itself.

The floor has the tasks, the mapping and the order of a pipeline's DAG; its tasks return a constant.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import command
from benchmarks.builds import REPO, answer
from benchmarks.comparison import Comparison, Measured, Role

FORKED = 30
"""How many files are forked, twice each; the time of all files is taken from them."""

PIPELINE = '''"""Airflow DAG of a pipeline."""

from include.orchestration.data_pipeline import data_pipeline

dag = data_pipeline("{name}")
'''

ONE_INTERPRETER = """
import importlib.util, json, pathlib, resource, sys
import airflow.sdk
from airflow.sdk import DAG, Asset, CronTriggerTimetable, ExceptionRetryPolicy, Param, task, task_group
from airflow.sdk import PartitionedAssetTimetable

def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

began = cpu()
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(json.dumps(cpu() - began))
"""

FORKS = """
import gc, json, os, pathlib, resource, runpy, statistics, sys
import structlog
import airflow.dag_processing.manager
from airflow.dag_processing import processor
folder, limit, settings = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if settings:
    sys.argv = ["airflow", "dag-processor"]
    runpy.run_path(settings)
gc.collect()
gc.freeze()  # as Airflow's manager does before it forks

def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

def parse(path):
    log = structlog.get_logger()
    processor._pre_import_airflow_modules(os.fspath(path), log)
    request = processor.DagFileParseRequest(file=os.fspath(path), bundle_path=folder, bundle_name="benchmark")
    result = processor._parse_file(request, log)
    if result.import_errors or len(result.serialized_dags) != 1:
        print(result.import_errors, file=sys.stderr)
        os._exit(1)
    os._exit(0)

files, seconds = sorted(folder.glob("*.py"))[:limit], []
for path in 2 * files:
    began = cpu()
    if (pid := os.fork()) == 0:
        parse(path)
    if os.waitpid(pid, 0)[1]:
        sys.exit(f"{path} has no DAG")
    seconds.append(cpu() - began)
print(json.dumps(statistics.median(seconds)))
"""


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Compare for 10 and 100 pipelines, in the long form for 1,000, too."""
    found = []
    for count in (10, 100) if is_short else (10, 100, 1_000):
        with tempfile.TemporaryDirectory(prefix="benchmark-parse-") as folder:
            for build in (REPO, base) if base else (REPO,):
                _write_files(_files_of(build, Path(folder)), count, build)
            found += _compare(Path(folder), count, base, is_short=is_short)
    return found


def _files_of(build: Path, folder: Path) -> Path:
    """Return where a build's files are: an older one refuses the keys that a newer one's defaults have."""
    return folder / ("now" if build == REPO else "before")


def _write_files(folder: Path, count: int, build: Path) -> None:
    """Write pipelines with a build's own defaults, their DAG files and the empty DAGs."""
    product = build / "include" / "pipelines"
    main = (product / "main.yaml").read_text(encoding="utf-8")
    empty = (Path(__file__).parent / "empty_shape.py.txt").read_text(encoding="utf-8")
    for name in ("pipelines", "dags", "empty"):
        (folder / name).mkdir(parents=True)
    defaults = (product / "defaults.yaml").read_text(encoding="utf-8")
    (folder / "pipelines" / "defaults.yaml").write_text(defaults, encoding="utf-8")
    for number in range(count):
        name = f"generated_{number:04d}"
        text = main.replace("source_object: flights", f"source_object: {name}")
        (folder / "pipelines" / f"{name}.yaml").write_text(text, encoding="utf-8")
        (folder / "dags" / f"data_pipeline_{name}.py").write_text(PIPELINE.format(name=name), encoding="utf-8")
        (folder / "empty" / f"{name}.py").write_text(empty.replace("empty_shape", name), encoding="utf-8")


def _compare(folder: Path, count: int, base: Path | None, *, is_short: bool) -> list[Comparison]:
    environ = {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    settings = "local_stack/airflow_local_settings.py.txt"
    ways: list[tuple[str, str, list[str]]] = [
        ("in one interpreter", ONE_INTERPRETER, []),
        ("a fork for each file, the product imported before", FORKS, [str(FORKED), settings]),
        ("a fork for each file, nothing imported before", FORKS, [str(FORKED), ""]),
    ]
    found = []
    for name, code, arguments in ways:

        def seconds(dags: str, build: Path, code: str = code, arguments: list[str] = arguments) -> dict[str, float]:
            files = _files_of(build, folder)
            places = environ | {"PIPELINES_DIRECTORY": str(files / "pipelines")}
            rounds = 2 if code is ONE_INTERPRETER else 1  # the first one may have to compile a fresh checkout
            each = min(
                float(answer(code, str(files / dags), *arguments, build=build, environ=places)) for _ in range(rounds)
            )
            total = each if code is ONE_INTERPRETER else each * count
            return {"CPU-s": total, "ms a file": total / count * 1_000}

        rows = [("these pipelines", "product", seconds("dags", REPO))]
        if base:
            rows.append(("these pipelines", "before", seconds("dags", base)))
        rows.append(("DAGs of the same shape with empty tasks", "floor", seconds("empty", REPO)))
        found.append(
            Comparison(
                name=f"{count:,} pipelines parsed {name}",
                per=f"{count:,} files",
                command=f"python -m benchmarks.dag_parse{'' if is_short else ' --full'}",
                rows=[Measured(what, _role(role), figures) for what, role, figures in rows],
                figure="CPU-s",
                notes=[f"Taken from the median of {2 * min(FORKED, count)} forks."] if code is FORKS else [],
            )
        )
    return found


def _role(role: str) -> Role:
    return role  # type: ignore[return-value]


if __name__ == "__main__":
    command.main(measure, __doc__ or "")
