"""What `doctor` says of a server with security: it is played, the real one here has none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from include.implementation_modules.elasticsearch.checking import check
from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.pipeline_framework.core.watching.verdicts import CheckState, Verdict
from include.pipeline_framework.ports.checking import Look
from tests.fake_elasticsearch import FakeElasticsearch, serve
from tests.unit.implementation_modules.elasticsearch.test_faults import broken, documents, status
from tests.unit.implementation_modules.elasticsearch.test_rights import FIELDS, QUERY, grant

LOOK = Look("source_elasticsearch", timedelta(days=1), lambda: datetime.fromtimestamp(time.time(), UTC))


@pytest.fixture
def fake() -> Iterator[FakeElasticsearch]:
    with serve(FakeElasticsearch(documents())) as server:
        yield server


def found(fake: FakeElasticsearch, **options: Any) -> list[Verdict]:
    client = Elasticsearch(fake.url, max_retries=0, basic_auth=("reader", "top-secret"))
    verdicts = list(check(client, ElasticsearchSource.Options(**{"index": "events", **options}), LOOK))
    assert "top-secret" not in str(verdicts)
    return verdicts


def only_wrong(verdicts: list[Verdict]) -> Verdict:
    (wrong,) = [verdict for verdict in verdicts if verdict.state is CheckState.WRONG]
    return wrong


def test_a_server_with_security_where_all_is_well(fake: FakeElasticsearch) -> None:
    assert {verdict.state for verdict in found(fake)} == {CheckState.OK}
    assert not fake.views


def test_a_wrong_password_is_not_a_server_that_does_not_answer(fake: FakeElasticsearch) -> None:
    fake.faults["settings"] = status(401, "security_exception")
    (wrong,) = found(fake)
    assert (wrong.check, wrong.state) == ("authenticated", CheckState.WRONG)
    assert "Check login, password or API key" in wrong.remedy
    fake.faults["settings"] = broken("reset")
    (wrong,) = found(fake)
    assert (wrong.check, wrong.state) == ("reachable", CheckState.WRONG)


def test_a_right_that_is_missing_is_named_and_the_rest_is_looked_at(fake: FakeElasticsearch) -> None:
    fake.faults["settings"] = status(403, "security_exception")
    verdicts = found(fake)
    assert only_wrong(verdicts).check == "may read"
    assert "privileges read and view_index_metadata" in only_wrong(verdicts).remedy
    assert {"time field", "clock"} <= {verdict.check for verdict in verdicts}
    del fake.faults["settings"]
    fake.faults["count"] = status(403, "security_exception")
    assert only_wrong(found(fake)).check == "may read"


@pytest.mark.parametrize("hidden", [QUERY, FIELDS])
def test_a_role_that_hides_something(fake: FakeElasticsearch, hidden: dict[str, Any]) -> None:
    fake.privileges = {"cluster": [], "indices": [grant(**hidden)]}
    wrong = only_wrong(found(fake))
    assert wrong.check == "sees every document"
    assert "without a query" in wrong.remedy


def test_what_a_server_does_not_tell_is_unknown(fake: FakeElasticsearch) -> None:
    fake.faults |= {"privileges": status(405, "exception"), "clock": status(403, "security_exception")}
    verdicts = found(fake)
    unknown = {verdict.check for verdict in verdicts if verdict.state is CheckState.UNKNOWN}
    assert unknown == {"sees every document", "clock"}
    assert {verdict.state for verdict in verdicts if verdict.check not in unknown} == {CheckState.OK}


def test_a_clock_that_differs(fake: FakeElasticsearch) -> None:
    fake.now = lambda: time.time() + 7_200
    wrong = only_wrong(found(fake))
    assert (wrong.check, "NTP" in wrong.remedy) == ("clock", True)


def test_closed_indices_and_late_ones_are_two_verdicts(fake: FakeElasticsearch) -> None:
    fake.settings["settings"]["index.verified_before_close"] = "true"
    assert only_wrong(found(fake)).check == "indices open"
    fake.settings["settings"] = {"index.uuid": "u", "index.number_of_shards": "2", "index.refresh_interval": "-1"}
    wrong = only_wrong(found(fake))
    assert wrong.check == "refresh_interval"
    assert only_wrong([*found(fake, refresh="before_reading"), wrong]) == wrong
