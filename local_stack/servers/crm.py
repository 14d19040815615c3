"""The simulated CRM, `local_stack.crm`, as a server of the stack."""

from __future__ import annotations

from typing import ClassVar

from local_stack.ports import HOST
from local_stack.servers.base import Server, http_status, python_environ, python_module


class Crm(Server):
    """One process of 30 MB; its data is computed when somebody asks for it."""

    name: ClassVar[str] = "crm"
    title: ClassVar[str] = "CRM simulator"
    port_names: ClassVar[tuple[str, ...]] = ("crm",)

    @property
    def url(self) -> str:
        """Below it are /td, /uc and /control."""
        return f"http://{HOST}:{self.port}"

    def command(self) -> list[str]:
        """The module; it reads port and secrets from the stack's state."""
        return python_module("local_stack.crm.serve", f"--home={self.home.path}")

    def environ(self) -> dict[str, str]:
        """The child imports this package."""
        return python_environ()

    def is_healthy(self) -> bool:
        """Whether it answers."""
        return http_status(f"{self.url}/health") == 200
