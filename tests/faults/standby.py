"""A real Postgres primary and a standby that streams from it, on loopback ports, from the wheel's own programs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from local_stack.home import Home
from local_stack.servers.postgres import Postgres, program
from local_stack.state import State

_INITDB = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username=postgres")
_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "timezone=UTC",
    "shared_buffers=16MB",
)


class Cluster:
    """One server; its data goes with it."""

    def __init__(self, folder: Path, owner: Postgres) -> None:
        self.folder, self._account = folder, owner.account
        self.port = _free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def initialise(self) -> None:
        """As a new primary."""
        self._run("initdb", "-D", str(self.data), *_INITDB)

    def copy(self, primary: Cluster) -> None:
        """As a standby that streams from another one."""
        self._run("pg_basebackup", "-D", str(self.data), "-R", "--checkpoint=fast", "-d", primary.url)

    def start(self) -> None:
        """Returns when it answers."""
        options = " ".join(f"-c {setting}" for setting in (*_SETTINGS, f"port={self.port}"))
        self._run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """`immediate`: as if the machine were gone."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-w", "-D", str(self.data), "-m", mode)

    def promote(self) -> None:
        """A standby becomes a primary; returns when it takes writes."""
        self._run("pg_ctl", "promote", "-w", "-D", str(self.data))

    def execute(self, text: str) -> list[tuple[object, ...]]:
        """Rows of a statement, as the superuser."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def _run(self, name: str, *arguments: str) -> None:
        account = self._account
        done = subprocess.run(
            [str(program(name)), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the server inherits it: a pipe would never end
            stderr=subprocess.DEVNULL,
            check=False,
            env={key: value for key, value in os.environ.items() if not key.startswith("PG")},
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        log = self.folder / "log"
        assert done.returncode == 0, f"{name} ended with {done.returncode}: {log.read_text() if log.exists() else ''}"


@contextmanager
def primary_and_standby(stack_home: Path) -> Iterator[tuple[Cluster, Cluster]]:
    """Both run; the standby has all that the primary had when it was copied, and streams."""
    home = Home.at(stack_home)
    owner = Postgres(home, State.load(home))
    folder = Path(tempfile.mkdtemp(prefix="standby-"))
    folder.chmod(0o711)
    clusters = [Cluster(folder / name, owner) for name in ("primary", "standby")]
    try:
        for cluster in clusters:
            cluster.folder.mkdir()
            if owner.account is not None:
                os.chown(cluster.folder, owner.account.uid, owner.account.gid)
        primary, standby = clusters
        primary.initialise()
        primary.start()
        standby.copy(primary)
        standby.start()
        yield primary, standby
    finally:
        for cluster in reversed(clusters):
            cluster.stop()
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
