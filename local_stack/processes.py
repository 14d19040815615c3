"""Start, find and stop processes that outlive the command that started them.

Every process is the leader of its own session and is recorded by pid *and* creation time, so a pid that the system gave
to somebody else is never mistaken for ours, and children that outlive a killed leader are still found by their session.
A zombie (a dead process that nobody reaped, common in containers) counts as dead.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from local_stack.home import Home, write_private
from local_stack.waiting import Patience, work_of

_LOG_LIMIT_BYTES = 5_000_000
_CREATION_TOLERANCE_SECONDS = 2.0
_children: dict[int, subprocess.Popen[bytes]] = {}  # keeps handles alive, and lets this process reap what it started


@dataclass(frozen=True)
class Account:
    """The user that a process runs as, when it is not ours."""

    name: str
    uid: int
    gid: int


def spawn(
    home: Home, name: str, argv: Sequence[str], *, log: Path, environ: Mapping[str, str], account: Account | None = None
) -> subprocess.Popen[bytes]:
    """Start a process detached from this one and record it under `name`; its output goes to `log`."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/" if account else home.path,
            env=dict(environ),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    _children[process.pid] = process
    with suppress(psutil.NoSuchProcess):  # it can die at once; then nothing needs to be found again
        record = {"pid": process.pid, "created_at": psutil.Process(process.pid).create_time()}
        write_private(_record(home, name), json.dumps(record))
    return process


def find(home: Home, name: str) -> psutil.Process | None:
    """The living process recorded under `name`, or None when it is dead, a zombie, or the pid is not ours any more."""
    try:
        record = json.loads(_record(home, name).read_text())
        process = psutil.Process(record["pid"])
        same_age = abs(process.create_time() - record["created_at"]) < _CREATION_TOLERANCE_SECONDS
        if same_age or _names(process, home):  # the clock may have been set since
            return process if is_alive(process) else None
    except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
        pass
    return None


def is_recorded(home: Home, name: str) -> bool:
    """Whether a process was started under `name` and not stopped by us since."""
    return _record(home, name).exists()


def is_alive(process: psutil.Process) -> bool:
    """Whether the process runs; a zombie doesn't."""
    if (child := _children.get(process.pid)) is not None:
        child.poll()
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def family(home: Home, name: str) -> list[psutil.Process]:
    """All living processes of `name`: its descendants, and members of its session that lost their parent."""
    try:
        session = int(json.loads(_record(home, name).read_text())["pid"])
    except (FileNotFoundError, ValueError, KeyError):
        return []
    members: dict[int, psutil.Process] = {}
    if (leader := find(home, name)) is not None:
        with suppress(psutil.NoSuchProcess):
            members = {process.pid: process for process in (leader, *leader.children(recursive=True))}
    elif psutil.pid_exists(session) and not _is_zombie(session):
        return []  # the pid belongs to somebody else now, and so does a session of that number
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == session:
                members.setdefault(process.pid, process)
    return [process for process in members.values() if is_alive(process)]


def stop(
    home: Home, name: str, *, number: signal.Signals, timeout: float, others: Iterable[psutil.Process] = ()
) -> bool:
    """Stop `name` and everything that it started, and forget it; what has not moved for `timeout` seconds is killed.

    Returns whether anything ran.
    """
    leader = find(home, name)
    members = {process.pid: process for process in (*family(home, name), *others)}
    if leader is not None:
        with suppress(psutil.NoSuchProcess):
            leader.send_signal(number)
        patience = Patience(functools.partial(work_of, leader), timeout)
        while is_alive(leader) and not patience.is_over():
            time.sleep(0.03)
        members |= {process.pid: process for process in family(home, name)}
    rest = [process for process in members.values() if is_alive(process)]
    wait_until_dead(rest, 1.0 if leader is not None else 0.0)
    for process in rest:
        with suppress(psutil.NoSuchProcess):
            if is_alive(process):
                process.kill()
    wait_until_dead(rest, 5.0)
    _record(home, name).unlink(missing_ok=True)
    if leader is not None and (child := _children.pop(leader.pid, None)) is not None:
        child.poll()  # it can have died between the last poll and the last look
    return bool(members)


def wait_until_dead(processes: Iterable[psutil.Process], timeout: float) -> bool:
    """Wait until none of them runs; False when some still do after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    waiting = list(processes)
    while waiting := [process for process in waiting if is_alive(process)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def memory_bytes(processes: Iterable[psutil.Process]) -> int:
    """Memory of the processes together; memory that they share is counted once where the system can tell."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            try:
                full = process.memory_full_info()
                total += getattr(full, "pss", full.uss)
            except psutil.AccessDenied:
                total += process.memory_info().rss
    return total


def last_lines(log: Path, *, since: int = 0, count: int = 15) -> str:
    """The last lines that a process wrote after the first `since` bytes of its log."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(since if since <= log.stat().st_size else 0)
        return "\n".join(file.read().decode(errors="replace").strip().splitlines()[-count:])


def _record(home: Home, name: str) -> Path:
    return home.run / f"{name}.json"


def _names(process: psutil.Process, home: Home) -> bool:
    with suppress(psutil.AccessDenied):
        return any(str(home.path) in argument for argument in process.cmdline())
    return False


def _is_zombie(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True
