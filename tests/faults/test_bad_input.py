"""Every bad input ends with its clear error and leaves nothing half-written; `docs/bad-input.md` shows the messages."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from include.pipeline_framework.errors import PipelineError
from include.pipeline_framework.tasks.pipeline import Pipeline
from tests.conftest import record_identity
from tests.faults import bad_data, bad_input, bad_input_cloud
from tests.faults.bad_input import Case
from tests.faults.bad_input_cloud import Cloud
from tests.faults.bad_input_page import COLLECTED, PAGE, check
from tests.faults.bad_input_world import Exit, World

pytestmark = pytest.mark.integration

CASES = [*bad_input.CASES, *bad_data.CASES]
LONGEST_MESSAGE = 1_500


@pytest.fixture(scope="module")
def world(
    stack_env: dict[str, str], _migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One for all cases: each leaves it as it was."""
    admin, name = stack_env["LEDGER_URL"], f"test_{uuid.uuid4().hex[:12]}"
    url = admin.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_migrated_template}".encode())
    record_identity(url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEDGER_URL", url)
        patch.setenv("AIRFLOW_CONN_LIFECYCLE_POSTGRES", url)
        yield World(url, tmp_path_factory.mktemp("world"))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="module")
def cloud(world: World, s3_bucket: str) -> Iterator[Cloud]:
    """Elasticsearch → S3 → Snowflake, with the same ledger."""
    cloud = Cloud(world, s3_bucket)
    yield cloud
    cloud.remove()


def name_of(case: Case) -> str:
    return re.sub(r"[^a-zA-Z0-9_]+", "-", str(case)).strip("-")[:60]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_bad_input(world: World, case: Case) -> None:
    assert_refused(world, case)
    assert world.sql("SELECT it_is FROM bystander") == [("untouched",)]


@pytest.mark.parametrize("case", bad_input_cloud.CASES, ids=name_of)
def test_bad_input_of_elasticsearch_s3_and_snowflake(cloud: Cloud, case: Case) -> None:
    assert_refused(cloud, case)


def assert_refused(world: World, case: Case) -> None:
    """The error, its message, and everything as it was before."""
    with case.arrange(world) as given:
        record_id = (given[0] if isinstance(given, tuple) else given) if case.is_attempt else None
        before = world.snapshot(besides=record_id)
        with pytest.raises(case.error) as caught:
            case.act(world, given)
        after = world.snapshot(besides=record_id)
        message = str(caught.value)
        for part in case.says:
            assert part in message
        assert isinstance(caught.value, PipelineError | Exit)
        assert "Traceback" not in message
        assert "hunter2" not in message
        assert len(message) <= LONGEST_MESSAGE
        assert message.isprintable() or "\n" in message
        if case.is_attempt:
            assert_only_an_attempt(world, record_id, message, is_staged=case.is_staged)
            if case.is_staged:
                location = world.pipeline.store.get(record_id).stage_location
                after = {name: digest for name, digest in after.items() if location not in name}
        assert after == before
        check(case.kind, case.shown, message)


def test_documents_without_a_time_are_counted_and_stop_nothing(cloud: Cloud) -> None:
    with cloud.documents({"n": 1}, '{"n": 2}', '{"@timestamp": null, "n": 3}') as record_id:
        cloud.move(record_id)
    row = cloud.pipeline.store.get(record_id)
    assert (row.pipeline_final_status, row.target_count, row.undated_count) == ("COMPLETED", 1, 2)


def test_a_strange_path_of_a_column_is_only_a_key_that_no_document_has(cloud: Cloud) -> None:
    path = "n'] FROM x; DROP TABLE \"" + cloud.name.upper() + '"; --'
    (cloud.pipelines / "strange.yaml").write_text(
        cloud.text.replace("n: integer", f"n: {{type: integer, path: [{json.dumps(path)}]}}")
    )
    (cloud.pipelines / "events.yaml").unlink()  # two files with one source object are refused
    with cloud.documents({"n": 5}, {path: 7}) as record_id:
        cloud.move(record_id, pipeline=cloud.wired("strange"))
    (cloud.pipelines / "strange.yaml").unlink()
    (cloud.pipelines / "events.yaml").write_text(cloud.text)
    found = cloud.snowflake(f'SELECT n FROM "{cloud.name.upper()}" WHERE _lifecycle_id = %s', (record_id,))
    assert sorted(str(n) for (n,) in found) == ["7", "None"]


@pytest.mark.parametrize("change", ["manifest.json", "part-00000.ndjson.gz"])
def test_a_torn_stage_mends_itself_when_the_window_is_run_again(world: World, change: str) -> None:
    with world.staged(lambda found, manifest: (found.stage_path(manifest.location) / change).unlink()) as manifest:
        world.move(manifest.lifecycle_id)
    row = world.pipeline.store.get(manifest.lifecycle_id)
    assert (row.pipeline_final_status, row.target_count) == ("COMPLETED", 3)
    assert row.stage_location != manifest.location


def test_an_error_that_the_ledger_can_not_hold_as_it_is_is_kept_readable(world: World) -> None:
    """Otherwise the failure could not be accounted for, and the row would stay IN_PROGRESS until its lease ends."""

    class Broken:
        def extract(self, _window: Any) -> Any:
            raise RuntimeError("a\0b\ud83d " + "x" * 100_000)

    record_id, ours = world.next_id(), world.pipeline
    with pytest.raises(RuntimeError):
        world.move(record_id, pipeline=Pipeline(ours.config, ours.store, Broken(), ours.stage, ours.target))  # type: ignore[arg-type]
    row = ours.store.get(record_id)
    assert (row.pipeline_final_status, row.retry_attempt) == ("PENDING", 1)
    assert row.last_error.startswith("source_to_stage: RuntimeError: a\\x00b\\ud83d xxx")
    assert len(row.last_error) < 5_000


@pytest.mark.skipif(COLLECTED in os.environ, reason="the page is being written")
def test_the_page_shows_these_cases_and_no_others() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    shown = [case.shown.replace("|", "\\|") for case in (*CASES, *bad_input_cloud.CASES)]
    assert len(shown) >= 150
    cells = [row.removeprefix("| ").split(" | ")[0] for row in rows]
    assert sorted(cell for cell in cells if cell not in ("input", "---")) == sorted(shown), "run `make docs`"


def assert_only_an_attempt(world: World, record_id: Any, message: str, *, is_staged: bool) -> None:
    """The row is PENDING again with the reason, and nothing of it is at the target."""
    row = world.pipeline.store.get(record_id)
    assert (row.pipeline_final_status, row.retry_attempt, row.dag_run_id) == ("PENDING", 1, None)
    assert row.last_error.split("Error: ", 1)[1][:200] == message.replace("\0", "\\x00")[:200]
    assert row.phase_completed is None, "a document that was mended at its source is extracted again"
    assert [event["event"] for event in world.pipeline.store.events(record_id)][-1] == "failed"
    if is_staged:
        assert world.pipeline.stage.read_manifest(row.stage_location).lifecycle_id == record_id
    assert world.pipeline.target.fingerprint(row.source_object, world.window(record_id)).rows == 0
