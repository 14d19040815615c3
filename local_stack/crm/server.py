"""The simulated CRM over HTTP: tokens and reports below /td and /uc, and the control routes for tests.

A thread per connection of the standard library's server: it starts in milliseconds, and a handler may break its own
connection in every way that a fault asks for.
"""

from __future__ import annotations

import json
import secrets
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local_stack.crm.answers import Answered, answer_report, json_answer
from local_stack.crm.control import CrmControl
from local_stack.crm.faults import Fault, Request
from local_stack.crm.reports import SYSTEMS, Data
from local_stack.crm.service import Crm, Entry, RefusedError
from local_stack.crm.stores import DEFAULT_SEED, DEFAULT_STORES

HOST = "127.0.0.1"
LONGEST_HANG_SECONDS = 300.0
_LARGEST_REQUEST = 1_000_000
_UNREAD = frozenset({"429", "500", "503", "timeout", "garbage"})
_RESET = struct.pack("ii", 1, 0)


class CrmServer(ThreadingHTTPServer):
    """Serves one `Crm` until `stop`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, crm: Crm, port: int = 0) -> None:
        self.crm = crm
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://{HOST}:{self.server_address[1]}"

    def stop(self) -> None:
        """End the server and every open connection; called from another thread than `serve_forever`."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, to end it with the server."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget it."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the server."""
        import sys

        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: CrmServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the control routes have the log."""

    def _serve(self) -> None:
        target = urlsplit(self.path)
        query = dict(parse_qsl(target.query))
        part, _, rest = target.path.strip("/").partition("/")
        try:
            if part == "health":
                answer = json_answer(200, {"status": "ok"})
            elif part == "control":
                answer = self._control(rest, query)
            elif part in SYSTEMS and rest == "oauth/token" and self.command == "POST":
                self._token(part)
                return
            elif part in SYSTEMS and rest.startswith("reports/") and self.command == "GET":
                self._report(part, rest.removeprefix("reports/"), query)
                return
            else:
                answer = json_answer(404, {"message": "there is nothing here"})
        except RefusedError as refusal:
            answer = json_answer(refusal.status, {"message": refusal.message})
        self._send(answer)

    def _token(self, system: str) -> None:
        crm = self.server.crm
        fault = crm.faults.next_for(Request("token"))
        try:
            answer = json_answer(200, crm.issue_token(system, self._json()))
        except RefusedError as refusal:
            answer = json_answer(refusal.status, {"message": refusal.message})
        self._send_with(fault, answer)

    def _report(self, system: str, name: str, query: dict[str, str]) -> None:
        crm = self.server.crm
        entry, fault = crm.begin(system, name, query), None
        try:
            is_first_use = crm.use_token(system, self.headers.get("Authorization", ""))
            number = int(query["page"]) if query.get("page", "").isdecimal() else None
            fault = crm.faults.next_for(Request("report", name, query.get("store_code"), number, is_first_use))
            if fault and fault.kind == "token_expired":
                crm.end_token(self.headers.get("Authorization", ""))
                raise RefusedError(401, "token_expired")
            is_unread = fault is not None and fault.kind in _UNREAD
            answer = Answered(200) if is_unread else answer_report(crm, system, name, query, fault)
        except RefusedError as refusal:
            answer = json_answer(refusal.status, {"message": refusal.message})
        self._send_with(fault, answer, entry)

    def _send_with(self, fault: Fault | None, answer: Answered, entry: Entry | None = None) -> None:
        """Send the answer as the fault wants it."""
        kind = fault.kind if fault else ""
        if fault and kind in ("429", "500", "503"):
            answer = json_answer(int(kind), {"message": "not now"}, _retry_after(fault))
        elif kind == "garbage":
            answer = Answered(200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><body>Back soon</body></html>")
        elif kind == "broken":
            answer = Answered(answer.status, answer.headers, b"" if not answer.rows else answer.body[: answer.middle])
        if entry:
            entry.fault, entry.rows = kind or None, answer.rows
            entry.status = None if kind in ("timeout", "reset") else answer.status
            entry.ended_at = None if kind == "timeout" else time.time()
        if kind == "timeout":
            self._hang()
            if entry:
                entry.ended_at = time.time()
        elif fault and kind == "reset":
            self._reset(answer if fault.at == "middle" else None)
        elif kind == "truncated":
            self._write(self._head(answer) + answer.body[: answer.middle])
            self.close_connection = True
        else:
            self._send(answer)

    def _hang(self) -> None:
        """Say nothing until the client has gone, or for minutes."""
        ends_at = time.monotonic() + LONGEST_HANG_SECONDS
        self.connection.settimeout(0.1)
        while time.monotonic() < ends_at and not self.server.stopping.is_set():
            try:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.close_connection = True

    def _reset(self, answer: Answered | None) -> None:
        """End the connection as if the machine had gone, perhaps with half of an answer before."""
        if answer:
            self._write(self._head(answer) + answer.body[: answer.middle])
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            socket.close(self.connection.detach())

    def _control(self, route: str, query: dict[str, str]) -> Answered:
        crm = self.server.crm
        if self.client_address[0] != HOST:
            raise RefusedError(403, "from this machine only")
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), crm.control_token.encode()):
            raise RefusedError(401, "the control token is wrong")
        body = self._json() if self.command == "POST" else None
        try:
            return json_answer(200, _control_answer(crm, f"{self.command} {route}", query, body))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RefusedError(422, f"{type(error).__name__}: {error}") from error

    def _json(self) -> Any:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LARGEST_REQUEST:
            self.close_connection = True
            raise RefusedError(413, "too much")
        try:
            return json.loads(self.rfile.read(int(length)) or b"null")
        except ValueError as error:
            raise RefusedError(400, "this is no JSON") from error

    def _send(self, answer: Answered) -> None:
        self._write(self._head(answer) + answer.body)

    def _head(self, answer: Answered) -> bytes:
        headers = {**answer.headers, "Content-Length": str(len(answer.body)), "Date": formatdate(usegmt=True)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('',))[0]}\r\n{lines}\r\n".encode()

    def _write(self, content: bytes) -> None:
        try:
            self.wfile.write(content)
        except OSError:  # the client has gone
            self.close_connection = True


def _retry_after(fault: Fault) -> dict[str, str]:
    if fault.retry_after is None:
        return {"Retry-After": "1"} if fault.kind == "429" else {}
    seconds = fault.retry_after.removeprefix("date:")
    is_date = seconds != fault.retry_after
    return {"Retry-After": formatdate(time.time() + float(seconds), usegmt=True) if is_date else seconds}


def _control_answer(crm: Crm, route: str, query: dict[str, str], body: Any) -> Any:
    match route:
        case "GET clock":
            return crm.clock()
        case "POST clock":
            crm.set_clock(body["now"])
            return crm.clock()
        case "POST faults":
            crm.faults.set(body)
            return {}
        case "GET data":
            return crm.data.as_json()
        case "POST data":
            crm.set_data(body)
            return crm.data.as_json()
        case "GET stores":
            return crm.data.store_rows()
        case "GET log":
            return {"entries": crm.log(int(query.get("since", "0")))}
        case "GET counts":
            return {"last_id": crm.last_id, "tokens_issued": crm.tokens_issued}
        case "GET truth":
            days = (date.fromisoformat(query[name]) for name in ("from_date", "to_date"))
            return crm.truth(query["report"], query["store_code"], *days)
    raise RefusedError(404, "no such control route")


class RunningCrm:
    """A simulator in this process, for tests."""

    def __init__(self, server: CrmServer) -> None:
        self._server = server
        self.url = server.url
        self.control = CrmControl(server.url, server.crm.control_token)

    def base_url(self, system: str) -> str:
        """Where a client of `td` or `uc` begins."""
        return f"{self.url}/{system}"

    def credentials(self, system: str) -> tuple[str, str]:
        """Client id and secret."""
        return self._server.crm.clients[system]


@contextmanager
def running(
    *,
    today: date,
    stores: int = DEFAULT_STORES,
    volume: float = 1.0,
    seed: int = DEFAULT_SEED,
    now: str | None = None,
    port: int = 0,
) -> Iterator[RunningCrm]:
    """A simulator on a free port for the time of a `with` block, in a thread of this process.

    Args:
        today: The youngest store may open on this date.
        stores: How many.
        volume: Times as many orders as usual.
        seed: Of all data.
        now: ISO instant with offset at which the clock stands; None: real time.
        port: 0: a free one.
    """
    clients = {system: (f"crm_{system}", secrets.token_hex(12)) for system in SYSTEMS}
    crm = Crm(
        Data(today, seed, stores, volume),
        clients=clients,
        control_token=secrets.token_hex(12),
        now=datetime.fromisoformat(now) if now else None,
    )
    server = CrmServer(crm, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield RunningCrm(server)
    finally:
        server.stop()
        thread.join()
