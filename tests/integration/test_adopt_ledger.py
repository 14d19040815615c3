"""An older table is analysed and adopted on a real Postgres: what was planted is found, then every day tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.pipeline_framework.config import loader
from tests.histories import History, history
from tests.integration.older_table import Older, cli, tiles

pytestmark = pytest.mark.integration

SEEDS = range(60)


@pytest.fixture
def older(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Older:
    """An empty schema beside an empty ledger; no pipeline has a file."""
    directory = tmp_path / "pipelines"
    directory.mkdir()
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", directory)
    return Older(ledger_url, tmp_path)


def by_zone(seeds: Any) -> dict[str, list[History]]:
    found: dict[str, list[History]] = {}
    for seed in seeds:
        made = history(seed, f"feed {seed}")
        found.setdefault(made.timezone, []).append(made)
    return found


def planted(histories: list[History]) -> set[tuple[str, str, str]]:
    return {(made.source_object, kind, day.isoformat()) for made in histories for kind, day in made.planted}


def found(report: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(each["source_object"], each["kind"], each["day"]) for each in report["findings"]}


@pytest.mark.parametrize("timezone", sorted(by_zone(SEEDS)))
def test_planted_histories_are_found_adopted_and_whole(older: Older, timezone: str) -> None:
    histories = by_zone(SEEDS)[timezone]
    older.fill(*histories)
    options = ("--table", "legacy.batches", "--mapping", older.mapping(timezone=timezone), "--format", "json")

    status, report, _ = cli("state", "analyse", *options)
    assert status == 1
    assert found(report) == planted(histories)
    theirs = {row["id"]: row for made in histories for row in made.rows}
    for each in report["findings"]:
        assert all(theirs[row]["source_object"] == each["source_object"] for row in each["rows"])

    before = older.dump()
    assert before == [[], [], []]
    status, shown, _ = cli("ledger", "adopt", *options)
    assert (status, older.dump()) == (0, before)
    assert found(shown) == planted(histories)

    status, done, _ = cli("ledger", "adopt", *options, "--apply")
    assert status == 0
    assert (done["findings"], done["summary"]["kept"]) == (shown["findings"], shown["summary"]["kept"])
    for made in histories:
        assert tiles(made.days, older.live(made.source_object)), made.source_object

    status, after, _ = cli("state", "analyse", "--format", "json")
    assert {each["kind"] for each in after["findings"]} <= {"granularity_drift"}
    assert {each for each in planted(histories) if each[1] == "granularity_drift"} <= found(after)

    before = older.dump()
    status, again, _ = cli("ledger", "adopt", *options, "--apply")
    assert (status, again["summary"]["new_rows"], again["findings"]) == (0, 0, [])
    assert older.dump() == before
