"""What only a real Elasticsearch can show: bytes as indexed, time resolutions, patterns, mappings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    IncompleteExtractError,
    InvalidInputError,
)
from include.pipeline_framework.ports.source import Document

pytestmark = pytest.mark.integration

START = datetime(2013, 3, 9, 5, tzinfo=UTC)
WINDOW = TimeWindow(START, START + timedelta(hours=1))
Index = Callable[..., str]


@pytest.fixture
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        yield client


@pytest.fixture
def index(client: Elasticsearch) -> Iterator[Index]:
    """Creates indexes from raw JSON documents by id; all are deleted at the end."""
    prefix, created = uuid.uuid4().hex, list[str]()

    def create(documents: dict[str, str], name: str = "a", time: dict[str, Any] | None = None) -> str:
        full = f"{prefix}-{name}"
        properties = {"@timestamp": time or {"type": "date"}} if time != {} else {}
        mappings = {"dynamic": "false", "properties": properties}
        client.indices.create(index=full, mappings=mappings, settings={"number_of_replicas": 0})
        created.append(full)
        if documents:
            for key, body in documents.items():
                headers = {"content-type": "application/json", "accept": "application/json"}
                client.perform_request("PUT", f"/{full}/_doc/{key}", headers=headers, body=body)
        client.indices.refresh(index=full)
        return full

    yield create
    for name in created:
        client.indices.delete(index=name)


def source(client: Elasticsearch, name: str, **options: Any) -> ElasticsearchSource:
    return ElasticsearchSource(client, ElasticsearchSource.Options(index=name, **options))


def read(source: ElasticsearchSource, window: TimeWindow = WINDOW) -> list[Document]:
    with source.extract(window) as extract:
        return sorted((document for page in extract.pages() for document in page), key=lambda found: found.id)


def at(text: str) -> str:
    return json.dumps({"@timestamp": text})


def shifted(**parts: float) -> datetime:
    return START + timedelta(**parts)


def test_documents_arrive_byte_for_byte(client: Elasticsearch, index: Index) -> None:
    values = (
        r'"a":1e2,"b":0.1000000000000000055,"c":9007199254740993,"d":1.0,"e":"\u00e9\/\ud83d\ude00é","f":{"x":[ 1 ,2]},'
        r'"g":12345678901234567890123456789,"h":"\u0000","i":null, "j" : 1E+2'
    )
    body = '{"@timestamp" : "2013-03-09T05:30:00Z",' + values + "}"
    name = index({"plain": body, "broken": body.replace(",", ",\n\r\n", 1), "lone": body.replace("null", r'"\ud800"')})
    found = {document.id: document.body.decode() for document in read(source(client, name))}
    assert found == {"plain": body, "broken": body, "lone": body.replace("null", r'"\ud800"')}


@pytest.mark.parametrize("zone", ["2013-03-09T00:00:00-05:00", "2013-03-09T05:00:00.000Z", "2013-03-09T05:00:00"])
def test_the_event_time_is_the_instant_not_the_text(client: Elasticsearch, index: Index, zone: str) -> None:
    assert [found.event_at for found in read(source(client, index({"1": at(zone)})))] == [START]


def test_an_event_time_in_its_own_format_is_the_same_instant(client: Elasticsearch, index: Index) -> None:
    name = index({"1": '{"@timestamp":1362805200}'}, time={"type": "date", "format": "epoch_second"})
    assert [found.event_at for found in read(source(client, name))] == [START]
    assert source(client, name).count(WINDOW) == 1


def test_nanoseconds_are_cut_off_never_rounded(client: Elasticsearch, index: Index) -> None:
    name = index(
        {
            "first": at("2013-03-09T05:00:00.000000000Z"),
            "cut": at("2013-03-09T05:00:00.123456999Z"),
            "last": at("2013-03-09T05:59:59.999999999Z"),
            "next": at("2013-03-09T06:00:00.000000000Z"),
        },
        time={"type": "date_nanos"},
    )
    expected = {"first": START, "cut": shifted(microseconds=123_456), "last": WINDOW.end - timedelta(microseconds=1)}
    assert {found.id: found.event_at for found in read(source(client, name))} == expected
    micro = TimeWindow(shifted(microseconds=123_456), shifted(microseconds=123_457))
    assert [found.id for found in read(source(client, name), micro)] == ["cut"]
    assert [found.rows for found in source(client, name).histogram(WINDOW, [micro, WINDOW])] == [1, 3]


def test_a_pattern_of_both_resolutions_and_of_none_is_read_as_one(client: Elasticsearch, index: Index) -> None:
    index({"millis": at("2013-03-09T05:00:00.123Z")})
    index({"nanos": at("2013-03-09T05:00:00.123456789Z")}, "b", {"type": "date_nanos"})
    index({"unmapped": at("2013-03-09T05:00:00Z")}, "c", {})
    pattern = index({}, "d").rpartition("-")[0] + "-*"
    expected = {"millis": shifted(milliseconds=123), "nanos": shifted(microseconds=123_456)}
    assert {found.id: found.event_at for found in read(source(client, pattern))} == expected
    assert source(client, pattern).count_undated() == 1
    with pytest.raises(InvalidInputError, match="finer than a millisecond"):
        source(client, pattern).count(TimeWindow(START, shifted(microseconds=5)))


def test_bounds_finer_than_the_field_keep_each_event_in_the_window_that_contains_it(
    client: Elasticsearch, index: Index
) -> None:
    name = index({str(n): at(shifted(milliseconds=n).isoformat()) for n in range(4)})
    bounds = [START, shifted(microseconds=500), shifted(microseconds=1_000), shifted(microseconds=2_001), WINDOW.end]
    windows = [TimeWindow(first, last) for first, last in pairwise(bounds)]
    reader = source(client, name)
    assert [[found.id for found in read(reader, window)] for window in windows] == [["0"], [], ["1", "2"], ["3"]]
    assert [reader.count(window) for window in windows] == [1, 0, 2, 1]
    assert [found.rows for found in reader.histogram(WINDOW, windows)] == [1, 0, 2, 1]


@pytest.mark.parametrize("second", ["2013-03-09T05:10:00Z", "2013-03-09T05:00:00Z", "2013-04-01T00:00:00Z"])
def test_several_values_in_the_time_field_are_refused_by_name(client: Elasticsearch, index: Index, second: str) -> None:
    several = json.dumps({"@timestamp": ["2013-03-09T05:00:00Z", second]})
    one, one_in_a_list = at("2013-03-09T05:00:00Z"), '{"@timestamp":["2013-03-09T05:00:00Z"]}'
    name = index({"one": one, "several": several, "one-in-a-list": one_in_a_list})
    assert source(client, name).count(WINDOW) == 3
    with source(client, name).extract(WINDOW) as extract, pytest.raises(BadDocumentError, match="'several' has"):
        list(extract.pages())


def test_a_value_that_could_not_be_read_is_undated(client: Elasticsearch, index: Index) -> None:
    undated = {"bad": at("yesterday"), "null": '{"@timestamp":null}', "none": "{}"}
    name = index({"good": at("2013-03-09T05:00:00Z")} | undated, time={"type": "date", "ignore_malformed": True})
    assert source(client, name).count_undated() == 3
    assert [found.id for found in read(source(client, name))] == ["good"]


def test_an_alias_reads_what_it_filters(client: Elasticsearch, index: Index) -> None:
    name = index({"1": at("2013-03-09T05:00:00Z"), "2": at("2013-03-09T05:30:00Z")})
    late = {"range": {"@timestamp": {"gte": "2013-03-09T05:15:00Z"}}}
    client.indices.put_alias(index=name, name=f"{name}-alias", filter=late)
    assert [found.id for found in read(source(client, f"{name}-alias"))] == ["2"]


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ({"type": "keyword"}, "mapped as keyword"),
        ({"type": "long"}, "mapped as long"),
        ({}, "not mapped"),
        ({"type": "date", "doc_values": False}, "refused"),
    ],
)
def test_a_time_field_that_is_no_date_is_refused(
    client: Elasticsearch, index: Index, time: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        read(source(client, index({}, time=time)))
    assert raised.value.remedy


@pytest.mark.parametrize("name", ["no-such-index", "no-such-pattern-*", "no/such<index"])
def test_an_index_that_does_not_exist_is_refused(client: Elasticsearch, name: str) -> None:
    reader = source(client, name)
    asks: Sequence[Callable[[], Any]] = (lambda: read(reader), lambda: reader.count(WINDOW), reader.count_undated)
    for ask in asks:
        with pytest.raises(ConfigurationError) as raised:
            ask()
        assert name in str(raised.value)


def test_a_view_that_ended_is_an_error_that_can_be_retried(client: Elasticsearch, index: Index) -> None:
    name = index({str(n): at("2013-03-09T05:00:00Z") for n in range(5)})
    with source(client, name, page_size=2, slices=1).extract(WINDOW) as extract:
        client.close_point_in_time(id=extract._view._id)
        with pytest.raises(IncompleteExtractError, match="point in time is gone"):
            list(extract.pages())
