"""`sql` on a real ledger and on targets: what it prints, and that it changes nothing."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from include.cli.__main__ import main
from include.implementation_modules.postgres.target import PostgresTarget
from include.wiring import assembly

pytestmark = pytest.mark.integration


def test_the_ledger_is_read(ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--target-date", "2013-03-10"]) == 0
    capsys.readouterr()
    query = "select source_object, count(*) as windows from pipeline_lifecycle where key_x like '%' group by 1"
    assert main(["sql", query, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"source_object": "flights", "windows": 23}]
    assert main(["sql", "select id from pipeline_lifecycle order by id", "--limit", "2"]) == 0
    shown = capsys.readouterr()
    assert (len(shown.out.splitlines()), "there are more" in shown.err) == (3, True)
    assert main(["sql", "select id from pipeline_lifecycle where false"]) == 0
    assert capsys.readouterr().out == "no rows\n"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("delete from pipeline_lifecycle", "Only queries are run here"),
        ("with gone as (delete from pipeline_lifecycle returning 1) select * from gone", "takes no writes"),
        ("select * from nowhere", "nowhere"),
        ("select 1; select 2", "several statements"),
    ],
)
def test_nothing_is_changed(ledger_url: str, capsys: pytest.CaptureFixture[str], query: str, said: str) -> None:
    assert main(["plan", "--target-date", "2013-03-10"]) == 0
    capsys.readouterr()
    assert main(["sql", query]) == 2
    assert said in capsys.readouterr().err
    with psycopg.connect(ledger_url) as connection:
        assert connection.execute("SELECT count(*) FROM pipeline_lifecycle").fetchone() == (23,)


@pytest.fixture
def target(scratch_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A Postgres as the target of the flights."""
    options = PostgresTarget.Options(table="flights")
    found = PostgresTarget(lambda: psycopg.connect(scratch_postgres_url), options)
    found.prepare("flights")
    monkeypatch.setattr(assembly, "target", lambda _config: found)
    return scratch_postgres_url


def test_a_target_is_read(target: str, ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    query = "select count(*) as n, '100%' as share from flights"
    assert main(["sql", "--target", "main", query, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": 0, "share": "100%"}]
    assert main(["sql", "--target", "nobody", "select 1"]) == 2
    assert "there is no pipeline 'nobody'" in capsys.readouterr().err
    gone = "with gone as (delete from flights_receipts returning 1) select count(*) from gone"
    assert main(["sql", "--target", "main", gone]) == 2
    capsys.readouterr()
    with psycopg.connect(target) as connection:
        assert connection.execute("SELECT count(*) FROM flights_receipts").fetchone() == (1,)


def test_a_target_that_answers_no_queries(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(assembly, "target", lambda _config: object())
    assert main(["sql", "--target", "main", "select 1"]) == 2
    assert "answer no queries here" in capsys.readouterr().err


def test_the_statement_may_come_from_stdin(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stdin:
        def read(self) -> Any:
            return "select 7 as n;\n"

    monkeypatch.setattr("sys.stdin", Stdin())
    assert main(["sql", "-", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": 7}]
