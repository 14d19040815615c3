"""What several contracts share: the ledger, as the double and as it is."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.ports.ledger import LifecycleStore
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def store(request: pytest.FixtureRequest) -> Iterator[LifecycleStore]:
    """An empty ledger: every test runs on the in-memory double and on a real Postgres."""
    if request.param == "memory":
        yield MemoryLifecycleStore()
        return
    url = request.getfixturevalue("ledger_url")
    postgres = PostgresLifecycleStore(lambda: psycopg.connect(url))
    yield postgres
    postgres.close()
