"""A system that this bundle does not know: an adapter by its dotted path, with a connection of whatever type."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from include.pipeline_framework.config.models import AdapterSection
from include.pipeline_framework.errors import ConfigurationError
from include.wiring import assembly

SECRET = "hunter2-secret"


class Lake:
    """A target of somebody's own."""

    broken: ClassVar[bool] = False

    class Options(BaseModel):
        """Its settings."""

        table: str

    def __init__(self, client: Any, options: Options) -> None:
        self.client, self.options = client, options

    @staticmethod
    def connect(connection: Any) -> dict[str, str]:
        """Make the client."""
        if Lake.broken:
            raise ValueError(f"no such lake: {connection.password}")
        return {"type": connection.conn_type, "host": connection.host, "password": connection.password}


class Pond:
    """One that brings no `connect`."""

    Options = Lake.Options


def section(name: str) -> AdapterSection:
    data = {"type": f"{__name__}:{name}", "connection_id": "lake", "table": "t"}
    return AdapterSection.model_validate(data)


@pytest.fixture(autouse=True)
def _there(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"conn_type": "iceberg", "host": "lake.example.com", "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(fields))


def test_its_own_client_is_made_from_airflows_connection() -> None:
    lake = assembly.adapter("target", section("Lake"))
    assert type(lake).__name__ == "Lake"
    assert lake.client == {"type": "iceberg", "host": "lake.example.com", "password": SECRET}
    assert lake.options.table == "t"


def test_without_a_connection_there_is_no_client() -> None:
    found = AdapterSection.model_validate({"type": f"{__name__}:Lake", "table": "t"})
    assert assembly.adapter("target", found).client is None


def test_an_error_of_its_own_names_the_connection_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lake, "broken", True)
    with pytest.raises(ConfigurationError, match=r"the connection 'lake' can't be used: .* ValueError") as refused:
        assembly.adapter("target", section("Lake"))
    assert SECRET not in str(refused.value)
    assert refused.value.__context__ is None


def test_without_connect_the_types_that_are_known_are_named() -> None:
    with pytest.raises(
        ConfigurationError, match=r"has type 'iceberg'.*aws, elasticsearch, postgres.*connect\(connection\)"
    ):
        assembly.adapter("target", section("Pond"))
