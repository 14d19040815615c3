"""Postgres as a source and as a target keeps its contracts, on a real server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres.source import PostgresSource
from include.implementation_modules.postgres.target import PostgresTarget
from tests.contract.source_contract import SourceContract
from tests.contract.target_contract import TargetContract
from tests.contract.target_harness import SqlTargetHarness, TargetHarness

pytestmark = pytest.mark.integration


class TestPostgresTarget(TargetContract):
    @pytest.fixture
    def unprepared(self, scratch_postgres_url: str) -> TargetHarness:
        return SqlTargetHarness(
            PostgresTarget,
            lambda: psycopg.connect(scratch_postgres_url),
            lambda: psycopg.OperationalError("server closed the connection unexpectedly"),
        )


class PostgresSystem:
    def __init__(self, url: str) -> None:
        self._connect = lambda: psycopg.connect(url)
        with self._connect() as connection:
            connection.execute('CREATE TABLE "Events; --" (name text PRIMARY KEY, "at" timestamptz)')
        named: dict[str, Any] = {"table": "Events; --", "time_column": "at", "id_column": "name"}
        self.source = PostgresSource(self._connect, PostgresSource.Options(**named, columns=("name",), page_size=50))

    def put(self, documents: Mapping[str, datetime | None]) -> None:
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.executemany('INSERT INTO "Events; --" VALUES (%s, %s)', list(documents.items()))

    def remove(self, *ids: str) -> None:
        with self._connect() as connection:
            connection.execute('DELETE FROM "Events; --" WHERE name = ANY(%s)', [list(ids)])

    def open_views(self) -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with self._connect() as connection:
            return int((connection.execute(query).fetchone() or (0,))[0])


class TestPostgresSource(SourceContract):
    @pytest.fixture
    def system(self, scratch_postgres_url: str) -> PostgresSystem:
        return PostgresSystem(scratch_postgres_url)
