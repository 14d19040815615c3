"""Start, watch and stop a stack: what the command line and the tests call.

Example:
    with stack.temporary(servers=("postgres", "s3")) as env:  # a stack of its own, gone afterwards
        ...  # env: see local_stack.environment
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from local_stack import airflow, certificates, migrations, processes, supervision
from local_stack.environment import environment
from local_stack.home import Home
from local_stack.ports import RULES, choose
from local_stack.servers import SERVERS, Server
from local_stack.state import State
from local_stack.supervision import Report, Status, silent

__all__ = ["Report", "Status", "down", "running", "status", "temporary", "up"]


def up(
    home: Home,
    *,
    servers: Iterable[str] = tuple(SERVERS),
    with_airflow: bool = False,
    prefer_default_ports: bool = True,
    is_durable: bool = True,
    report: Report = silent,
) -> None:
    """Start the servers that don't run, in parallel; return when every one of them is healthy and provisioned.

    Safe to repeat, and safe to call twice at the same time: the second call waits for the first. A new stack whose data
    is nobody's (`is_durable=False`) is faster, and loses it in a power cut.

    Raises:
        PortTakenError: a configured port is in use.
        ServerStartError: a server died or stayed unhealthy; servers that did start keep running.
    """
    home.create()
    with _exclusive(home, report):
        state = State.load_or_create(home, is_durable=is_durable)
        certificates.ensure(home)
        chosen = [SERVERS[name](home, state) for name in servers]
        starting = [server for server in chosen if not supervision.already_runs(server, report)]
        starts_airflow = with_airflow and not airflow.is_alive(home)
        s3_before = state.ports.get("s3")
        _assign_ports(state, starting, starts_airflow, prefer_default_ports, report)
        state.save(home)
        if s3_before != state.ports["s3"]:
            starting += _stopped_readers_of_s3(chosen, starting, report)
        supervision.in_parallel(starting, lambda server, cancelled: _bring_up(server, report, cancelled))
        for server in chosen:
            if server.name == "postgres" and server not in starting:
                server.provision()  # it may have been started before a database was added
                _migrate(home, report)
        if with_airflow:
            airflow.up(home, state, report)


def down(home: Home, *, report: Report = silent) -> bool:
    """Stop Airflow, then the servers, with all their children; returns whether anything ran. The data stays."""
    if not home.exists:
        return False
    home.create()
    with _exclusive(home, report):
        state = State.load(home)
        stopped = airflow.down(home, report)
        with ThreadPoolExecutor(len(SERVERS)) as pool:
            results = list(pool.map(lambda server: supervision.stop(server(home, state), report), SERVERS.values()))
        return stopped or any(results)


def status(home: Home) -> list[Status]:
    """The state of every server, and of Airflow's components when they were started."""
    state = State.load(home) if home.exists else State()
    lines = [supervision.status(server(home, state)) for server in SERVERS.values()]
    if airflow.is_started(home):
        healthy = airflow.health(state)
        for component in airflow.COMPONENTS:
            name = airflow.process_name(component)
            process = processes.find(home, name)
            where = airflow.address(state) if component == "api-server" else ""
            what = "dead" if process is None else "healthy" if component in healthy else "unhealthy"
            memory = processes.memory_bytes(processes.family(home, name))
            lines.append(Status(name, f"Airflow {component}", where, what, process.pid if process else None, memory))
    return lines


@contextmanager
def running(
    home: Home | Path,
    *,
    servers: Iterable[str] = tuple(SERVERS),
    with_airflow: bool = False,
    prefer_default_ports: bool = False,
    is_durable: bool = True,
    report: Report = silent,
) -> Iterator[dict[str, str]]:
    """A stack in `home` for the time of a `with` block: yields `environment(home)`, and stops everything at the end.

    Takes free ports unless told otherwise, so it runs beside a developer's own stack.
    """
    home = home if isinstance(home, Home) else Home.at(home)
    try:
        up(
            home,
            servers=servers,
            with_airflow=with_airflow,
            prefer_default_ports=prefer_default_ports,
            is_durable=is_durable,
            report=report,
        )
        yield environment(home)
    finally:
        down(home)


@contextmanager
def temporary(*, servers: Iterable[str] = tuple(SERVERS), with_airflow: bool = False) -> Iterator[dict[str, str]]:
    """Like `running`, in a new folder that is removed at the end; its path is `env["LOCAL_STACK_HOME"]`.

    Not in pytest's `tmp_path`: root's Postgres runs as another user, and pytest closes its folders to others.
    """
    folder = Path(tempfile.mkdtemp(prefix="local-stack-"))
    try:
        with running(folder, servers=servers, with_airflow=with_airflow, is_durable=False) as variables:
            yield variables
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _exclusive(home: Home, report: Report) -> Iterator[None]:
    lock = FileLock(home.lock_file, mode=0o600)
    timeout, began = 0.0, time.monotonic()
    while True:  # the lock goes away with its holder, who works as long as it lives
        try:
            lock.acquire(timeout=timeout)
            break
        except Timeout:
            report(
                "stack", f"waiting for another `up` or `down` in this folder ({time.monotonic() - began:.0f} s so far)"
            )
            timeout = 30.0
    try:
        yield
    finally:
        lock.release()


def _assign_ports(
    state: State, starting: list[Server], starts_airflow: bool, prefer_default: bool, report: Report
) -> None:
    """Choose the ports of what is about to start; the others keep theirs, or get one so that addresses are known."""
    needed = {name for server in starting for name in server.port_names} | ({"airflow"} if starts_airflow else set())
    chosen = [rule for rule in RULES.values() if rule.name in needed or rule.name not in state.ports]
    names = {rule.name for rule in chosen}
    taken = {port + offset for name, port in state.ports.items() if name not in names for offset in RULES[name].offsets}
    for rule in chosen:
        environ = os.environ if rule.name in needed else {}  # what doesn't start may be configured to a busy port
        before = state.ports.get(rule.name)
        port = choose(rule, kept=before, taken=taken, prefer_default=prefer_default, environ=environ)
        if before is not None and before != port:
            report(rule.name, f"moves from port {before} to {port}")
        state.ports[rule.name] = port
        taken |= {port + offset for offset in rule.offsets}


def _bring_up(server: Server, report: Report, cancelled: threading.Event) -> None:
    """Start one server; its tables follow Postgres while other servers still start."""
    supervision.start(server, report, cancelled)
    if server.name == "postgres":
        _migrate(server.home, report)


def _migrate(home: Home, report: Report) -> None:
    migrations.migrate(home)
    report("postgres", "tables of ledger and orders are up to date")


def _stopped_readers_of_s3(chosen: list[Server], starting: list[Server], report: Report) -> list[Server]:
    """The emulator reads stages from S3's port, which it learns when it starts; so it starts again."""
    readers = [server for server in chosen if server.name == "snowflake" and server not in starting]
    for server in readers:
        supervision.stop(server, report)
    return readers
