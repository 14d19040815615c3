"""The Snowflake emulator, the only emulator of the stack: fakesnow behind TLS; see `snowflake_server`."""

from __future__ import annotations

import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from local_stack import certificates
from local_stack.ports import HOST
from local_stack.servers.base import Server, python_environ, python_module

DATABASE = "PIPELINES"
SCHEMA = "PUBLIC"
USER = "local_stack"


class SnowflakeEmulator(Server):
    """fakesnow on disk; the database PIPELINES with the schema PUBLIC exists from the start."""

    name: ClassVar[str] = "snowflake"
    title: ClassVar[str] = "Snowflake emulator"
    port_names: ClassVar[tuple[str, ...]] = ("snowflake",)

    def prepare(self, tell: Callable[[str], None]) -> None:
        """Issue the certificate on the first start."""
        certificates.ensure(self.home)
        self.data.mkdir(exist_ok=True, mode=0o700)
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(mode=0o700)

    def command(self) -> list[str]:
        """The wrapper's module; it reads ports and secrets from the stack's state."""
        return python_module("local_stack.servers.snowflake_server", f"--home={self.home.path}")

    def environ(self) -> dict[str, str]:
        """The child imports this package; fakesnow never removes the temporary folder that it makes at each start."""
        return {**python_environ(), "TMPDIR": str(self._temporary)}

    @property
    def _temporary(self) -> Path:
        return self.home.run / "snowflake"

    def is_healthy(self) -> bool:
        """Whether it answers over TLS with the stack's certificate (404: there is nothing at /)."""
        context = ssl.create_default_context(cafile=str(certificates.authority_file(self.home)))
        try:
            with urllib.request.urlopen(f"https://{HOST}:{self.port}/", context=context, timeout=20):
                return True
        except urllib.error.HTTPError as error:
            return error.code == 404
