"""Documents and indices that are legal and odd, on the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from include.implementation_modules.elasticsearch import extract as elasticsearch_extract
from include.implementation_modules.object_storage.stage import ObjectStorageStage
from include.pipeline_framework.errors import BadDocumentError, ConfigurationError, IncompleteExtractError
from include.pipeline_framework.ports.stage import StageRequest
from tests.integration.test_what_a_source_hides import START, WINDOW, Indices, read

pytestmark = pytest.mark.integration

REQUEST = StageRequest(7, "odd", "2013-03-09", WINDOW, 1)
COMMENTED = '{"@timestamp": "2013-03-09T05:30:00Z", /* an "odd" note, */ "n": 1, "m": "/* none */"} // and an end'


@pytest.fixture
def indices(elasticsearch_url: str) -> Iterator[Indices]:
    with Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        indices = Indices(client)
        yield indices
        for name in client.indices.get(index=indices.pattern, expand_wildcards="all"):
            client.indices.delete(index=name)


def put(indices: Indices, full: str, key: str, body: str) -> None:
    headers = {"content-type": "application/json", "accept": "application/json"}
    indices.client.perform_request("PUT", f"/{full}/_doc/{key}?refresh=true", headers=headers, body=body)


def stage(folder: Path) -> ObjectStorageStage:
    return ObjectStorageStage.from_client(None, ObjectStorageStage.Options(path=str(folder)))


def test_one_document_with_comments_is_named_and_can_be_quarantined(indices: Indices, tmp_path: Path) -> None:
    full = indices.create("a", 3)
    put(indices, full, "odd", COMMENTED)
    source = indices.source()
    assert read(source) == ["0", "1", "2", "odd"]
    with source.extract(WINDOW) as extract, pytest.raises(BadDocumentError, match=r"Document 'odd' can't be loaded"):
        stage(tmp_path / "fails").write(REQUEST, extract)
    with source.extract(WINDOW) as extract:
        manifest = stage(tmp_path / "kept").write(REQUEST, extract, on_bad_document="quarantine")
    assert (manifest.fingerprint.rows, manifest.quarantined) == (3, 1)
    with stage(tmp_path / "kept").open(f"{manifest.location}/quarantine.ndjson") as file:
        (entry,) = map(json.loads, file.read().splitlines())
    assert (entry["_id"], entry["body"]) == ("odd", COMMENTED.removesuffix(" // and an end"))


def test_a_comment_behind_a_document_is_no_part_of_it(indices: Indices, tmp_path: Path) -> None:
    full = indices.create("a", 1)
    put(indices, full, "odd", '{"@timestamp": "2013-03-09T05:30:00Z", "m": "// none"} // an end')
    with indices.source().extract(WINDOW) as extract:
        assert stage(tmp_path).write(REQUEST, extract).fingerprint.rows == 2


def test_an_index_with_a_small_result_window_is_read_in_pages_that_fit(
    indices: Indices, monkeypatch: pytest.MonkeyPatch
) -> None:
    indices.create("a", 25, **{"max_result_window": 6})
    monkeypatch.setattr(elasticsearch_extract, "_FIRST_PAGE", 20)
    assert len(read(indices.source(slices=1))) == 25


def test_an_index_that_is_deleted_while_it_is_read_is_read_again(indices: Indices) -> None:
    indices.create("a", 4)
    indices.create("b", 4, first=4)
    source = indices.source(page_size=2, slices=1)
    with pytest.raises(IncompleteExtractError), source.extract(WINDOW) as extract:
        for number, _page in enumerate(extract.pages()):
            if not number:
                indices.client.indices.delete(index=indices.name("b"))
    assert len(read(source)) == 4


def test_a_time_field_below_a_nested_object_is_refused(indices: Indices) -> None:
    full = indices.name("nested")
    properties: dict[str, Any] = {"shipments": {"type": "nested", "properties": {"at": {"type": "date"}}}}
    indices.client.indices.create(index=full, mappings={"properties": properties}, settings={"number_of_replicas": 0})
    document = {"shipments": [{"at": (START + timedelta(minutes=1)).isoformat()}]}
    indices.client.index(index=full, document=document, refresh=True)
    source = indices.source(full, time_field="shipments.at")
    for look in (lambda: source.count(WINDOW), lambda: read(source), source.count_undated):
        with pytest.raises(ConfigurationError, match="lies below 'shipments', which is mapped as nested"):
            look()


def test_a_time_field_below_a_plain_object_is_read(indices: Indices) -> None:
    full = indices.name("plain")
    properties: dict[str, Any] = {"shipment": {"properties": {"at": {"type": "date"}}}}
    indices.client.indices.create(index=full, mappings={"properties": properties}, settings={"number_of_replicas": 0})
    for number, at in enumerate([START, START + timedelta(minutes=1)]):
        body = {"shipment": {"at": at.isoformat()}} if number else {"shipment.at": at.isoformat()}
        indices.client.index(index=full, id=str(number), document=body, refresh=True)
    assert read(indices.source(full, time_field="shipment.at")) == ["0", "1"]
