"""A real SMTP server on this machine, as Airflow's connection `smtp_default` needs it."""

from __future__ import annotations

import email
import email.policy
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


class Mailbox:
    """Takes every mail."""

    def __init__(self) -> None:
        self.mails = list[tuple[list[str], EmailMessage]]()
        with socket.socket() as free:  # the controller itself connects to the port that it was given
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append((envelope.rcpt_tos, message))
        return "250 taken"

    @property
    def connection(self) -> str:
        """As JSON, for `AIRFLOW_CONN_SMTP_DEFAULT`."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.org"}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": extra})


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """Runs until the block ends."""
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    server.start()
    try:
        yield mailbox
    finally:
        server.stop()
