"""The command line on a real ledger: what it prints, and its exit status."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import tzdata

from include.cli.__main__ import main
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.config import loader
from include.pipeline_framework.core.records.row import Actor
from include.sql import migrations
from tests.contract.test_revisits_contract import revisit

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _ledger(ledger_url: str) -> None:
    """LEDGER_URL points at an empty ledger."""


def test_planning_a_day_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--target-date", "2013-11-03"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["flights", "2013-11-03", "25", "0", "25", "0"]
    assert main(["plan", "--target-date", "2013-11-03"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["flights", "2013-11-03", "25", "25", "0", "0"]


def test_a_dry_run_lists_windows_and_inserts_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--target-date", "2013-03-10", "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert output.count("would insert") == 23
    assert main(["ledger", "show"]) == 0
    assert capsys.readouterr().out == "no rows\n"


@pytest.fixture
def open_ended(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The flights pipeline without an end, days planned by themselves; its file."""
    text = (loader.PIPELINES_DIRECTORY / "main.yaml").read_text()
    defaults = (loader.PIPELINES_DIRECTORY / "defaults.yaml").read_text()
    today = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url)).now().date()
    start = today - timedelta(days=4)
    changes = {"start_date: 2013-01-01": f"start_date: {start}", "end_date: ": "# ", "_days: false": "_days: true"}
    for old, new in {**changes, "timezone: America/New_York": "timezone: UTC"}.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "defaults.yaml").write_text(defaults)
    (tmp_path / "main.yaml").write_text(text)
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", tmp_path)
    return tmp_path / "main.yaml"


def test_a_day_after_tomorrow_is_planned_when_it_is_meant(open_ended: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_ended.exists()
    assert main(["plan", "--target-date", "2131-01-01"]) == 2
    assert "2131-01-01 lies after tomorrow" in capsys.readouterr().err
    assert main(["plan", "--target-date", "2131-01-01", "--allow-future"]) == 0
    assert main(["state", "analyse"]) == 1
    output = capsys.readouterr().out
    assert output.count("missing_day ") == 5 + 1  # and the line that counts them


def test_a_pipeline_without_any_row_is_not_in_order(open_ended: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["state", "analyse"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("5 findings: 0 of 5 days have rows")
    open_ended.write_text(open_ended.read_text().replace("_days: true", "_days: false"))
    assert main(["state", "analyse"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("no findings: 0 of ")
    assert last.endswith("days are planned only on request (fill_missing_days: false); 0 of 0 windows are COMPLETED")


def test_a_day_outside_the_horizon_is_a_no(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--target-date", "2012-05-05"]) == 1
    assert "it lies before start_date 2013-01-01" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "--target-date", "03.11.2013"], "is not a date"),
        (["plan", "--pipeline", "mian"], "there is no pipeline 'mian'"),
        (["ledger", "show", "4711"], "there is no ledger row 4711"),
    ],
)
def test_wrong_input_is_an_error_with_a_remedy(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "What to do:" in error


def test_rows_and_history(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--target-date", "2013-03-10"])
    capsys.readouterr()
    assert main(["ledger", "show", "--limit", "2", "--format", "json"]) == 0
    shown = capsys.readouterr()
    assert (len(json.loads(shown.out)), shown.err) == (2, "the first 2 rows; there are more: --limit 0 shows all\n")
    assert main(["ledger", "show", "--status", "PENDING", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 23
    assert main(["ledger", "show", str(rows[0]["id"])]) == 0
    assert "planned" in capsys.readouterr().out


def test_migrating_again_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    newest = max(path.name for path in Path(migrations.__file__).parent.glob("versions/0*.py"))[:4]
    assert main(["ledger", "migrate"]) == 0
    assert capsys.readouterr().out == f"ledger at version {newest}\n"


def test_the_pipelines_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "validate"]) == 0
    told = f"2 pipelines in 2 files are valid\ntime zone rules: {tzdata.IANA_VERSION}, from the package tzdata\n"
    assert capsys.readouterr().out == told


def test_the_report_about_late_data(ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    late = revisit(rows_before=9_970, rows_now=10_000, days_after=3, lags=[[1, 25, 28], [25, 73, 2]])
    store.note_revisit(late, Actor("audit_windows", "run-1"))
    assert main(["late", "report", "--source", "flights"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith(("1 ", "24", "48"))] == [
        ["1", "30", "30", "0.3"],
        ["24", "2", "30", "0.3"],
        ["48", "0", "2", "0.02"],
    ]
    assert lines[-1].startswith("x_time_back 25h instead of 1d would be long enough: 0.3 % came after")
    assert main(["late", "report", "--source", "flights", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["recommended_hours"] == 25
    assert main(["late", "report", "--source", "boats"]) == 2
    store.close()


def test_verbose_shows_what_is_done_and_quiet_is_quiet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard error, so that what a command prints can still be read by a program."""
    assert main(["plan", "--target-date", "2013-03-10"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["-v", "ledger", "show", "--limit", "1", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
    assert main(["-v", "plan", "--target-date", "2013-03-11"]) == 0
    shown = capsys.readouterr()
    assert "planned" in shown.err
    assert "elastic" not in shown.err
