"""Postgres servers of a test's own, beside the stack's: a primary, and standbys that follow it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from local_stack.home import Home
from local_stack.ports import HOST
from local_stack.servers.postgres import Postgres, program
from local_stack.state import State

DATABASE = "app"


@dataclass
class PostgresServer:
    """One running cluster; `url` is its superuser's."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{HOST}:{self.port}/{DATABASE}"

    def run(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> PostgresServer:
        settings = {
            "port": str(self.port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
            "fsync": "off",
            "timezone": "UTC",
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = (self.folder.parent / f"{self.folder.name}.log").open("ab")
        self.process = _spawn([str(program("postgres")), "-D", str(self.folder), *options], stdout=log, stderr=log)
        self.wait_until("SELECT 1", 1, database="postgres")
        return self

    def stop(self) -> None:
        """As if the machine went away."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def standby(self, name: str) -> PostgresServer:
        """A copy that follows this server."""
        folder = self.folder.parent / name
        target = f"host={HOST} port={self.port} user=postgres"
        _run([str(program("pg_basebackup")), "-d", target, "-D", str(folder), "-R", "-X", "stream", "-c", "fast"])
        port = _free_port()
        return PostgresServer(folder, port).start()

    def wait_until(self, sql: str, wanted: Any, *, database: str = DATABASE) -> None:
        """Ask again and again; a server that has died is an error at once."""
        while True:
            try:
                with psycopg.connect(self.url.replace(f"/{DATABASE}", f"/{database}"), autocommit=True) as connection:
                    if connection.execute(sql.encode()).fetchone() == (wanted,):
                        return
            except psycopg.OperationalError:
                if self.process is None or self.process.poll() is not None:
                    raise
            time.sleep(0.05)

    def has_replayed(self, primary: PostgresServer) -> None:
        """Wait until everything that the primary has written by now is here, too."""
        ((position,),) = primary.run("SELECT pg_current_wal_flush_lsn()::text")
        self.wait_until(f"SELECT pg_last_wal_replay_lsn() >= '{position}'", True)


@contextmanager
def primary() -> Iterator[PostgresServer]:
    """A new cluster with one empty database; it and its standbys are gone afterwards."""
    base = Path(tempfile.mkdtemp(prefix="postgres-servers-"))
    base.chmod(0o711)
    port = _free_port()
    server = PostgresServer(base / "primary", port)
    if account := _account():
        os.chown(base, account.uid, account.gid)
    try:
        _run([str(program("initdb")), "-D", str(server.folder), "-U", "postgres", "-A", "trust", "--no-sync"])
        server.start()
        with psycopg.connect(server.url.replace(f"/{DATABASE}", "/postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        yield server
    finally:
        for pid in base.glob("*/postmaster.pid"):
            _kill(int(pid.read_text().split()[0]))
        shutil.rmtree(base, ignore_errors=True)


def _kill(pid: int) -> None:
    subprocess.run(["kill", "-QUIT", str(pid)], check=False, capture_output=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _account() -> Any:
    return Postgres(Home.at(tempfile.gettempdir()), State(ports={}, secrets={})).account


def _as_account() -> dict[str, Any]:
    account = _account()
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _spawn(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd="/", env=_environ(), **_as_account(), **options)


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, cwd="/", env=_environ(), capture_output=True, text=True, check=False, **_as_account()
    )
    assert done.returncode == 0, done.stderr
