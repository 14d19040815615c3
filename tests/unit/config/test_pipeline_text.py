"""The YAML of a new pipeline: valid whatever the source's names are, and every value has a reason."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from include.implementation_modules import registry
from include.pipeline_framework.config.json_schema import pipeline_json_schema
from include.pipeline_framework.config.pipeline_text import NewPipeline, pipeline_text, seen_of
from include.pipeline_framework.core.proposing.description import (
    DayRows,
    Sampled,
    SourceDescription,
    SourceField,
    SourceShape,
)
from include.pipeline_framework.core.proposing.proposal import propose
from include.pipeline_framework.errors import InvalidInputError
from include.wiring.inspection import column_rules, require_valid

NOW = datetime(2013, 3, 11, 12, tzinfo=UTC)
AT = datetime(2013, 3, 9, 5, 30, tzinfo=UTC)


def pipeline(*documents: Any, target: dict[str, Any] | None = None, name: str = "weblogs", **seen: Any) -> NewPipeline:
    fields = (SourceField(("at",), "date", "timestamp", "epoch_millis"),)
    days = tuple(DayRows(date(2013, 3, day), 700 * day) for day in (8, 9) if documents)
    shape = SourceShape(name, fields, ("at",), dots_nest=True)
    described = SourceDescription(
        shape, "at", "UTC", days, sample=tuple(Sampled(AT, each, 400) for each in documents), **{"undated": 0, **seen}
    )
    return NewPipeline(
        "weblogs",
        {"type": "elasticsearch", "connection_id": "source_elasticsearch", "index": "weblogs", "time_field": name},
        {"type": "object_storage", "connection_id": "stage_s3", "bucket": "stage"},
        target or {"type": "snowflake", "connection_id": "target_snowflake", "table": "WEBLOGS"},
        described,
        propose(described, column_rules(), now=NOW, default_time_back="1h"),
        NOW,
    )


def test_the_file_says_what_was_seen_and_why() -> None:
    text = pipeline_text(
        pipeline(
            *[{"at": "2013-03-09T05:30:00Z", "http": {"status": 200}, "tags": ["a"], "zip": "01"}] * 20,
            undated=3,
            unreadable=1,
        )
    )
    assert text.startswith("# yaml-language-server: $schema=./pipeline.schema.json\n#\n# What was seen of weblogs at ")
    for words in (
        "rows: 11,900",
        "days: 2 with rows, 2013-03-08 to 2013-03-09 (UTC); 5,950 rows on average, 6,300 on 2013-03-09",
        "undated: 3 rows without a usable at: in no window",
        "sample: 20 documents from all over that time, 0.4 kB each",
        "unreadable: 1 document of no plain JSON",
        "# about 6,300 rows, 2.5 MB in a window of a busy day (6,300 rows); 1h to have rows sooner\ngranularity: 1d\n",
        "how late rows come was not measured\nx_time_back: 1h\n",
        "# the last whole day that has rows; rows begin on 2013-03-08, set that to load them all\n"
        "start_date: 2013-03-09\n",
        "    http_status: {type: integer, path: http.status}  # no field of the source's own, by what 20 documents",
        "    tags: json  # an array in 20 of 20 documents seen\n",
        "fill_missing_days: false\n",
        "enabled: true\n",
        "  # database and schema are the connection's own\n",
    ):
        assert words in text
    assert all(len(line) <= 120 for line in text.splitlines() if not line.startswith("    "))


def test_a_database_that_is_given_is_said_and_postgres_has_none() -> None:
    given_one = {"type": "snowflake", "connection_id": "t", "table": "W", "database": "D", "schema": "S"}
    assert "the connection's own" not in pipeline_text(pipeline(target=given_one))
    assert "the connection's own" not in pipeline_text(pipeline(target={"type": "postgres", "table": "w"}))


def test_an_empty_source_is_a_pipeline_too() -> None:
    new = pipeline()
    assert seen_of(new.seen).keys() == {"rows", "sample"}
    data = yaml.safe_load(pipeline_text(new))
    assert (str(data["start_date"]), data["granularity"]) == ("2013-03-11", "1d")
    assert data["target"]["columns"] == {"at": {"type": "timestamp", "format": "epoch_millis"}}


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=30),
        st.none() | st.text(max_size=5) | st.integers() | st.lists(st.integers()),
        max_size=9,
    ),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20),
)
def test_any_names_give_a_file_that_schema_and_adapters_accept(document: dict[str, Any], name: str) -> None:
    new = pipeline(document, name=name)
    text = pipeline_text(new)
    require_valid("weblogs", text, Path("/nowhere"))
    data = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it makes nothing but text
    assert data["source"]["time_field"] == name
    assert list(data["target"]["columns"]) == [column.name for column in new.proposal.columns]
    jsonschema.Draft202012Validator(pipeline_json_schema(registry.registered_options())).validate(
        {**yaml.safe_load(text), "start_date": "2013-03-09"}
    )


def test_a_wrong_table_is_refused_before_anything_is_written() -> None:
    text = pipeline_text(pipeline(target={"type": "snowflake", "connection_id": "t", "table": "a b"}))
    with pytest.raises(InvalidInputError, match=r"^a new weblogs\.yaml:\d+: target\.table: .*'a b'"):
        require_valid("weblogs", text, Path("/nowhere"))
