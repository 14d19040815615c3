"""`ledger rebuild` and `ledger reconcile` on real servers: what they print, and their exit status."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from include.cli.__main__ import main
from include.pipeline_framework.config import loader
from include.pipeline_framework.errors import LedgerChangedError
from tests.integration.lost_ledger import LOADED, PLANNED, ROWS_PER_HOUR, STAGED, Losable, losable

pytestmark = pytest.mark.integration


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Losable:
    """Two hours are loaded; the command line sees this pipeline only."""
    del ledger_url  # its environment is set before anything connects
    found = losable("postgres-postgres", request, tmp_path)
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", found.directory)
    found.plan(LOADED, STAGED)
    assert found.run() == ["run", "run"]
    return found


def test_a_rebuild_is_shown_and_then_done(world: Losable, capsys: pytest.CaptureFixture[str]) -> None:
    source = world.pipeline.config.source_object
    world.pipeline.target.delete(source, PLANNED, fence=500, lifecycle_id=9)
    world.lose_ledger()
    assert main(["ledger", "rebuild"]) == 0
    header, *lines, summary = capsys.readouterr().out.splitlines()
    assert header.split() == ["source_object", "window", "rows", "fence", "origin", "outcome"]
    assert [re.split(r"\s{2,}", line)[1:3] for line in lines] == [
        [str(LOADED), str(ROWS_PER_HOUR)],
        [str(STAGED), str(ROWS_PER_HOUR)],
        [str(PLANNED), "0"],
    ]
    assert lines[0].endswith("receipt  would be rebuilt, resumes at its audit")
    assert lines[2].endswith("not: a delete: nothing is loaded there")
    assert summary == (
        f"{source}: 2 would be rebuilt, 0 in the ledger already, 1 not; nothing was changed, do it with --apply"
    )
    assert world.pipeline.store.find() == []

    assert main(["ledger", "rebuild", "--source", source, "--apply"]) == 0
    floor = world.pipeline.target.fence_floor(source)
    summary = capsys.readouterr().out.splitlines()[-1]
    assert (
        summary == f"{source}: 2 rebuilt, 0 in the ledger already, 1 not; fences below {floor} are refused from now on"
    )
    assert world.run() == ["resume", "resume"]
    assert main(["ledger", "rebuild", "--apply"]) == 0
    assert f"{source}: 0 rebuilt, 2 in the ledger already, 1 not" in capsys.readouterr().out


def test_a_ledger_that_is_not_the_recorded_one_waits_for_its_rebuild(
    world: Losable, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a copy or a restored backup finds itself: recorded is another database."""
    store, source = world.pipeline.store, world.pipeline.config.source_object
    world.execute("UPDATE ledger_identity SET database_oid = 1")
    with pytest.raises(LedgerChangedError, match="database 1"):
        world.run()
    for arguments in ([], ["--apply"]):
        assert main(["ledger", "adopt-failover", *arguments]) == 2
        error = capsys.readouterr().err
        assert "this is no failover" in error and "ledger rebuild --apply" in error
    assert main(["ledger", "rebuild"]) == 0
    assert not store.identity().is_recorded
    assert main(["ledger", "rebuild", "--source", source, "--apply"]) == 0  # all there are
    assert capsys.readouterr().out.splitlines()[-1] == f"recorded as the ledger: {store.identity().present}"
    assert (store.identity().recorded_by or "").startswith("cli ledger rebuild/")
    assert world.plan(PLANNED)
    assert world.run() == ["run"]


def test_a_ledger_without_an_identity_issues_nothing(world: Losable, capsys: pytest.CaptureFixture[str]) -> None:
    world.execute("DELETE FROM ledger_identity")
    with pytest.raises(LedgerChangedError, match="recorded is none"):
        world.run()
    assert main(["ledger", "adopt-failover", "--apply"]) == 2
    assert "recorded is none" in capsys.readouterr().err


def test_differences_are_listed_and_a_no(world: Losable, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "reconcile"]) == 0
    assert capsys.readouterr().out == "no differences\n"
    assert main(["ledger", "reconcile", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []

    world.delete_at_target("d0")
    assert main(["ledger", "reconcile"]) == 1
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["kind", "source_object", "window", "ledger", "target", "remedy"]
    assert re.split(r"\s{2,}", line)[:3] == ["numbers_differ", world.pipeline.config.source_object, str(LOADED)]

    world.lose_ledger()
    assert main(["ledger", "reconcile", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["window"]) for one in found] == [
        ("fences_behind", None),
        ("numbers_differ", str(LOADED)),
        ("receipt_without_row", str(LOADED)),
        ("receipt_without_row", str(STAGED)),
    ]
    assert all(one["remedy"] and one["ledger"] and one["target"] for one in found)


@pytest.mark.parametrize("command", [["rebuild"], ["rebuild", "--apply"], ["reconcile"]])
def test_a_pipeline_that_fails_is_an_error_and_stops_no_other_one(
    world: Losable, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    good = (world.directory / "moved.yaml").read_text()
    source = world.pipeline.config.source_object
    unreachable = good.replace(source, "away").replace("connection_id: lifecycle_postgres", "connection_id: nowhere")
    (world.directory / "aaa.yaml").write_text(unreachable)
    (world.directory / "broken.yaml").write_text("source_object: [")
    assert main(["ledger", *command]) == 2
    captured = capsys.readouterr()
    assert "'nowhere'" in captured.err
    assert "broken.yaml" in captured.err
    assert (f"{source}: 0 " in captured.out) or (captured.out == "no differences\n")
    assert main(["ledger", *command, "--source", source]) == 0
    assert main(["ledger", *command, "--source", source, "nobody"]) == 2
    assert "there is no pipeline 'nobody'" in capsys.readouterr().err
