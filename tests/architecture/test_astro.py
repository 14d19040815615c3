"""airflow_settings.yaml, which the Astro CLI reads: its structure, and that it names what the code uses."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from tests.architecture.connections import connection_ids
from tests.architecture.repository import text

SETTINGS: dict[str, Any] = yaml.safe_load(text("airflow_settings.yaml"))
TEXT = {"type": ["string", "null"]}
FIELDS: dict[str, Any] = {
    **{f"conn_{field}": TEXT for field in ("host", "schema", "login", "password")},
    "conn_id": {"type": "string", "pattern": r"^\w+$"},
    "conn_type": {"enum": ["aws", "elasticsearch", "http", "postgres", "smtp", "snowflake"]},
    "conn_port": {"type": ["integer", "null"]},
    "conn_extra": {"type": ["object", "null"]},
}


def items(fields: dict[str, Any]) -> dict[str, Any]:
    item = {"type": "object", "properties": fields, "required": sorted(fields), "additionalProperties": False}
    return {"type": "array", "items": item}


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["airflow"],
    "additionalProperties": False,
    "properties": {
        "airflow": {
            "type": "object",
            "required": ["connections", "pools", "variables"],
            "additionalProperties": False,
            "properties": {
                "connections": items(FIELDS),
                "pools": items({"pool_name": TEXT, "pool_slot": {"type": "integer"}, "pool_description": TEXT}),
                "variables": items({"variable_name": TEXT, "variable_value": TEXT}),
            },
        }
    },
}


def test_it_has_the_structure_that_astro_reads() -> None:
    jsonschema.validate(SETTINGS, SCHEMA)


def test_a_misspelled_field_would_be_found() -> None:
    wrong = {"airflow": {"connections": [{"conn_id": "x", "conn_user": "y"}], "pools": [], "variables": []}}
    with pytest.raises(jsonschema.ValidationError, match="conn_user"):
        jsonschema.validate(wrong, SCHEMA)


def test_it_has_every_connection_once() -> None:
    ids = [connection["conn_id"] for connection in SETTINGS["airflow"]["connections"]]
    assert sorted(ids) == sorted(connection_ids())


def test_it_has_no_secret() -> None:
    for connection in SETTINGS["airflow"]["connections"]:
        assert connection["conn_password"] is None
        assert not {"password", "api_key", "private_key_content", "token"} & set(connection["conn_extra"] or {})
