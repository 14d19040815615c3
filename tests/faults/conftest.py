"""One ledger and target for the whole suite, and a new source object for every life."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import structlog

from include.pipeline_framework.core.lifecycle import transitions
from tests.conftest import database
from tests.faults.life import TABLE, Life


@pytest.fixture(scope="session")
def faults_url(stack_env: dict[str, str]) -> Iterator[str]:
    """A database with a migrated ledger; the target's table lies in it, too."""
    from include.sql.migrations import migrate

    with database(stack_env["LEDGER_URL"]) as url:
        migrate(lambda: psycopg.connect(url))
        yield url


@pytest.fixture(scope="session")
def new_life(faults_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Life]]:
    """Makes a life that shares nothing with the others but ledger and target table."""
    numbers = itertools.count(1)

    def make() -> Life:
        number = next(numbers)
        life = Life(faults_url, tmp_path_factory.mktemp(f"stage{number}"), f"life_{number}")
        life.pipeline().target.prepare(life.source_object)
        return life

    yield make
    with psycopg.connect(faults_url, autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {TABLE}".encode())


@pytest.fixture
def own_life(stack_env: dict[str, str], _migrated_template: str, tmp_path: Path) -> Iterator[Callable[[], Life]]:
    """The same on a database that the test may spoil."""
    numbers = itertools.count(1)

    def make() -> Life:
        number = next(numbers)
        life = Life(url, tmp_path / f"stage{number}", f"own_{number}")
        life.pipeline().target.prepare(life.source_object)
        return life

    with database(stack_env["LEDGER_URL"], _migrated_template) as url:
        yield make


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No log lines, thousands of processes would write them; and a window does not rest after a failure."""
    monkeypatch.setattr(transitions, "FIRST_RETRY_DELAY", timedelta(0))
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    structlog.configure(**before) if before else structlog.reset_defaults()
