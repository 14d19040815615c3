"""`plan` on a real ledger with files as people have them: good ones, broken ones, ones whose function fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from include.cli.__main__ import main
from include.pipeline_framework.config import loader
from include.pipeline_framework.tasks import plan_outcomes

pytestmark = pytest.mark.integration


@pytest.fixture
def files(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the good pipeline `main`."""
    for name in ("defaults.yaml", "main.yaml"):
        (tmp_path / name).write_text((loader.PIPELINES_DIRECTORY / name).read_text())
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", tmp_path)
    return tmp_path


def add(files: Path, pipeline_id: str, **changes: Any) -> None:
    """Another pipeline like `main`."""
    content = yaml.safe_load((files / "main.yaml").read_text())
    content |= {"source_object": pipeline_id, **changes}
    (files / f"{pipeline_id}.yaml").write_text(yaml.safe_dump(content))


def counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT source_object, count(*) FROM pipeline_lifecycle GROUP BY 1").fetchall()
    return dict(rows)


DAY = ["plan", "--target-date", "2013-03-09"]


def test_the_preview_fails_as_the_plan_does(files: Path, ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    add(files, "failing", derived={"key_x": {"callable": "tests.unit.tasks.world:broken_function"}})
    add(files, "odd", granularity="one hour or so")
    add(files, "also_odd", timezone="Mars/Base")
    for options, rows in ((["--dry-run"], {}), ([], {"flights": 24})):
        assert main([*DAY, *options]) == 2
        out, err = capsys.readouterr()
        table = out.splitlines()
        assert [line.split()[0] for line in table if line.split()[1] == "2013-03-09"] == ["failing", "flights"]
        assert "FAILED: ConfigurationError: the function tests.unit.tasks.world:broken_function raised" in out
        assert [line.split()[4] for line in table if line.startswith("broken file")] == ["also_odd:", "odd:"]
        assert all(text in err for text in ("failing: 2013-03-09: ConfigurationError", "Mars/Base", "one hour or so"))
        assert counts(ledger_url) == rows


def test_named_pipelines_are_planned_and_the_broken_among_them_named(
    files: Path, ledger_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add(files, "odd", granularity="one hour or so")
    assert main([*DAY, "--pipeline", "odd", "--pipeline", "main"]) == 2
    assert "one hour or so" in capsys.readouterr().err
    assert counts(ledger_url) == {"flights": 24}
    assert main([*DAY, "--pipeline", "main"]) == 0
    assert "broken file, not planned: odd" in capsys.readouterr().out


def test_a_large_first_plan_asks_for_a_yes(
    files: Path, ledger_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_outcomes, "MAX_FIRST_WINDOWS", 200)
    add(files, "fine", granularity="5m")
    assert main([*DAY, "--dry-run"]) == 0
    assert "a first plan of 288 windows of 5m (1 days, 2013-03-09 to 2013-03-09)" in capsys.readouterr().out
    assert main(DAY) == 2
    assert "needs a yes: --yes" in capsys.readouterr().err
    assert counts(ledger_url) == {"flights": 24}
    assert main([*DAY, "--yes"]) == 0
    assert counts(ledger_url) == {"flights": 24, "fine": 288}
    assert main(["plan", "--target-date", "2013-03-08"]) == 0
    assert counts(ledger_url) == {"flights": 48, "fine": 576}
