"""`new` on real servers: an index and a table of other shapes become pipelines that run as they are written."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import airflow.sdk  # noqa: F401 - at its first import it keeps the standard error of that moment for its log
import psycopg
import pytest
import yaml
from elasticsearch import Elasticsearch

from include.cli import new as new_command
from include.cli.__main__ import main
from include.implementation_modules.elasticsearch.inspecting import ElasticsearchInspection
from include.pipeline_framework.config import loader
from include.pipeline_framework.errors import InvalidInputError
from tests.fake_elasticsearch import FakeElasticsearch, serve
from tests.integration.moving import wire
from tests.integration.weblogs import DAY, index

pytestmark = pytest.mark.integration


@pytest.fixture
def name(ledger_url: str) -> str:
    """Of a pipeline, its index or table, and its target's table; there is an empty ledger."""
    assert ledger_url
    return f"new_{uuid.uuid4().hex[:10]}"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own with the defaults alone; nobody sits at a terminal."""
    directory = tmp_path / "repository/include/pipelines"
    directory.mkdir(parents=True)
    shutil.copy(loader.PIPELINES_DIRECTORY / "defaults.yaml", directory)
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", directory)
    monkeypatch.setattr(new_command, "REPO", tmp_path / "repository")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return tmp_path / "repository"


@pytest.fixture
def client(elasticsearch_url: str, name: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        yield client
        for found in client.indices.get(index=f"{name}*", expand_wildcards="all"):
            client.indices.delete(index=found)


def written(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.stem != "defaults")


def next_commands(output: str) -> list[list[str]]:
    return [shlex.split(line) for line in output.rpartition("next:\n")[2].splitlines() if line.startswith("  ")]


def run_as_written(name: str, root: Path, output: str) -> list[dict[str, Any]]:
    """Follow the printed commands, the run without Airflow; the ledger's rows then."""
    preview, run, status = next_commands(output)
    assert [words[:5] for words in (preview, run, status)] == [
        ["python", "-m", "include.cli", command, name] for command in ("preview", "run", "status")
    ]
    assert main(preview[3:]) == 0
    assert run[-2:] == ["--watch", "--unpause"]
    assert main([*run[3:-2], "--local"]) == 0
    assert main(status[3:]) == 0
    pipeline = wire(root / "include/pipelines", name)
    return [dict(row.as_record()) for row in pipeline.store.find(source_object=name)]


def test_what_is_written_for_an_index_runs_as_it_is(
    client: Elasticsearch,
    name: str,
    root: Path,
    s3_bucket: str,
    snowflake_connect: Callable[[], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    index(client, name)
    words = ["--connection", "source_elasticsearch", "--index", f"{name}_alias", "--time-field", "when"]
    assert main(["new", name, *words, "--stage-bucket", s3_bucket]) == 0
    output = capsys.readouterr().out
    assert written(root) == [f"dags/data_pipeline_{name}.py", f"include/pipelines/{name}.yaml"]
    data = yaml.safe_load((root / f"include/pipelines/{name}.yaml").read_text())
    assert data["target"]["columns"] == {
        "Status": "text",
        "User_Agent": {"type": "text", "path": "User-Agent"},
        "deep_er_time_hour": {"type": "timestamp", "path": "deep.er.time_hour"},
        "event_ingested": {"type": "timestamp", "path": "event.ingested", "format": "epoch_second"},
        "event_never": {"type": "integer", "path": "event.never"},
        "groe": {"type": "number", "path": "größe"},
        "http_bytes": {"type": "text", "path": "http.bytes"},
        "http_method": {"type": "text", "path": "http.method"},
        "http_status": {"type": "integer", "path": "http.status"},
        "lines": "json",
        "postcode": "text",
        "select": "boolean",
        "status_2": {"type": "integer", "path": "status"},
        "tags": "json",
        "text_when": "text",
        "when": "timestamp",
    }
    assert (data["granularity"], data["x_time_back"], str(data["start_date"])) == ("1d", "10m", "2013-03-11")
    text = (root / f"include/pipelines/{name}.yaml").read_text()
    assert "lines: json  # an array in" in text
    assert "# event.ingested lies at most 6m" in text

    (row,) = run_as_written(name, root, output)
    assert (row["pipeline_final_status"], row["source_count"], row["target_count"]) == ("COMPLETED", 200, 200)
    with snowflake_connect() as connection, connection.cursor() as cursor:
        loaded = cursor.execute(
            f"SELECT status_2, \"SELECT\", user_agent, http_status, postcode, tags FROM {name} WHERE _id = 'd2'"
        ).fetchall()
    assert [(*row[:-1], json.loads(row[-1])) for row in loaded] == [
        (2, True, 'say "so", {x}: #', 202, "00002", ["a", "b"])
    ]


def test_what_is_written_for_a_table_runs_as_it_is(
    ledger_url: str, name: str, root: Path, s3_bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(ledger_url) as connection:
        connection.execute(
            f'CREATE TABLE {name} (key bigint PRIMARY KEY, "At" timestamptz, created_at timestamptz, local timestamp, '
            'amount numeric(9, 2), count numeric(9, 0), "a.b" int, "A_B" text, tags text[], raw jsonb, '
            "id uuid UNIQUE NOT NULL DEFAULT gen_random_uuid(), born date, xmax_ real)"
        )
        connection.execute(
            f"INSERT INTO {name} SELECT n, %s + n %% 3 * interval '1 day', %s + n %% 3 * interval '1 day 2 hours', "
            "'2013-03-09 05:30', n / 4.0, n, n, 'x', ARRAY['a'], "
            """jsonb_build_object('n', n, 'list', '[1]'::jsonb, 'in', jsonb_build_object('x', 'y'))"""
            ", gen_random_uuid(), '2013-03-09', 1.5 FROM generate_series(1, 90) AS n",
            (DAY, DAY),
        )
        connection.execute(f"INSERT INTO {name} (key, \"At\") VALUES (0, NULL), (-1, 'infinity')")
    words = ["--connection", "lifecycle_postgres", "--table", name, "--time-field", "At", "--stage-bucket", s3_bucket]
    assert (
        main(
            [
                "pipeline",
                "new",
                name,
                *words,
                "--target-connection",
                "lifecycle_postgres",
                "--target-table",
                f"{name}_t",
            ]
        )
        == 0
    )
    output = capsys.readouterr().out
    text = (root / f"include/pipelines/{name}.yaml").read_text()
    data = yaml.safe_load(text)
    assert data["source"] == {
        "type": "postgres",
        "connection_id": "lifecycle_postgres",
        "table_schema": "public",
        "table": name,
        "time_column": "At",
        "id_column": "key",
    }
    assert data["target"]["columns"] == {
        "key": "integer",
        "At": "timestamp",
        "created_at": "timestamp",
        "local": "timestamp",
        "amount": "number",
        "count": "integer",
        "a_b": {"type": "integer", "path": ["a.b"]},
        "A_B_2": {"type": "text", "path": "A_B"},
        "tags": "json",
        "id": "text",
        "born": "date",
        "xmax_2": {"type": "number", "path": "xmax_"},
        "raw_n": {"type": "integer", "path": "raw.n"},
        "raw_list": {"type": "json", "path": "raw.list"},
        "raw_in_x": {"type": "text", "path": "raw.in.x"},
    }
    assert "local: timestamp  # no time zone: taken as UTC" in text
    assert "tags: json  # an array in" in text
    assert "raw_list: {type: json, path: raw.list}  # an array in" in text
    assert "undated: 2 rows without a usable At" in text
    assert data["x_time_back"] == "6h", "created_at lies up to four hours after the event"

    (row,) = run_as_written(name, root, output)
    assert (row["pipeline_final_status"], row["source_count"], row["target_count"]) == ("COMPLETED", 30, 30)
    with psycopg.connect(ledger_url) as connection:
        loaded = connection.execute(
            f"SELECT key, a_b, a_b_2, raw_n, raw_in_x, tags, raw_list FROM {name}_t WHERE key = 2"
        ).fetchall()
    assert loaded == [(2, 2, "x", 2, "y", ["a"], [1])]


def test_an_empty_index_and_one_without_dates(
    client: Elasticsearch, name: str, root: Path, elasticsearch_url: str
) -> None:
    index(client, name, 0)
    words = ["new", name, "--connection", "source_elasticsearch", "--index", name, "--time-field", "when"]
    assert main(words) == 0
    text = (root / f"include/pipelines/{name}.yaml").read_text()
    assert "rows: 0" in text
    assert "event_never: {type: integer, path: event.never}  # long, not in the sample" in text
    assert loader.validate_all(root / "include/pipelines") == []
    client.indices.create(index=f"{name}_plain", mappings={"properties": {"n": {"type": "long"}}})
    looks = ElasticsearchInspection(client)
    shape = looks.shape(f"{name}_plain")
    with pytest.raises(InvalidInputError, match="The index has no date"):
        looks.describe(shape, "n", "UTC")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "the source's connection is not given. What to do: Give --connection"),
        (["--connection", "nowhere"], "there is no Airflow connection 'nowhere'"),
        (["--connection", "stage_s3"], "has type 'aws'"),
        (["--connection", "source_elasticsearch"], "the index is not given. Found: "),
        (["--connection", "source_elasticsearch", "--table", "t"], "Use --index, or another --connection"),
        (["--connection", "source_elasticsearch", "--index", "a", "--table", "b"], "--index and --table are given"),
        (["--index", "{name}s", "--time-field", "when"], "did you mean {name}?"),
        (
            ["--index", "{name}"],
            "event time is not given. Found: when, event.ingested, deep.er.time_hour. What to do: Give --time-field",
        ),
        (["--index", "{name}", "--time-field", "text_when"], "is mapped as text"),
        (["--index", "{name}", "--time-field", "nope"], "'nope' is not mapped"),
        (
            ["--index", "{name}", "--time-field", "lines.at"],
            "Name one of these with --time-field: when, event.ingested",
        ),
        (["--index", "{name}", "--time-field", "when", "--timezone", "Mars"], "'Mars' is not a time zone"),
        (["--index", "{name}", "--time-field", "when", "--id-column", "a"], "--id-column is for Postgres"),
        (["--index", "{name}", "--time-field", "when", "--target-table", "a b"], "target.table: "),
        (["--index", "{name}", "--time-field", "when", "--target-connection", "stage_s3"], "with --target-connection"),
        (["--connection", "wrong_password", "--table", "t"], "Postgres refused the login"),
        (["--connection", "lifecycle_postgres", "--table", "pipeline_lifecycl"], "did you mean pipeline_lifecycle?"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    client: Elasticsearch,
    name: str,
    root: Path,
    stack_env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    says: str,
) -> None:
    index(client, name, 1)
    wrong = json.loads(stack_env["AIRFLOW_CONN_ORDERS_POSTGRES"]) | {"password": "hunter2-wrong"}
    monkeypatch.setenv("AIRFLOW_CONN_WRONG_PASSWORD", json.dumps(wrong))
    if words[:1] == ["--index"]:
        words = ["--connection", "source_elasticsearch", *words]
    assert main(["new", name, *(word.format(name=name) for word in words)]) == 2
    shown = capsys.readouterr()
    assert says.format(name=name) in shown.err
    assert "hunter2" not in shown.err + shown.out
    assert written(root) == []


def test_a_refused_login_of_elasticsearch_is_no_missing_server(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"error": {"type": "security_exception", "reason": "unable to authenticate user"}}
    with serve(FakeElasticsearch(faults={"settings": lambda _answer, _number: (401, body)})) as server:
        connection = {
            "conn_type": "elasticsearch",
            "host": "127.0.0.1",
            "port": server.port,
            "password": "hunter2-secret",
        }
        monkeypatch.setenv("AIRFLOW_CONN_REFUSING", json.dumps(connection | {"login": "reader"}))
        assert main(["new", name, "--connection", "refusing", "--index", "events"]) == 2
    shown = capsys.readouterr()
    assert "HTTP 401, security_exception" in shown.err
    assert "Check login, password or API key" in shown.err
    assert "hunter2" not in shown.err + shown.out


def test_a_source_in_a_list_gets_its_dag_file_without_a_look(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "include/pipelines/many.yaml").write_text("sources: [{source_object: clicks}, {source_object: views}]")
    assert main(["new", "views"]) == 0
    assert capsys.readouterr().out == "wrote dags/data_pipeline_views.py\n"
    assert written(root) == ["dags/data_pipeline_views.py", "include/pipelines/many.yaml"]


class _Terminal(io.StringIO):
    """A person who answers."""

    def isatty(self) -> bool:
        return True


def test_a_person_is_asked_with_what_was_found(
    client: Elasticsearch, name: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    index(client, name, 3)
    monkeypatch.setattr(sys, "stdin", _Terminal(f"{name}\n\n{name}\n\n\nOWN_TABLE\n"))
    assert main(["new"]) == 0
    output = capsys.readouterr().out
    for words in (
        "The source's connection [source_elasticsearch]: ",
        "found: when, event.ingested",
        "The event time [when]: ",
    ):
        assert words in output
    data = yaml.safe_load((root / f"include/pipelines/{name}.yaml").read_text())
    assert (data["source"]["index"], data["source"]["time_field"]) == (name, "when")
    assert (data["target"]["connection_id"], data["target"]["table"]) == ("target_snowflake", "OWN_TABLE")


def test_a_person_who_leaves_has_written_nothing(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal(f"{name}\n"))
    assert main(["new"]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert written(root) == []
