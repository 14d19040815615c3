"""The real servers: start, start again, kill, restart with the data, and nothing left in the end."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date

import elasticsearch
import psutil
import psycopg
import pytest

from local_stack import airflow, processes, stack
from local_stack.environment import environment
from local_stack.errors import PortTakenError, ServerStartError
from local_stack.flights import Days
from local_stack.home import REPO, Home
from local_stack.seed import seed
from local_stack.servers import SERVERS
from local_stack.state import State

pytestmark = pytest.mark.integration

HOOKS = """
import gzip, json, os
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

assert PostgresHook("lifecycle_postgres").get_first("SELECT current_database()")[0] == "ledger"
stage = S3Hook("stage_s3")
stage.load_bytes(gzip.compress(b'{"id": 1}\\n{"id": 2}\\n'), "some/part.json.gz", "stage", replace=True)
with SnowflakeHook("target_snowflake").get_conn() as connection:
    cursor = connection.cursor()
    run = lambda statement: cursor.execute(statement).fetchall()
    assert run("SELECT CURRENT_DATABASE(), CURRENT_SCHEMA()") == [("PIPELINES", "PUBLIC")]
    run("CREATE TABLE IF NOT EXISTS landed (doc VARIANT)")
    run("CREATE STAGE IF NOT EXISTS landing URL='s3://stage/some/'")
    run("BEGIN")
    run("COPY INTO landed FROM @landing FILES=('part.json.gz') FILE_FORMAT=(TYPE=JSON) FORCE=TRUE")
    run("MERGE INTO landed USING (SELECT 9 AS id) s ON landed.doc:id = s.id WHEN MATCHED THEN DELETE")
    run("COMMIT")
    assert run("SELECT COUNT(*) FROM landed") == [(2,)]
    try:
        run("SELECT * FROM landed AT(OFFSET => -60)")
    except Exception as error:
        print("refused at once:", type(error).__name__)
    run("BEGIN")
    run("DELETE FROM landed")
    try:
        run("SELECT 'x'::INT")
    except Exception:
        pass
    try:
        run("COMMIT")
    except Exception as error:
        assert "rolled all of it back" in str(error)
    else:
        raise AssertionError("a COMMIT that lost its work reported success")
    assert run("SELECT COUNT(*) FROM landed") == [(2,)]
print("hooks work")
"""


def healthy(home: Home) -> set[str]:
    return {line.name for line in stack.status(home) if line.state == "healthy"}


def pids(home: Home) -> dict[str, int]:
    return {line.name: line.pid for line in stack.status(home) if line.pid}


def run_python(code: str, variables: dict[str, str]) -> str:
    own = {**os.environ, **variables, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////:memory:"}
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """All four servers; every test leaves them running."""
    with stack.temporary() as variables:
        yield Home.at(variables["LOCAL_STACK_HOME"])


def test_second_up_finds_everything_running(home: Home) -> None:
    before, messages = pids(home), []
    assert healthy(home) == set(SERVERS)
    stack.up(home, report=lambda name, message: messages.append((name, message)))
    assert pids(home) == before
    assert sum("already running" in message for _, message in messages) == len(SERVERS)


def test_ledger_role_can_have_databases_and_the_exclusion_constraint(home: Home) -> None:
    with psycopg.connect(environment(home)["LEDGER_URL"]) as connection:
        assert connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'btree_gist'").fetchone()


def test_hooks_connect_and_seeded_days_survive_kill_9(home: Home) -> None:
    url, days = environment(home)["ELASTICSEARCH_URL"], Days(date(2013, 3, 9), date(2013, 3, 12))
    assert seed(url, days=days).indexed == 2653
    assert seed(url, days=days).indexed == 0
    with psycopg.connect(environment(home)["LEDGER_URL"]) as connection:
        connection.execute("CREATE TABLE kept (number int)")
    before = environment(home)
    assert "hooks work" in run_python(HOOKS, before)

    killed = [psutil.Process(pid) for pid in pids(home).values()]
    for process in killed:
        process.kill()
    assert processes.wait_until_dead(killed, 120)
    assert {line.state for line in stack.status(home)} == {"dead"}
    stack.up(home)

    assert healthy(home) == set(SERVERS)
    assert environment(home) == before
    with elasticsearch.Elasticsearch(url, request_timeout=600) as client:
        for day, count in ((9, 765), (10, 908), (11, 980)):
            local = Days(date(2013, 3, day), date(2013, 3, day + 1))
            bounds = {"gte": local.start_at.isoformat(), "lt": local.end_at.isoformat()}
            assert client.count(index="flights", query={"range": {"@timestamp": bounds}})["count"] == count
    with psycopg.connect(before["LEDGER_URL"]) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert "2" in run_python(READ_BACK, before)


READ_BACK = """
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook
assert S3Hook("stage_s3").check_for_key("some/part.json.gz", "stage")
print(SnowflakeHook("target_snowflake").get_first("SELECT COUNT(*) FROM landed")[0])
"""


def test_status_command_tells_by_its_exit_code(home: Home) -> None:
    command = [sys.executable, "-m", "local_stack", "status", "--home", str(home.path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("healthy") == len(SERVERS)


@pytest.fixture
def small_home() -> Iterator[Home]:
    """A stack of its own for tests that break it."""
    with tempfile.TemporaryDirectory(prefix="local-stack-") as folder:
        home = Home.at(folder)
        yield home
        stack.down(home)


def test_down_leaves_nothing(small_home: Home) -> None:
    with stack.running(small_home, servers=("postgres", "s3")):
        started = [psutil.Process(pid) for pid in pids(small_home).values()]
        family = [member for process in started for member in (process, *process.children(recursive=True))]
        assert len(family) > len(started)
    assert not any(processes.is_alive(process) for process in family)
    assert not list(small_home.run.glob("*.json"))
    assert not stack.down(small_home)


def test_taken_port_is_a_clear_error(small_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setenv("LOCAL_STACK_POSTGRES_PORT", str(port))
        with pytest.raises(PortTakenError, match=f"LOCAL_STACK_POSTGRES_PORT={port}"):
            stack.up(small_home, servers=("postgres",))


def test_server_that_dies_shows_its_last_lines(small_home: Home) -> None:
    with stack.running(small_home, servers=("postgres",)):
        pass
    with (small_home.path / "postgres" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(ServerStartError) as caught:
        stack.up(small_home, servers=("postgres",))
    assert "Postgres died with exit code 1" in caught.value.what
    assert "no_such_setting" in caught.value.what
    assert str(small_home.logs / "postgres.log") in caught.value.remedy


def test_two_ups_at_once_start_one_server(small_home: Home) -> None:
    home = f"Home.at({str(small_home.path)!r})"
    code = f"from local_stack import stack; from local_stack.home import Home; stack.up({home}, servers=['postgres'])"
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=REPO) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert healthy(small_home) == {"postgres"}


def test_airflow_stops_before_what_it_needs() -> None:
    order = list(airflow.COMPONENTS)
    assert order.index("scheduler") < order.index("api-server")


def test_secrets_are_in_no_command_line(home: Home) -> None:
    secrets = set(State.load(home).secrets.values())
    for pid in pids(home).values():
        assert not any(secret in " ".join(psutil.Process(pid).cmdline()) for secret in secrets)
