"""Every way in which Elasticsearch can answer wrongly ends in an error of the right kind, never in a shorter window."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from include.implementation_modules.elasticsearch import extract as elasticsearch_extract
from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    IncompleteExtractError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
)
from tests.fake_elasticsearch import CUT, HANG, RESET, SHARDS, FakeElasticsearch, Fault, serve

START = datetime(2013, 3, 9, 5, tzinfo=UTC)
WINDOW = TimeWindow(START, START + timedelta(hours=1))
HALVES = [TimeWindow(START, START + timedelta(minutes=30)), TimeWindow(START + timedelta(minutes=30), WINDOW.end)]
ROWS = 40


def documents() -> list[tuple[str, int, str]]:
    first = int(START.timestamp() * 1000)
    return [(f"id-{n:03}", first + n * 1000, json.dumps({"n": n})) for n in range(ROWS)]


@pytest.fixture
def fake() -> Iterator[FakeElasticsearch]:
    with serve(FakeElasticsearch(documents())) as server:
        yield server


def source_of(fake: FakeElasticsearch, **options: Any) -> ElasticsearchSource:
    client = Elasticsearch(fake.url, max_retries=0, basic_auth=("reader", "top-secret"))
    values = {"index": "events", "page_size": 10, "slices": 1, "request_timeout_seconds": 600} | options
    return ElasticsearchSource(client, ElasticsearchSource.Options(**values))


def read(source: ElasticsearchSource) -> list[str]:
    with source.extract(WINDOW) as extract:
        return [document.id for page in extract.pages() for document in page]


def changed(**changes: Any) -> Fault:
    return lambda answer, _: (200, answer | changes)


def only_from(number: int, fault: Fault) -> Fault:
    """The first pages are right: a fault past the middle."""
    return lambda answer, n: fault(answer, n) if n >= number else (200, answer)


def status(code: int, kind: str, **more: Any) -> Fault:
    error = {"type": kind, "reason": f"because of {kind}", **more}
    return lambda answer, _: (code, {"error": error | {"root_cause": [error]}, "status": code})


def broken(how: str) -> Fault:
    return lambda answer, _: how


def hits(**changes: Any) -> Fault:
    return lambda answer, _: (200, answer | {"hits": answer["hits"] | changes})


def half_of_the_hits(answer: Any, _: int) -> Any:
    kept = answer["hits"]["hits"][::2]
    return 200, answer | {"_shards": HALF, "hits": answer["hits"] | {"hits": kept}}


def lost_document(answer: Any, _: int) -> Any:
    return 200, answer | {"hits": answer["hits"] | {"hits": answer["hits"]["hits"][1:]}}


def outside_the_window(answer: Any, _: int) -> Any:
    for hit in answer["hits"]["hits"]:
        hit["sort"][1] += 3_600_000
    return 200, answer


def repeated_hit(answer: Any, _: int) -> Any:
    """The number of hits is right: where one comes twice, its neighbour is missing."""
    found = list(answer["hits"]["hits"])
    if len(found) > 1:
        found[1] = found[0]
    return hits(hits=found)(answer, _)


def reversed_hits(answer: Any, _: int) -> Any:
    return hits(hits=answer["hits"]["hits"][::-1])(answer, _)


def caps_below_nested(answer: Any, _: int) -> Any:
    return 200, answer | {"fields": {**answer["fields"], "shipments": {"nested": {"type": "nested"}}}}


def indices(**settings: str) -> Fault:
    return lambda answer, _: (
        200,
        {"events": {**answer["events"], "settings": {**answer["events"]["settings"], **settings}}},
    )


HALF = SHARDS | {"successful": 1, "failed": 1}
NONE = dict.fromkeys(SHARDS, 0)
ONE_SHARD = SHARDS | {"total": 1, "successful": 1}
EXPIRED = status(404, "search_phase_execution_exception", failed_shards=[
    {"shard": 0, "reason": {"type": "search_context_missing_exception", "reason": "No search context found"}}
])  # fmt: skip
NODE_LOST = status(404, "search_context_missing_nodes_exception")
SKIPPED_CLUSTER = changed(_clusters={"total": 2, "successful": 1, "skipped": 1})
INCOMPLETE, UNAVAILABLE, WRONG = IncompleteExtractError, ServiceUnavailableError, ConfigurationError
BUSY = ServiceBusyError

FAULTS: list[tuple[str, str, Fault, type[PipelineError]]] = [
    ("page: a shard failed, half of the documents", "page", half_of_the_hits, INCOMPLETE),
    ("page: a shard failed, no documents", "page", lambda a, n: hits(hits=[])(a | {"_shards": HALF}, n), INCOMPLETE),
    ("page: a shard less than in the view", "page", changed(_shards=ONE_SHARD), INCOMPLETE),
    ("page: a shard did not say", "page", changed(_shards=SHARDS | {"successful": 1}), INCOMPLETE),
    ("page: timed out", "page", changed(timed_out=True), INCOMPLETE),
    ("page: ended early", "page", changed(terminated_early=True), INCOMPLETE),
    ("page: a remote cluster was skipped", "page", SKIPPED_CLUSTER, INCOMPLETE),
    ("page: empty, all shards well", "page", hits(hits=[]), INCOMPLETE),
    ("page: a document lost", "page", only_from(4, lost_document), INCOMPLETE),
    ("page: documents of another window", "page", outside_the_window, INCOMPLETE),
    ("page: no _shards at all", "page", lambda a, _: (200, {k: v for k, v in a.items() if k != "_shards"}), INCOMPLETE),
    ("page: JSON that stops", "page", lambda a, _: (200, json.dumps({"took": 1}).encode()[:-2]), INCOMPLETE),
    ("page: nothing", "page", lambda a, _: (200, b""), INCOMPLETE),
    ("page: something else", "page", lambda a, _: (200, b"<html>maintenance</html>"), INCOMPLETE),
    ("page: body cut off", "page", broken(CUT), UNAVAILABLE),
    ("page: connection reset", "page", broken(RESET), UNAVAILABLE),
    ("page: no answer in time", "page", broken(HANG), UNAVAILABLE),
    ("page: too many requests", "page", status(429, "circuit_breaking_exception"), BUSY),
    ("page: unavailable", "page", status(503, "search_phase_execution_exception"), UNAVAILABLE),
    ("page: a proxy's error page", "page", lambda a, _: (502, b"<html>bad gateway</html>"), UNAVAILABLE),
    ("page: view expired", "page", EXPIRED, INCOMPLETE),
    ("page: a node with the view is gone", "page", NODE_LOST, INCOMPLETE),
    ("page: refused", "page", status(400, "query_shard_exception"), WRONG),
    ("count: a shard failed", "count", changed(_shards=HALF), INCOMPLETE),
    ("count: timed out", "count", changed(timed_out=True), INCOMPLETE),
    ("count: a remote cluster was skipped", "count", SKIPPED_CLUSTER, INCOMPLETE),
    ("count: no shards", "count", changed(_shards=NONE), INCOMPLETE),
    ("count: a lower bound", "count", hits(total={"value": ROWS, "relation": "gte"}), INCOMPLETE),
    ("count: no total", "count", hits(total=None), INCOMPLETE),
    ("count: unavailable", "count", status(503, "no_shard_available_action_exception"), UNAVAILABLE),
    ("count: rows of no index", "count", changed(aggregations={"values": {"value": ROWS}}), INCOMPLETE),
    ("page: a hit in the place of its neighbour", "page", only_from(2, repeated_hit), INCOMPLETE),
    ("page: hits in another order", "page", reversed_hits, INCOMPLETE),
    ("settings: an index is closed", "settings", indices(**{"index.verified_before_close": "true"}), WRONG),
    ("settings: an index is frozen", "settings", indices(**{"index.search.throttled": "true"}), WRONG),
    ("settings: an index is never refreshed", "settings", indices(**{"index.refresh_interval": "-1"}), WRONG),
    ("settings: no such index", "settings", status(404, "index_not_found_exception"), WRONG),
    ("settings: no privilege", "settings", status(403, "security_exception"), WRONG),
    ("settings: something else", "settings", lambda a, _: (200, b"[]"), INCOMPLETE),
    ("settings: reset", "settings", broken(RESET), UNAVAILABLE),
    ("privileges: reset", "privileges", broken(RESET), UNAVAILABLE),
    ("privileges: too many requests", "privileges", status(429, "circuit_breaking_exception"), BUSY),
    ("open: a shard failed", "open", changed(_shards=HALF), INCOMPLETE),
    ("open: no index of the pattern exists", "open", changed(_shards=NONE), INCOMPLETE),
    ("open: no such index", "open", status(404, "index_not_found_exception"), WRONG),
    ("open: reset", "open", broken(RESET), UNAVAILABLE),
    ("caps: unknown user", "caps", status(401, "security_exception"), WRONG),
    ("caps: no privilege", "caps", status(403, "security_exception"), WRONG),
    ("caps: an index did not answer", "caps", changed(failed_indices=1), INCOMPLETE),
    ("caps: not mapped", "caps", changed(fields={}), WRONG),
    ("caps: below a nested object", "caps", caps_below_nested, WRONG),
    ("page: an index was deleted meanwhile", "page", status(404, "index_not_found_exception"), INCOMPLETE),
    ("page: too large even for one document", "page", status(429, "circuit_breaking_exception"), BUSY),
    ("caps: text", "caps", changed(fields={"@timestamp": {"date": {}, "keyword": {}}}), WRONG),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "fault", "expected"), FAULTS, ids=[case[0] for case in FAULTS])
def test_a_fault_ends_the_extract_and_releases_the_view(
    fake: FakeElasticsearch, name: str, kind: str, fault: Fault, expected: type[PipelineError]
) -> None:
    fake.faults[kind] = only_from(2, fault) if kind == "page" else fault
    options = {"time_field": "shipments.at"} if "nested" in name else {}
    if options:
        fake.faults[kind] = lambda answer, n: fault(answer | {"fields": {"shipments.at": {"date": {}}}}, n)
    with pytest.raises(expected) as raised:
        read(source_of(fake, request_timeout_seconds=0.5 if name.endswith("in time") else 600, **options))
    assert type(raised.value) is expected
    assert not fake.views or (kind == "open" and expected is not INCOMPLETE)  # its id never arrived
    error = raised.value
    assert error.what and error.where.startswith("index events") and error.meaning and error.remedy
    assert "top-secret" not in f"{error!s}{error.__cause__!r}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ((429, {}), None),
        ((429, {}, {"Retry-After": "90"}), 90.0),
        ((503, {}, {"Retry-After": "30"}), 30.0),
        ((429, {}, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), None),
    ],
)
def test_a_busy_cluster_is_asked_once_and_says_when_to_come_back(
    fake: FakeElasticsearch, answer: Any, asked: float | None
) -> None:
    fake.faults["count"] = lambda *_: answer
    with pytest.raises(ServiceBusyError) as raised:
        source_of(fake).count(WINDOW)
    assert raised.value.retry_after_seconds == asked
    assert pickle.loads(pickle.dumps(raised.value)).retry_after_seconds == asked  # noqa: S301
    if answer[0] == 429:  # the client itself would repeat it three times without any delay
        assert [kind for kind, _ in fake.requests].count("count") == 1


@pytest.mark.parametrize("kind", ["count", "count_undated", "histogram", "fingerprint"])
@pytest.mark.parametrize(
    "fault", [changed(_shards=HALF), changed(_shards=NONE), changed(timed_out=True), SKIPPED_CLUSTER]
)
def test_no_number_is_believed_unless_every_shard_answered(fake: FakeElasticsearch, kind: str, fault: Fault) -> None:
    source = source_of(fake)
    ask = {
        "count": lambda: source.count(WINDOW),
        "count_undated": source.count_undated,
        "histogram": lambda: source.histogram(WINDOW, HALVES),
        "fingerprint": lambda: source.fingerprint(WINDOW),
    }[kind]
    ask()
    fake.faults["page" if kind == "fingerprint" else "count"] = fault
    with pytest.raises(IncompleteExtractError):
        ask()
    assert not fake.views


def test_a_histogram_without_its_aggregation_is_refused(fake: FakeElasticsearch) -> None:
    fake.faults["count"] = changed(aggregations=None)
    with pytest.raises(IncompleteExtractError, match="buckets"):
        source_of(fake).histogram(WINDOW, HALVES)


def test_a_page_that_comes_twice_is_noticed(fake: FakeElasticsearch) -> None:
    pages: list[Any] = []

    def cached(answer: Any, _: int) -> Any:
        pages.append(answer)
        return 200, pages[0]

    fake.faults["page"] = cached
    with pytest.raises(IncompleteExtractError, match="second time"):
        read(source_of(fake))


def test_more_documents_than_counted_are_refused(fake: FakeElasticsearch) -> None:
    fake.faults["count"] = lambda a, n: hits(total={"value": 15, "relation": "eq"})(
        a | {"aggregations": a["aggregations"] | {"values": {"value": 15}}}, n
    )
    with pytest.raises(IncompleteExtractError, match="more than 15"):
        read(source_of(fake))


@pytest.mark.parametrize("slices", [1, 2, 3, 8])
def test_every_document_comes_once_over_many_pages_and_slices(
    fake: FakeElasticsearch, slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elasticsearch_extract, "_FIRST_PAGE", 3)
    assert sorted(read(source_of(fake, slices=slices))) == [key for key, _, _ in fake.documents]
    pages = [body for kind, body in fake.requests if kind == "page"]
    assert {body.get("slice", {}).get("max", 1) for body in pages} == {slices}
    assert max(body["size"] for body in pages) > 3
    assert not fake.views


def test_a_slice_that_fails_ends_the_others(fake: FakeElasticsearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticsearch_extract, "_FIRST_PAGE", 2)
    fake.faults["page"] = only_from(5, broken(RESET))
    with pytest.raises(ServiceUnavailableError):
        read(source_of(fake, slices=4, page_size=2))
    assert not fake.views


def test_a_reader_that_stops_early_releases_the_view(fake: FakeElasticsearch) -> None:
    with source_of(fake, slices=2).extract(WINDOW) as extract:
        next(extract.pages())
        assert fake.views
    assert not fake.views


def test_the_view_can_not_be_closed_and_nobody_minds(fake: FakeElasticsearch) -> None:
    fake.faults["close"] = EXPIRED
    assert len(read(source_of(fake))) == ROWS


def test_a_newer_view_id_is_used_and_both_are_closed(fake: FakeElasticsearch) -> None:
    fake.faults["count"] = changed(pit_id="newer")
    read(source_of(fake))
    assert {body["pit"]["id"] for kind, body in fake.requests if kind == "page"} == {"newer"}
    assert "newer" in {body["id"] for kind, body in fake.requests if kind == "close"}
    assert not fake.views


def test_a_server_that_says_nothing_of_shards_when_opening_is_held_to_the_counts(fake: FakeElasticsearch) -> None:
    fake.faults["open"] = lambda answer, _: (200, {"id": answer["id"]})
    assert len(read(source_of(fake))) == ROWS
    fake.faults["page"] = changed(_shards=ONE_SHARD)
    with pytest.raises(IncompleteExtractError, match="instead of 2"):
        read(source_of(fake))


def test_requests_ask_for_whole_answers_and_untouched_documents(fake: FakeElasticsearch) -> None:
    read(source_of(fake))
    pages = [body for kind, body in fake.requests if kind == "page"]
    searches = [body for kind, body in fake.requests if kind in ("page", "count")]
    assert all("allow_partial_search_results=false" in body["path"] for body in searches)
    assert not any("filter_path" in body["path"] or "_source" in body for body in pages)
    # unmapped_type: an index of the pattern without the field fails the sort, but only when it answers first
    by_time = {"order": "asc", "unmapped_type": "date"}
    assert pages[0]["sort"] == [{"_shard_doc": {"order": "asc"}}, {"@timestamp": by_time}]
    assert {tuple(body["query"]["range"]["@timestamp"].values()) for body in searches} == {
        ("2013-03-09T05:00:00.000000Z", "2013-03-09T06:00:00.000000Z", "strict_date_optional_time_nanos")
    }


def test_large_documents_make_small_pages(fake: FakeElasticsearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticsearch_extract, "_FIRST_PAGE", 4)
    monkeypatch.setattr(elasticsearch_extract, "_PAGE_BYTES", 5_000)
    fake.documents = [(key, at, json.dumps({"text": "x" * 2_000})) for key, at, _ in fake.documents]
    assert len(read(source_of(fake, page_size=1_000))) == ROWS
    assert {body["size"] for kind, body in fake.requests if kind == "page"} == {4, 2}


def test_half_a_surrogate_pair_does_not_hide_its_neighbours_and_arrives_as_it_was_sent(fake: FakeElasticsearch) -> None:
    bodies = [
        r'{"a":"\ud800"}', r'{"a":"\\ud800 \ud83d\ude00 é"}', '{"a":\n[1,\r\n2]}',
        r'{"\uDC00":{"_source":{"a":"\uD800"}}}',
        r'{"a":"\ud83dx\ude00"}', "{}", '{"b":1e2,"c":0.1000000000000000055,"d":9007199254740993}',
    ]  # fmt: skip
    at = fake.documents[0][1]
    fake.documents = [(f'{{"_source":{{}}}}{n}', at + n, body) for n, body in enumerate(bodies)]
    fake.documents.append(("\ud800", at, r'{"a":"\ud800"}'))
    with source_of(fake).extract(WINDOW) as extract:
        found = {document.id: document for page in extract.pages() for document in page}
    one_line = [body.translate({10: None, 13: None}) for body in bodies]
    assert [found[key].body.decode() for key, _, _ in fake.documents[:-1]] == one_line
    assert found["\ud800"].body == rb'{"a":"\ud800"}'
    with pytest.raises(BadDocumentError, match="ud800"):
        source_of(fake).fingerprint(WINDOW)


def test_several_values_are_refused_even_when_the_document_is_not_found_again(fake: FakeElasticsearch) -> None:
    fake.faults["count"] = lambda a, n: changed(aggregations={**a["aggregations"], "values": {"value": ROWS + 1}})(a, n)
    with source_of(fake).extract(WINDOW) as extract, pytest.raises(BadDocumentError, match="several values"):
        list(extract.pages())


def test_the_client_stays_as_it_was(fake: FakeElasticsearch) -> None:
    client = Elasticsearch(fake.url)
    source = ElasticsearchSource(client, ElasticsearchSource.Options(index="events"))
    assert source.fingerprint(WINDOW) == Fingerprint.of(key for key, _, _ in fake.documents)
    assert isinstance(client.field_caps(index="events", fields="x").body, dict)


def test_an_index_without_documents_kept_is_a_configuration_error(fake: FakeElasticsearch) -> None:
    def without_source(answer: Any, _: int) -> Any:
        for hit in answer["hits"]["hits"]:
            del hit["_source"]
        return 200, answer

    fake.faults["page"] = without_source
    with pytest.raises(ConfigurationError, match="does not keep"):
        read(source_of(fake))


def test_an_index_that_is_replaced_while_the_view_is_opened_is_not_read(fake: FakeElasticsearch) -> None:
    fake.faults["settings"] = lambda answer, number: indices(
        **{"index.uuid": f"u-{number}", "index.number_of_shards": "1"}
    )(answer, number)
    with pytest.raises(IncompleteExtractError, match="changed while the view was opened"):
        read(source_of(fake))
    assert not fake.views


def test_an_alias_with_routing_reads_fewer_shards_than_its_indices_have(fake: FakeElasticsearch) -> None:
    fake.faults["settings"] = indices(**{"index.number_of_shards": "5"})
    assert len(read(source_of(fake))) == ROWS
