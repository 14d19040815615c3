"""Which loopback port each server listens on.

A configured port (an environment variable) is used or refused. Any other port is the one of the last start, else the
default, else a free one: the stack never fails because somebody else's Postgres runs.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass

from local_stack.errors import LocalStackError, PortTakenError

HOST = "127.0.0.1"
GRPC_OFFSET = 10_000
_FREE_PORTS = range(
    15_000, 31_000
)  # below the kernel's own ephemeral ports, and so is port + GRPC_OFFSET on most systems
_TRIES = 200
_LETTING_GO_SECONDS = 3.0


@dataclass(frozen=True)
class PortRule:
    """How one port is chosen; `offsets` are the further ports that the same server opens relative to it."""

    name: str
    default: int
    variable: str | None = None
    offsets: tuple[int, ...] = (0,)

    def configured(self, environ: Mapping[str, str]) -> int | None:
        """The port that the environment asks for, or None."""
        text = environ.get(self.variable, "") if self.variable else ""
        if not text:
            return None
        highest = 65_535 - max(self.offsets)
        if not text.isdecimal() or not 1 <= int(text) <= highest:
            raise LocalStackError(
                f"{self.variable}={text!r} is not a port number from 1 to {highest}.",
                f"Set {self.variable} to a free port, or unset it.",
            )
        return int(text)

    def busy(self, port: int) -> int | None:
        """The first port of this rule that is in use when the server gets `port`, or None."""
        return next((port + offset for offset in self.offsets if is_busy(port + offset)), None)

    def busy_after(self, port: int, seconds: float) -> int | None:
        """Like `busy`, after giving a process that just died some time to let go: its threads end one by one."""
        deadline = time.monotonic() + seconds
        while (busy := self.busy(port)) is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        return busy


_GRPC = (0, GRPC_OFFSET)
RULES = {
    rule.name: rule
    for rule in (
        PortRule("postgres", 25432, "LOCAL_STACK_POSTGRES_PORT"),
        PortRule("elasticsearch", 25920, "LOCAL_STACK_ELASTICSEARCH_PORT"),
        PortRule("elasticsearch_transport", 26020),
        PortRule("s3", 25833, "LOCAL_STACK_S3_PORT", _GRPC),
        PortRule("s3_master", 25701, None, _GRPC),
        PortRule("s3_volume", 25702, None, _GRPC),
        PortRule("s3_filer", 25703, None, _GRPC),
        PortRule("s3_admin", 25704, None, _GRPC),
        PortRule("snowflake", 25443, "LOCAL_STACK_SNOWFLAKE_PORT"),
        PortRule("crm", 25880, "LOCAL_STACK_CRM_PORT"),
        PortRule("airflow", 8080, "LOCAL_STACK_AIRFLOW_PORT"),
    )
}


def is_busy(port: int) -> bool:
    """Whether something listens on `port`, on loopback or on all addresses."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((HOST, port)) == 0:
            return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's TIME_WAIT is not busy
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def choose(
    rule: PortRule,
    *,
    kept: int | None,
    taken: Set[int],
    prefer_default: bool,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """The port for a server that is about to start.

    Args:
        rule: the port to choose.
        kept: the port of the last start.
        taken: ports promised to other servers of this stack, not necessarily open yet.
        prefer_default: try the default before a free port.
        environ: where configured ports are read from.

    Raises:
        PortTakenError: the configured port, or one that comes with it, is in use.
    """
    configured = rule.configured(environ)
    if configured is not None:
        if (busy := rule.busy_after(configured, _LETTING_GO_SECONDS if configured == kept else 0)) is not None:
            which = f"Port {busy}" if busy == configured else f"Port {busy} (the gRPC side of {configured})"
            raise PortTakenError(
                f"{which} is in use by another process, and {rule.variable}={configured} asks for it ({rule.name}).",
                f"Stop that process, set {rule.variable} to a free port, or unset it so that a free one is chosen.",
            )
        return configured
    candidates = [port for port in (kept, rule.default if prefer_default else None) if port is not None]
    candidates += random.sample(_FREE_PORTS, _TRIES)
    for port in candidates:
        is_promised = any(port + offset in taken for offset in rule.offsets)
        if not is_promised and rule.busy_after(port, _LETTING_GO_SECONDS if port == kept else 0) is None:
            return port
    raise LocalStackError(
        f"No free port was found for {rule.name} after {_TRIES} tries.",
        "Stop other servers on this machine, or configure a port"
        + (f" with {rule.variable}." if rule.variable else "."),
    )
