"""`run --local` on the command line, over a real ledger, Elasticsearch, files and Postgres."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from include.cli.__main__ import main
from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.implementation_modules.object_storage.stage import ObjectStorageStage
from include.implementation_modules.object_storage.storage import LocalStorage
from include.implementation_modules.postgres.target import PostgresTarget
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.errors import ServiceUnavailableError
from include.pipeline_framework.tasks import run_range
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.wiring import assembly

pytestmark = pytest.mark.integration

INSTANTS = ("2013-03-10T04:59:59Z", "2013-03-10T05:00:00Z", "2013-03-10T09:15:00Z", "2013-03-11T03:59:59Z")
"""One document before the local day of 23 hours, on its first instant, in it, and on its last second."""


@pytest.fixture
def table(elasticsearch_url: str, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"run_{uuid.uuid4().hex}"
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.create(index=name, mappings={"properties": {"@timestamp": {"type": "date"}}})
        for number, instant in enumerate(INSTANTS):
            client.index(index=name, id=str(number), document={"@timestamp": instant})
        client.indices.refresh(index=name)

        def pipeline(pipeline_id: str) -> Pipeline:
            return Pipeline(
                assembly.parsed_config(pipeline_id),
                PostgresLifecycleStore(lambda: psycopg.connect(ledger_url)),
                ElasticsearchSource(client, ElasticsearchSource.Options(index=name)),
                ObjectStorageStage(LocalStorage(str(tmp_path)), ObjectStorageStage.Options(path=str(tmp_path))),
                PostgresTarget(lambda: psycopg.connect(ledger_url), PostgresTarget.Options(table=name)),
            )

        monkeypatch.setattr(assembly, "pipeline", pipeline)
        yield name
        client.indices.delete(index=name)
    with psycopg.connect(ledger_url) as connection:
        for part in ("", "__window_guard"):
            connection.execute(f'DROP TABLE IF EXISTS "{name}{part}"'.encode())


def loaded(ledger_url: str, table: str) -> list[str]:
    with psycopg.connect(ledger_url) as connection:
        return [row[0] for row in connection.execute(f'SELECT _id FROM "{table}" ORDER BY 1'.encode())]


def test_a_day_is_loaded_and_both_ends_are_compared(
    table: str, ledger_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "flights", "--day", "2013-03-10", "--local"]) == 0
    told = capsys.readouterr()
    assert "flights: 23 windows: 23 completed; 3 rows; " in told.out
    assert told.out.endswith("rows in the range now: source 3, target 3: equal\n")
    lines = told.err.splitlines()
    assert len(lines) == 23
    assert lines[-1] == "23/23 2013-03-10 23:00-04:00 → 2013-03-11 00:00-04:00 COMPLETED: 1 rows"
    assert loaded(ledger_url, table) == ["1", "2", "3"]

    assert main(["run", "main", "--day", "2013-03-10", "--local"]) == 0
    assert "no claimable window in the asked ranges: {'COMPLETED': 23}" in capsys.readouterr().out

    again = ["--from", "2013-03-10", "--to", "2013-03-10", "--replace", "--reason", "a correction"]
    assert main(["run", "data_pipeline_main", *again, "--local", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["windows"], found["source_rows"], found["target_rows"]) == ({"COMPLETED": 23}, 3, 3)
    assert loaded(ledger_url, table) == ["1", "2", "3"]


def test_a_window_that_fails_is_told_with_its_error(
    table: str, elasticsearch_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Elasticsearch(elasticsearch_url) as client:
        body = b'{"@timestamp": "2013-03-10T09:15:00Z", "name": "\\ud800"}'
        headers = {"content-type": "application/json", "accept": "application/json"}
        client.perform_request("PUT", f"/{table}/_doc/bad?refresh=true", body=body, headers=headers)
    assert main(["run", "main", "--from", "2013-03-10T09:00:00Z", "--to", "2013-03-10T11:00:00Z", "--local"]) == 1
    told = capsys.readouterr().out
    assert "2 windows: 1 pending, 1 completed; 0 rows" in told
    assert "2013-03-10 05:00-04:00 → 06:00-04:00 PENDING: run: BadDocumentError: " in told
    assert "not finished in the range: 1 PENDING; `status main --missing` says why" in told
    assert "rows in the range now: source 2, target 0: not every window of the range is loaded" in told


@pytest.mark.usefixtures("table")
def test_the_result_is_told_although_an_end_can_not_be_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def down(*_: object) -> int:
        raise ServiceUnavailableError("the source is down")

    moved = run_range.run_locally

    def then_down(pipeline: Pipeline, *arguments: Any, **options: Any) -> Any:
        report = moved(pipeline, *arguments, **options)
        monkeypatch.setattr(ElasticsearchSource, "count", down)
        return report

    monkeypatch.setattr(run_range, "run_locally", then_down)
    assert main(["run", "flights", "--day", "2013-03-10", "--local"]) == 0
    told = capsys.readouterr()
    assert "23 windows: 23 completed; 3 rows" in told.out
    assert "rows in the range now" not in told.out
    assert "could not count both ends: the source is down" in told.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "run needs --day, or --from and --to"),
        (("--from", "2013-03-10"), "run needs --day, or --from and --to"),
        (("--day", "2013-03-10", "--to", "2013-03-11"), "run needs --day, or --from and --to"),
        (("--from", "2013-03-10", "--to", "2013-02-30"), "--to '2013-02-30' is not a date"),
        (("--day", "2013-13-10"), "--day '2013-13-10' is not a date"),
        (("--day", "2013-03-10", "--replace"), "replace needs a reason"),
        (("--day", "2020-03-10"), "end_date"),
    ],
)
def test_what_is_asked_wrongly(words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "main", *words, "--local"]) == 2
    assert says in capsys.readouterr().err
