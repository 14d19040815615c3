"""Older state tables of a team, with its own names: planted histories, written the way such tables are."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from include.cli.__main__ import main
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from tests.histories import History

THEIRS = {"COMPLETED": "done", "PENDING": "queued", "IN_PROGRESS": "running", "FAILED": "broken", "SKIPPED": "skipped"}
COLUMNS = {
    "id": "batch id",
    "query_window_start_at": "from",
    "query_window_end_at": "To%",
    "pipeline_final_status": "state",
    "record_inserted_at": "made",
    "record_last_updated_at": "touched",
}
OLD_TABLE = """CREATE TABLE legacy.batches (
    "batch id" integer, feed text, "from" timestamptz, "To%" text, state text, made timestamp, touched timestamptz
)"""


class Older:
    """The schema `legacy` of a ledger's database."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.run("CREATE SCHEMA legacy")

    def run(self, statement: str, parameters: Any = None) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            cursor = connection.execute(statement, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def fill(self, *histories: History) -> None:
        """Rows of histories, ids made unique, under the team's names: an end as text, a naive time, their statuses."""
        self.run(OLD_TABLE)
        first = 0
        copying = "COPY legacy.batches FROM STDIN"
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor, cursor.copy(copying) as copy:
            for made in histories:
                for row in made.rows:
                    row["id"] += first
                    copy.write_row(
                        (
                            row["id"],
                            made.source_object,
                            row["query_window_start_at"],
                            row["query_window_end_at"].isoformat(),
                            THEIRS[row["pipeline_final_status"]],
                            row["record_inserted_at"].replace(tzinfo=None),
                            row["record_last_updated_at"],
                        )
                    )
                first += len(made.rows)

    def mapping(self, **changes: Any) -> Path:
        """A mapping file; a key that is None is left out."""
        written = {
            "source_object": {"column": "feed"},
            "columns": COLUMNS,
            "statuses": {theirs: ours for ours, theirs in THEIRS.items()},
            "granularity": "1h",
            **changes,
        }
        path = self.folder / "mapping.yaml"
        path.write_text(json.dumps({key: value for key, value in written.items() if value is not None}))
        return path

    def dump(self) -> list[Any]:
        """All that an adoption could have written."""
        tables = ("pipeline_lifecycle", "pipeline_lifecycle_events", "pipeline_lifecycle_import")
        return [self.run(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]

    def live(self, source_object: str) -> list[TimeWindow]:
        rows = self.run(
            "SELECT query_window_start_at, query_window_end_at FROM pipeline_lifecycle"
            " WHERE source_object = %s AND NOT is_invalidated_flag ORDER BY 1",
            [source_object],
        )
        return [TimeWindow(*row) for row in rows]


def cli(*arguments: object) -> tuple[int, Any, str]:
    """Exit status, what it printed (parsed, with `--format json`), and its errors."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    text = out.getvalue()
    return status, json.loads(text) if text and "json" in arguments else text, err.getvalue()


def tiles(days: Iterable[LocalDay], windows: list[TimeWindow]) -> bool:
    """Whether the windows cover every day without a gap or an overlap, and none crosses the end of one."""
    for day in days:
        assert day.window
        inside = sorted(window for window in windows if window.overlaps(day.window))
        edges = [day.start, *(window.end for window in inside)]
        if [window.start for window in inside] != edges[:-1] or edges[-1] != day.end:
            return False
        if sum((window.duration for window in inside), timedelta()) != day.window.duration:
            return False
    return True
