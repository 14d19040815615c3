"""Nothing in the product is left that nobody uses, tests included; vulture looks for it."""

from __future__ import annotations

import pytest
from vulture import Vulture

from tests.architecture.repository import REPO, name

PRODUCT = ("include", "dags", "plugins", "local_stack", "scripts", "benchmarks")
CALLED_BY = [
    *("@app.command", "@app.callback"),  # typer
    *("@field_validator", "@model_validator", "@field_serializer"),  # pydantic
    *("@task", "@task_group", "@dag", "@pytest.fixture"),
]
ALSO_USED = [
    # attributes that a library reads: psycopg, alembic, expat, http.server, httpx, fsspec, fakesnow, Airflow, typer, io
    *("autocommit", "row_factory", "isolation_level", "read_only", "revision", "down_revision", "upgrade"),
    *("buffer_text", "*Handler", "do_*", "log_message", "protocol_version", "daemon_threads", "block_on_close"),
    *("request_queue_size", "disable_nagle_algorithm", "close_connection", "protocol", "cachable"),
    *("use_listings_cache", "ls", "results_cache", "shared_fs", "readable", "readinto", "_transport", "mimetype"),
    *("serialize", "deserialize", "evaluate", "list_commands", "ZoneRulesPlugin", "traceback", "model_post_init"),
    "sync_auth_flow",
    *("started_at", "ended_at"),  # of the CRM simulator's answers, read as JSON
]
FIELDS = ("config/models.py", "config/derived_columns.py", "core/records/ledger_row.py")
"""Models whose fields are read by name: they are columns of the ledger."""


@pytest.fixture(scope="module")
def unused() -> list[str]:
    found = Vulture(ignore_names=ALSO_USED, ignore_decorators=CALLED_BY)
    found.scavenge([str(REPO / folder) for folder in (*PRODUCT, "tests")], exclude=["*/.venv/*"])
    return [
        f"{name(item.filename)}:{item.first_lineno}: {item.typ} {item.name}"
        for item in found.get_unused_code(min_confidence=60)
        if name(item.filename).startswith(PRODUCT) and not name(item.filename).endswith(FIELDS)
    ]


def test_nothing_is_left_that_nobody_uses(unused: list[str]) -> None:
    assert unused == []


def test_the_check_sees_what_is_unused() -> None:
    found = Vulture()
    found.scan("def left_behind():\n    return 1\n\n\ndef used():\n    return 2\n\n\nused()\n")
    assert [item.name for item in found.get_unused_code()] == ["left_behind"]
