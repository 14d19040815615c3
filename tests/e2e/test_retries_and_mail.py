"""What a failing task does under real Airflow: how often it is tried, after which delays, and who gets which e-mail."""

from __future__ import annotations

import email
import email.policy
import json
import os
import secrets
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from psycopg.rows import dict_row

from include.orchestration.retries import JITTER
from local_stack.home import REPO
from tests.e2e.conftest import Bench, bundles

pytestmark = pytest.mark.e2e

DAG_ID = "retried_in_tests"
DAGS = Path(__file__).with_name("failing")
BUNDLES = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"
RECIPIENTS = ["ops@example.org", "data@example.org"]


class Mailbox:
    """Takes every mail, from those who know the password."""

    def __init__(self, password: str) -> None:
        self.password, self.mails = password, list[tuple[list[str], EmailMessage]]()

    def login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: LoginPassword) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (b"mailer", self.password.encode()))

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append((envelope.rcpt_tos, message))
        return "250 taken"


class Outcome:
    """One run of the DAG: its mails, the tries of its tasks, and everything it printed."""

    def __init__(self, mailbox: Mailbox, tries: list[dict[str, Any]], output: str, secret: str) -> None:
        self.mails, self.tries, self.output = mailbox.mails, tries, output
        self.secrets = [secret, mailbox.password]

    def of(self, task_id: str) -> list[dict[str, Any]]:
        return [found for found in self.tries if found["task_id"] == task_id]

    def mailed(self, task_id: str) -> list[EmailMessage]:
        return [message for _, message in self.mails if f" {task_id} " in f"{message['Subject']} "]


@pytest.fixture(scope="module")
def outcome(bench: Bench) -> Iterator[Outcome]:
    """`dag.test()` runs callbacks, retries and their delays as a worker and the scheduler do, in one process."""
    mailbox, secret = Mailbox(secrets.token_hex(12)), secrets.token_hex(12)
    with socket.socket() as free:  # the controller itself connects to the port that it was given
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        authenticator=mailbox.login,
        auth_require_tls=False,
        auth_required=True,
    )
    warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")  # there is nobody to listen in between
    server.start()
    smtp = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "login": "mailer",
        "password": mailbox.password,
        "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.org"},
    }
    # `dag.test()` switches off, in Airflow's database, every bundle that this process doesn't name
    named = {bundle["name"] for bundle in json.loads(bench.env[BUNDLES])}
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"from {DAG_ID} import dag; print(dag.test().state)"],
            env={
                **os.environ,
                **bench.env,
                "PYTHONPATH": os.pathsep.join([str(DAGS), str(REPO)]),
                "AIRFLOW_CONN_SMTP_DEFAULT": json.dumps(smtp),
                BUNDLES: bundles({"e2e": bench.home.path / "e2e" / "dags", "tests": DAGS}),
                "SECRET_OF_THE_TEST": secret,
            },
            cwd=REPO,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.stop()
    output = done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "failed", output[-3000:]
    metadata = bench.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    with psycopg.connect(metadata, row_factory=dict_row) as connection:
        tries = connection.execute(
            "SELECT task_id, try_number, state, retry_delay_override AS delay, start_date FROM task_instance_history "
            "WHERE dag_id = %(dag)s UNION ALL SELECT task_id, try_number, state, NULL, start_date FROM task_instance "
            "WHERE dag_id = %(dag)s ORDER BY task_id, try_number",
            {"dag": DAG_ID},
        ).fetchall()
        switched_on = connection.execute("SELECT name FROM dag_bundle WHERE active").fetchall()
    assert named <= {bundle["name"] for bundle in switched_on}, "Airflow would drop every DAG of the stack"
    yield Outcome(mailbox, tries, output, secret)
    bench.api.call("DELETE", f"/dags/{DAG_ID}")


def test_a_terminal_error_makes_exactly_one_try(outcome: Outcome) -> None:
    assert [(found["try_number"], found["state"]) for found in outcome.of("refused")] == [(1, "failed")]


def test_a_transient_error_is_tried_again_after_growing_delays(outcome: Outcome) -> None:
    tries = outcome.of("unavailable")
    assert [found["try_number"] for found in tries] == [1, 2, 3]
    assert tries[-1]["state"] == "failed"
    delays = [found["delay"] for found in tries[:-1]]
    for delay, step in zip(delays, (2, 4), strict=True):
        assert step * (1 - JITTER) <= delay <= step * (1 + JITTER)
    # the fixed delay was really waited for
    for (earlier, later), delay in zip(pairwise(tries), delays, strict=True):
        assert (later["start_date"] - earlier["start_date"]).total_seconds() >= delay


def test_everybody_on_the_list_hears_of_every_retry_and_failure(outcome: Outcome) -> None:
    assert [recipients for recipients, _ in outcome.mails] == [RECIPIENTS] * 4
    assert [str(mail["Subject"]).split()[0] for mail in outcome.mailed("unavailable")] == [
        "[retry]",
        "[retry]",
        "[failed]",
    ]
    (failure,) = outcome.mailed("refused")
    assert str(failure["Subject"]) == f"[failed] {DAG_ID} refused 2013-03-09 05:00 → 06:00"
    assert str(failure["From"]) == "airflow@example.org"


def test_the_mail_says_cause_and_remedy_and_escapes_them(outcome: Outcome) -> None:
    (failure,) = outcome.mailed("refused")
    body = failure.get_body(("html",)).get_content()
    assert "The bucket &#39;a&lt;b&gt;&amp;c&#39; is not there" in body
    assert "What to do: Create the bucket, or correct bucket in the pipeline&#39;s stage" in body
    assert "try 1" in body
    assert f"/dags/{DAG_ID}/runs/" in body
    retry = outcome.mailed("unavailable")[0].get_body(("html",)).get_content()
    assert "Elasticsearch did not answer [orders]" in retry


def test_no_mail_holds_a_secret(outcome: Outcome) -> None:
    for _, message in outcome.mails:
        text = message.as_string() + message.get_body(("html",)).get_content()
        for secret in outcome.secrets:
            assert secret not in text
    assert outcome.secrets[1] not in outcome.output
