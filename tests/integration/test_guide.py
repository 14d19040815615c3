"""docs/your-own-pipeline.md, followed command by command on real servers; only the run is done without Airflow."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from include.cli import new as new_command
from include.cli.__main__ import main
from include.pipeline_framework.config import loader
from local_stack import weblogs
from local_stack.home import REPO

pytestmark = pytest.mark.integration

GUIDE = (REPO / "docs/your-own-pipeline.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture
def _repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "include/pipelines"
    directory.mkdir(parents=True)
    shutil.copy(loader.PIPELINES_DIRECTORY / "defaults.yaml", directory)
    monkeypatch.setattr(loader, "PIPELINES_DIRECTORY", directory)
    monkeypatch.setattr(new_command, "REPO", tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


@pytest.fixture
def url(elasticsearch_url: str, snowflake_connect: Callable[[], Any]) -> Iterator[str]:
    yield elasticsearch_url
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.delete(index=weblogs.INDEX)
    with snowflake_connect() as connection, connection.cursor() as cursor:
        for name in ("WEBLOGS", "WEBLOGS_RECEIPTS"):
            cursor.execute(f"DROP TABLE IF EXISTS {name}")


@pytest.mark.usefixtures("_repository")
def test_its_commands_lead_to_audited_rows(
    url: str, s3_bucket: str, ledger_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del ledger_url  # an empty one
    now = datetime.fromtimestamp(time.time(), UTC)
    day = (now - timedelta(days=1)).date().isoformat()
    said: dict[str, str] = {}
    assert COMMANDS[:3] == ["make up", 'eval "$(.venv/bin/python -m local_stack env)"', "python -m local_stack weblogs"]
    assert weblogs.index(url, now) == weblogs.COUNT
    for command in COMMANDS[3:]:
        words = shlex.split(command.replace("$DAY", day))
        if command.startswith("DAY="):
            continue
        assert words[0] == "pipelines"
        if words[1] == "new":
            words += ["--stage-bucket", s3_bucket]
        if words[1] == "run":
            assert words[-2:] == ["--watch", "--unpause"]
            words[-2:] = ["--local"]
        assert main(words[1:]) == 0, command
        said[words[1]] = capsys.readouterr().out
    rows = sum(at.startswith(day) for _, document in weblogs.weblogs(now) for at in [document["@timestamp"]])
    assert "9 typed, 0 fields in doc only" in said["new"]
    assert "and 0 of their values do not fit." in said["preview"]
    assert f"weblogs: 1 window: 1 completed; {rows:,} rows" in said["run"]
    assert f"source {rows:,}, target {rows:,}: equal" in said["run"]
    assert "1 of 1 days, 1 window\n" in said["status"]
    counted = [line.split()[-1] for line in said["sql"].splitlines() if line[:1].isdigit()]
    assert sum(map(int, counted)) == rows
