"""One local stack for the whole session, and fresh databases, buckets' prefixes and indexes for each test.

`TEST_STACK_HOME=<folder>` keeps the stack of that folder running between sessions; without it a temporary one is
started when the first test asks for it, and removed at the end. With xdist all processes share it.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings

from tests import running_stack
from tests.own_databases import PLAIN, forget_template, own_database

pytest.register_assert_rewrite("tests.contract")  # its suites are no test modules, and their failures show values, too

REPO = Path(__file__).resolve().parents[1]

# Tests that only parse DAG files need an Airflow home, too, and never the person's own.
_SCRATCH = tempfile.TemporaryDirectory(prefix="airflow-home-")
os.environ["AIRFLOW_HOME"] = _SCRATCH.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["PYTHONTZPATH"] = ""  # of processes that tests start: time zones come from the package tzdata
os.environ["PGCONNECT_TIMEOUT"] = "600"  # a Postgres that takes long is busy

FIRST = (
    *("tests/e2e/test_clearing.py", "tests/e2e/test_orders_sync.py", "tests/unit/core/continuity/test_findings.py"),
    *("tests/faults/test_schedules.py", "tests/faults/test_network_faults.py", "tests/faults/test_directed.py"),
    "tests/faults/test_two_node_cluster.py",
)
"""The longest; and while two processes wait for Airflow to start, the third one has something to do."""
# `HYPOTHESIS_PROFILE=thorough` for a night; an example may take as long as the machine is busy
settings.register_profile("ci", deadline=None, max_examples=60, database=None)
settings.register_profile("thorough", deadline=None, max_examples=5_000, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

LAST = "tests/e2e/test_zz_secrets.py"
"""It reads all that Airflow has kept of the others."""
TOGETHER = {
    # what these share can't be had twice: the CRM of the stack, and the schedules of the DAGs that all pipelines share
    "tests/integration/test_report_client.py": "tests/e2e/test_orders_sync.py",
    "tests/e2e/test_ended_runs.py": "tests/e2e/test_dags_test.py",
    "tests/e2e/test_state_manager.py": "tests/e2e/test_dags_test.py",
}


def pytest_configure(config: pytest.Config) -> None:
    """Where one process hands tests to others, it is the one that makes and removes the stack's folder."""
    if not hasattr(config, "workerinput"):
        running_stack.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    """See `pytest_configure`."""
    if not hasattr(config, "workerinput"):
        running_stack.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for Airflow begins first, then what needs servers, then the rest."""

    def rank(item: pytest.Item) -> int:
        file = item.nodeid.split("::", 1)[0]
        if file in FIRST:
            return FIRST.index(file)
        needs_servers = "stack_env" in getattr(item, "fixturenames", ())
        return 9 if file == LAST else 6 if item.get_closest_marker("e2e") else 8 - needs_servers

    items.sort(key=rank)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`: a file stays in one process, and so do files that would be in each other's way."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return TOGETHER.get(file, file)

    return ByFile(config, log)


@pytest.fixture(scope="session")
def stack_env() -> Iterator[dict[str, str]]:
    """Environment variables of a running stack with all servers; also set in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (variables := running_stack.variables()).items():
            patch.setenv(name, value)
        yield variables


@contextmanager
def database(admin_url: str, template: str = PLAIN, *, is_ledger: bool = True) -> Iterator[str]:
    """A database of its own; of a template that is a migrated ledger another ledger."""
    prepare = record_identity if is_ledger and template != PLAIN else lambda _url: None
    with own_database(admin_url, template, prepare) as url:
        yield url


def record_identity(ledger_url: str) -> None:
    """A copy of a migrated database is a ledger of its own."""
    from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
    from include.pipeline_framework.core.records.row import Actor

    store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    store.record_identity(Actor("tests", "copy"))
    store.close()


@pytest.fixture
def scratch_postgres_url(stack_env: dict[str, str]) -> Iterator[str]:
    """An empty database of its own."""
    with database(stack_env["LEDGER_URL"]) as url:
        yield url


@pytest.fixture(scope="session")
def _migrated_template(stack_env: dict[str, str]) -> Iterator[str]:
    from include.sql.migrations import migrate

    with database(stack_env["LEDGER_URL"]) as url:
        migrate(lambda: psycopg.connect(url))
        yield (name := url.rpartition("/")[2])
        forget_template(stack_env["LEDGER_URL"], name)


@pytest.fixture
def ledger_url(stack_env: dict[str, str], _migrated_template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A migrated, empty ledger; LEDGER_URL and the connection lifecycle_postgres point at it, too."""
    with database(stack_env["LEDGER_URL"], _migrated_template) as url:
        monkeypatch.setenv("LEDGER_URL", url)
        monkeypatch.setenv("AIRFLOW_CONN_LIFECYCLE_POSTGRES", url)
        yield url


@pytest.fixture(scope="session")
def elasticsearch_url(stack_env: dict[str, str]) -> str:
    """The real node."""
    return stack_env["ELASTICSEARCH_URL"]


@pytest.fixture(scope="session")
def s3_client(stack_env: dict[str, str]) -> Any:
    """A real boto3 client on the stack's S3 server."""
    import json

    import boto3
    from botocore.config import Config

    connection = json.loads(stack_env["AIRFLOW_CONN_STAGE_S3"])
    return boto3.client(
        "s3",
        endpoint_url=connection["extra"]["endpoint_url"],
        aws_access_key_id=connection["login"],
        aws_secret_access_key=connection["password"],
        region_name=connection["extra"]["region_name"],
        config=Config(s3={"addressing_style": "path"}, connect_timeout=600, read_timeout=600),
    )


@pytest.fixture(scope="session")
def s3_bucket(stack_env: dict[str, str]) -> str:
    """The stack's bucket."""
    return stack_env["STAGE_S3_BUCKET"]


@pytest.fixture(scope="session")
def snowflake_connect(stack_env: dict[str, str]) -> Callable[[], Any]:
    """Opens a new connection of the real connector to the emulator, database and schema set."""
    import json

    import snowflake.connector

    connection = json.loads(stack_env["AIRFLOW_CONN_TARGET_SNOWFLAKE"])

    def connect() -> Any:
        extra = dict(connection["extra"])
        extra["disable_ocsp_checks"] = extra.pop("insecure_mode")
        return snowflake.connector.connect(
            user=connection["login"], password=connection["password"], schema=connection["schema"], **extra
        )

    return connect


@pytest.fixture(scope="session")
def _orders_template(stack_env: dict[str, str]) -> Iterator[str]:
    from include.sql.migrations import ORDERS, migrate

    with database(stack_env["LEDGER_URL"]) as url:
        migrate(lambda: psycopg.connect(url), ORDERS)
        yield (name := url.rpartition("/")[2])
        forget_template(stack_env["LEDGER_URL"], name)


@pytest.fixture
def orders_url(stack_env: dict[str, str], _orders_template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A migrated, empty orders database; ORDERS_URL points at it, too."""
    with database(stack_env["LEDGER_URL"], _orders_template, is_ledger=False) as url:
        monkeypatch.setenv("ORDERS_URL", url)
        yield url


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector need not go over it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
