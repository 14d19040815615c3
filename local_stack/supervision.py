"""Starting, watching and stopping one server; `local_stack.stack` does it for all of them."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from local_stack import processes
from local_stack.errors import LocalStackError, ServerStartError
from local_stack.ports import RULES
from local_stack.servers import Server
from local_stack.waiting import STANDSTILL_SECONDS, Patience, work_of

Report = Callable[[str, str], None]

_ANSWERS_AGAIN_SECONDS = 60.0


def silent(_name: str, _message: str) -> None:
    """Reports nothing."""


@dataclass(frozen=True)
class Status:
    """One line of `status`. `state` is healthy, unhealthy, dead (it was started and is gone) or stopped."""

    name: str
    title: str
    address: str
    state: str
    pid: int | None = None
    memory_bytes: int = 0


def already_runs(server: Server, report: Report) -> bool:
    """Whether a living server answers; one that lives but never answers is stopped, to be started again."""
    process = processes.find(server.home, server.name)
    if process is None:
        stop(server, silent)  # children of a killed server
        return False
    rule = RULES[server.port_names[0]]
    configured = rule.configured(os.environ)
    if configured not in (None, server.port):
        raise LocalStackError(
            f"{server.title} runs on port {server.port}, and {rule.variable} asks for {configured}.",
            "Run `python -m local_stack down` first, or unset the variable.",
        )
    patience = _patience(process, server, report, "does not answer yet", _ANSWERS_AGAIN_SECONDS)
    while processes.is_alive(process) and not patience.is_over():
        if is_healthy(server):
            report(server.name, f"already running on {server.address} (pid {process.pid})")
            return True
        time.sleep(0.1)
    report(server.name, "does not answer; starting it again")
    stop(server, silent)
    return False


def in_parallel(servers: list[Server], work: Callable[[Server, threading.Event], None]) -> None:
    """Do `work` for all servers at once; the first error ends the waiting of the others and is raised."""
    if not servers:
        return
    cancelled = threading.Event()

    def run(server: Server) -> None:
        try:
            work(server, cancelled)
        except BaseException:
            cancelled.set()
            raise

    with ThreadPoolExecutor(len(servers)) as pool:
        futures = [pool.submit(run, server) for server in servers]
        try:
            errors = [error for future in futures if (error := future.exception()) is not None]
        except KeyboardInterrupt:
            cancelled.set()
            raise
    if errors:
        raise next((error for error in errors if not isinstance(error, _Cancelled)), errors[0])


class _Cancelled(LocalStackError):
    """The server is fine, but another one failed, so nobody waits for it any longer."""


def start(server: Server, report: Report, cancelled: threading.Event) -> None:
    """Start a server and return when it is healthy and provisioned.

    Raises:
        ServerStartError: it died, or it hung; the message holds its last lines.
    """
    began = time.monotonic()
    server.prepare(lambda message: report(server.name, message))
    written = server.log.stat().st_size if server.log.exists() else 0
    process = processes.spawn(
        server.home, server.name, server.command(), log=server.log, environ=server.environ(), account=server.account
    )
    patience = _patience(psutil.Process(process.pid), server, report, "still starting")
    while not is_healthy(server):
        code = process.poll()
        if code is not None or patience.is_over():
            what = (
                f"has not moved for {patience.longest_seconds:.0f} s" if code is None else f"died with exit code {code}"
            )
            lines = processes.last_lines(server.log, since=written) or "(it printed nothing)"
            stop(server, silent)
            raise ServerStartError(
                f"{server.title} {what}. Its last lines:\n{lines}",
                f"Mend the cause above (all lines: {server.log}) and run `python -m local_stack up` again.",
            )
        if cancelled.is_set():
            raise _Cancelled(f"{server.title} was still starting.", "Run `python -m local_stack up` again.")
        time.sleep(0.05)
    server.provision()
    report(server.name, f"ready on {server.address} after {time.monotonic() - began:.1f} s")


def _patience(
    process: psutil.Process, server: Server, report: Report, what: str, longest: float = STANDSTILL_SECONDS
) -> Patience:
    tell = functools.partial(report, server.name)
    return Patience(lambda: work_of(process, server.log), longest, tell=tell, what=what)


def stop(server: Server, report: Report) -> bool:
    """Stop a server with everything it started; returns whether anything ran."""
    began = time.monotonic()
    was_started = processes.is_recorded(server.home, server.name)
    stopped = processes.stop(
        server.home, server.name, number=server.stop_signal, timeout=server.stop_timeout, others=server.family()
    )
    if was_started:
        server.clean()
    if stopped:
        report(server.name, f"stopped after {time.monotonic() - began:.1f} s")
    return stopped


def is_healthy(server: Server) -> bool:
    """Whether the server answers as it should."""
    try:
        return server.is_healthy()
    except Exception:  # noqa: BLE001 - a server that starts refuses, resets and times out in many ways
        return False


def status(server: Server) -> Status:
    """What `status` shows of a server."""
    process = processes.find(server.home, server.name)
    where = server.address if server.port_names[0] in server.state.ports else ""
    if process is None:
        what = "dead" if processes.is_recorded(server.home, server.name) else "stopped"
        return Status(server.name, server.title, where, what)
    what = "healthy" if is_healthy(server) else "unhealthy"
    try:
        memory = processes.memory_bytes(server.family())
    except psutil.Error:
        memory = 0
    return Status(server.name, server.title, where, what, process.pid, memory)
