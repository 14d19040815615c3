"""Overdue windows on real servers: the task's body, the ledger in Postgres, and a real SMTP server for the mails."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import psycopg
import pytest

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.orchestration import alarm_tasks, task_runs
from include.pipeline_framework.config.loader import LoadedPipelines
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import TerminalError
from include.pipeline_framework.tasks.planning import insert_windows
from include.wiring import assembly
from tests.mailbox import Mailbox, mail_server
from tests.unit.tasks.world import config, window

pytestmark = pytest.mark.integration

PLANNER = Actor("daily_planner", "planner-run", "plan")


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with mail_server() as found:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", found.connection)
        yield found


@pytest.fixture
def two_pipelines(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with two windows that never ran, and one with nothing."""
    asked = {"overdue_after": "6h", "fill_missing_days": False, "email_list": ["ops@example.org", "data@example.org"]}
    late = config(**asked)
    good = config(pipeline_id="good", source_object="orders", **asked)
    configs = {"main": late, "good": good}
    monkeypatch.setattr(assembly, "all_configs", lambda: LoadedPipelines(configs, {}))
    monkeypatch.setattr(assembly, "parsed_config", configs.__getitem__)
    context = {"ti": SimpleNamespace(log_url="http://airflow/log")}
    monkeypatch.setattr(alarm_tasks, "get_current_context", lambda: context)
    monkeypatch.setattr(task_runs, "conf", dict)
    store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    insert_windows(late, [window(0), window(1)], store, PLANNER)
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        connection.execute("UPDATE pipeline_lifecycle SET last_error = '<b>{{ 1 + 1 }}</b>'")
    store.close()


def test_one_mail_per_pipeline_with_a_table_and_not_again(two_pipelines: None, mailbox: Mailbox) -> None:
    good, late = alarm_tasks.find_overdue()
    assert alarm_tasks.report_overdue(good) == "nothing of orders is overdue"
    for _ in range(2):
        with pytest.raises(TerminalError, match="2 windows are overdue"):
            alarm_tasks.report_overdue(late)
        good, late = alarm_tasks.find_overdue()
    ((recipients, message),) = mailbox.mails
    assert recipients == ["ops@example.org", "data@example.org"]
    assert str(message["Subject"]) == "[overdue] data_pipeline_main flights: 2 windows"
    body = message.get_body(("html",))
    assert body is not None
    text = body.get_content()
    assert "2013-03-09 00:00-05:00 → 01:00-05:00" in text
    assert "&lt;b&gt;{{ 1 + 1 }}&lt;/b&gt;" in text  # neither HTML nor a template
    assert "http://airflow/log" in text
