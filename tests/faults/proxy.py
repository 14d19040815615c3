"""A TCP proxy in front of one server that counts its answers and does something evil to one of them.

An *answer* is what the server sends after the client has sent something: one turn of the conversation, whatever the
protocol (an HTTP answer, a step of a TLS handshake, the results of a statement). A fault hits an answer that has
reached the proxy: the server has done what it was asked, and the client doesn't learn it.
"""

from __future__ import annotations

import ctypes
import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Self

_DELAY_SECONDS = 0.3
_CHUNK = 256 * 1024
_SO_ATTACH_FILTER = 26
_DROP_EVERYTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # one instruction of classic BPF: keep 0 bytes of each packet


class Fault(StrEnum):
    """What happens to the answer."""

    CUT = "cut"
    """Both directions are closed, politely, instead of the answer."""
    RESET = "reset"
    """The client gets a TCP reset instead of the answer."""
    DELAY = "delay"
    """The answer comes a little later: nothing may fail."""
    HALF_OPEN = "half-open"
    """The client's peer vanishes: not a byte comes any more, not even acknowledgements; the server notices nothing."""
    SILENT = "silent"
    """The connection stays open and alive, but no answer ever comes."""
    TRUNCATE = "truncate"
    """The first half of the answer comes, then the connection is closed."""
    OUTAGE = "outage"
    """As `CUT`, and every further connection is closed at once, until `release`."""


class Proxy:
    """Listens on a free loopback port and forwards to a server; one fault at a time.

    Args:
        host: The server's.
        port: The server's.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._at = 0
        self._is_out = False
        self._held: list[socket.socket] = []
        self._open: set[socket.socket] = set()
        self.answers = 0
        self.has_fired = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.release()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def arm(self, fault: Fault, at: int = 1) -> None:
        """Count from zero, and hit the `at`-th answer from now on with a fault."""
        with self._lock:
            self._fault, self._at, self.answers = fault, at, 0
            self.has_fired.clear()

    def release(self) -> None:
        """Healthy from now on: no fault waits, an outage is over; what a fault held open is let go."""
        with self._lock:
            self._fault, self._is_out, self.answers = None, False, 0
            held, self._held = self._held, []
        for connection in held:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        pair = {client, server}
        with self._lock:
            self._open |= pair
        try:
            self._converse(client, server)
        except OSError:
            pass  # one side has gone: so does the other
        finally:
            with self._lock:
                self._open -= pair
                kept = set(self._held)
            for connection in pair - kept:
                connection.close()

    def _converse(self, client: socket.socket, server: socket.socket) -> None:
        for connection in (client, server):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        is_asked = False
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            while not self._is_out:
                for key, _ in selector.select(0.2):
                    data = (client if key.fileobj is client else server).recv(_CHUNK)
                    if not data:
                        return
                    if key.fileobj is client:
                        is_asked = True
                        server.sendall(data)
                    elif is_asked:
                        is_asked = False
                        if not self._answer(client, server, data):
                            return
                    else:
                        client.sendall(data)

    def _answer(self, client: socket.socket, server: socket.socket, data: bytes) -> bool:
        """Whether the conversation goes on."""
        with self._lock:
            self.answers += 1
            fault = self._fault if self._fault and self.answers == self._at else None
            if fault:
                self._fault = None
                self._is_out = fault is Fault.OUTAGE
                if fault in (Fault.HALF_OPEN, Fault.SILENT):
                    self._held += [client, server]
        if fault is Fault.DELAY:
            time.sleep(_DELAY_SECONDS)
        elif fault is Fault.HALF_OPEN:
            _make_deaf(client)
        elif fault is Fault.TRUNCATE:
            client.sendall(data[: len(data) // 2])
        elif fault is Fault.RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if fault:
            self.has_fired.set()
        if fault in (None, Fault.DELAY):
            client.sendall(data)
            return True
        return False


def _make_deaf(connection: socket.socket) -> None:
    """The kernel drops every packet that comes for this socket: for the peer it is as if the host had lost power."""
    program = ctypes.create_string_buffer(_DROP_EVERYTHING)
    connection.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


@contextmanager
def proxies(**servers: tuple[str, int]) -> Iterator[dict[str, Proxy]]:
    """One running proxy for each server, by the servers' names."""
    running = {name: Proxy(*address) for name, address in servers.items()}
    for proxy in running.values():
        proxy.__enter__()
    try:
        yield running
    finally:
        for proxy in running.values():
            proxy.__exit__()
