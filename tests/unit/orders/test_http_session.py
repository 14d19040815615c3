"""Answers that the simulated CRM never gives: what each one means, and that none becomes half a report."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from include.orders_sync.adapters import http_report_client, http_session
from include.orders_sync.adapters.http_report_client import HttpReportClient
from include.orders_sync.adapters.report_formats import OversizedReportError, PageContent
from include.orders_sync.core.reports import BadReportError
from include.pipeline_framework.errors import (
    ConfigurationError,
    IncompleteExtractError,
    InvalidInputError,
    ServiceUnavailableError,
)
from tests.unit.orders.scripted_crm import TOKEN, Answer, Script, fetch, make, page, renamed, token


def test_a_request_says_all_it_has_to(client: HttpReportClient, script: Script) -> None:
    script.reports = [page(1, 2, 3, "a", "b", X_Snapshot="s/1+2="), page(2, 2, 3, "c", X_Snapshot="s/1+2=")]
    assert fetch(client) == PageContent(["key"], [["a"], ["b"], ["c"]])
    query = "/crm/reports/gst?store_code=S1&from_date=2026-03-01&to_date=2026-03-02&page={}&page_size=2"
    assert script.asked == ["/crm/oauth/token", query.format(1), query.format(2) + "&snapshot=s%2F1%2B2%3D"]


def test_a_crm_without_snapshots_is_read_too(client: HttpReportClient, script: Script) -> None:
    script.reports = [page(1, 2, 3, "a", "b"), page(2, 2, 3, "c")]
    assert len(fetch(client).rows) == 3
    assert "snapshot" not in script.asked[-1]


def test_without_snapshots_a_row_on_two_pages_begins_the_report_again(client: HttpReportClient, script: Script) -> None:
    """It slid there between two requests, and a row that slid the other way was on neither page."""
    script.reports = [
        page(1, 2, 4, "a", "b"), page(2, 2, 4, "b", "d"),
        page(1, 2, 4, "a", "c"), page(2, 2, 4, "b", "d"),
    ]  # fmt: skip
    assert sorted(row[0] for row in fetch(client).rows) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("pages", ["0", "1"])
def test_an_empty_report_has_one_page_or_none(pages: str, client: HttpReportClient, script: Script) -> None:
    script.reports = [page(1, int(pages), 0)]
    assert fetch(client).rows == []


CONTRADICTIONS = {
    "fewer rows than said": [page(1, 2, 4, "a", "b"), page(2, 2, 4, "c")],
    "more rows than said": [page(1, 2, 3, "a", "b"), page(2, 2, 3, "c", "d")],
    "another total": [page(1, 2, 3, "a", "b"), page(2, 2, 4, "c")],
    "another column": [page(1, 2, 3, "a", "b"), renamed(page(2, 2, 3, "c"))],
    "another number of pages": [page(1, 2, 4, "a", "b"), page(2, 3, 4, "c", "d")],
    "another snapshot": [page(1, 2, 3, "a", "b", X_Snapshot="1"), page(2, 2, 3, "c", X_Snapshot="2")],
}


@pytest.mark.parametrize("answers", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_pages_that_contradict_each_other_begin_the_report_again(
    answers: list[Answer], client: HttpReportClient, script: Script
) -> None:
    script.reports = [*answers, page(1, 2, 3, "a", "b"), page(2, 2, 3, "c")]
    assert fetch(client).rows == [["a"], ["b"], ["c"]]
    assert len(script.asked) == 5
    script.reports = answers * 3
    script.asked.clear()
    with pytest.raises(IncompleteExtractError, match="in 3 tries"):
        fetch(client)
    assert len(script.asked) == 6


def test_a_first_page_that_was_the_wrong_one_is_found_too(client: HttpReportClient, script: Script) -> None:
    wrong, right = page(1, 2, 4, "c", "d"), page(2, 2, 4, "c", "d")
    script.reports = [wrong, right, right, page(1, 2, 4, "a", "b"), right]
    assert fetch(client).rows == [["a"], ["b"], ["c"], ["d"]]


@pytest.mark.parametrize(
    "answer",
    [
        page(1, 2, 4),
        page(1, 1_000_000, 5, "a"),
        page(1, 0, 1, "a"),
        page(2, 2, 4, "a"),
    ],
    ids=["empty page", "absurd number of pages", "no page", "another page"],
)
def test_a_page_that_can_not_be_is_asked_for_again_a_few_times(
    answer: Answer, client: HttpReportClient, script: Script
) -> None:
    script.reports = [answer, page(1, 1, 1, "a")]
    assert fetch(client).rows == [["a"]]
    script.reports, script.asked = [answer], []
    with pytest.raises(IncompleteExtractError):
        fetch(client)
    assert len(script.asked) == 3


@pytest.mark.parametrize("name", ["X-Report", "X-Page", "X-Pages", "X-Total-Rows"])
@pytest.mark.parametrize("value", ["", "sales", "-1", "1e3", "٣"])
def test_an_answer_without_the_headers_of_a_report_is_none(
    name: str, value: str, client: HttpReportClient, script: Script
) -> None:
    answer = page(1, 1, 1, "a", **{name.replace("-", "_"): value.encode().decode("latin-1")})
    script.reports = [answer, page(1, 1, 1, "a")]
    assert fetch(client).rows == [["a"]]
    script.reports = [answer]
    with pytest.raises(BadReportError, match="does not say that it is the report gst"):
        fetch(client)


@pytest.mark.parametrize(
    ("status", "error", "requests"),
    [
        (204, BadReportError, 3),
        (302, ConfigurationError, 1),
        (400, InvalidInputError, 1),
        (403, ConfigurationError, 1),
        (404, ConfigurationError, 1),
        (408, ServiceUnavailableError, 3),
        (410, ConfigurationError, 1),
        (422, InvalidInputError, 1),
        (502, ServiceUnavailableError, 3),
        (599, ServiceUnavailableError, 3),
    ],
)
def test_every_status_has_its_error_and_its_number_of_tries(
    status: int, error: type[Exception], requests: int, client: HttpReportClient, script: Script
) -> None:
    script.reports = [(status, {"Location": "https://elsewhere.example/login"} if status == 302 else {}, b"")]
    with pytest.raises(error) as caught:
        fetch(client)
    assert type(caught.value) is error
    assert len(script.asked) == 1 + requests


def test_what_the_crm_says_is_told_without_our_secrets(client: HttpReportClient, script: Script) -> None:
    said = {"message": f"no store S1\n(client s3cret-hunter2, Bearer {TOKEN}) " + "x" * 500}
    script.reports = [(422, {}, json.dumps(said).encode())]
    with pytest.raises(InvalidInputError, match="no store S1 ") as caught:
        fetch(client)
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, b"<html>"), (200, {}, b"[]"), (200, {}, b"{}"), (200, {}, b"[" * 100_000), token(access_token=7),
        token(access_token="hunter2\r\nX: y"), token(access_token=""), token(expires_in="hunter2"), (500, {}, b""),
    ],
)  # fmt: skip
def test_a_token_that_can_not_be_read_is_asked_for_again_and_never_shown(
    answer: Answer, client: HttpReportClient, script: Script
) -> None:
    script.reports, script.tokens = [page(1, 1, 1, "a")], [answer, token()]
    assert fetch(client).rows == [["a"]]
    with make(client._session.base_url) as other, pytest.raises(ServiceUnavailableError) as caught:
        script.tokens, script.asked = [answer], []
        fetch(other)
    assert script.asked == ["/crm/oauth/token"] * 3
    assert "hunter2" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"


@pytest.mark.parametrize(("lasts", "later", "tokens"), [(600, 569, 1), (600, 571, 2), (None, 10**9, 1), (20, 19, 1)])
def test_a_token_is_renewed_before_it_ends(
    lasts: float | None, later: float, tokens: int, url: str, script: Script
) -> None:
    now = [0.0]
    script.tokens, script.reports = [token(expires_in=lasts)], [page(1, 1, 1, "a")]
    with make(url, lambda: now[0]) as client:
        fetch(client)
        now[0] = later
        fetch(client)
    assert script.asked.count("/crm/oauth/token") == tokens


@pytest.mark.parametrize("body", [b"", b"no gzip", gzip.compress(b" " * 20_000_000)], ids=["empty", "damaged", "huge"])
def test_the_body_of_a_refused_token_is_never_read(body: bytes, client: HttpReportClient, script: Script) -> None:
    script.reports = [(401, {"Content-Encoding": "gzip"}, body), page(1, 1, 1, "a")]
    assert fetch(client).rows == [["a"]]
    assert script.asked.count("/crm/oauth/token") == 2
    assert len(script.asked) == 4


def test_threads_whose_token_is_refused_renew_it_once_for_all(
    client: HttpReportClient, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.reports = [page(1, 1, 1, "a")]
    fetch(client)
    together, refused = threading.Barrier(6), iter(range(6))

    def answer(method: str, path: str, headers: dict[str, str]) -> Answer:
        script.asked.append(path)
        if method == "POST":
            return script.tokens[0]
        if next(refused, None) is not None:
            together.wait()
            return 401, {}, b""
        return script.reports[0]

    monkeypatch.setattr(script, "next", answer)
    script.asked.clear()
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: fetch(client).rows, range(6)))
    assert found == [[["a"]]] * 6
    assert script.asked.count("/crm/oauth/token") == 1
    assert len(script.asked) == 6 + 1 + 6


def test_compressed_answers_are_read_and_broken_ones_tried_again(client: HttpReportClient, script: Script) -> None:
    status, headers, body = page(1, 1, 1, "a", Content_Encoding="gzip")
    script.reports = [(status, headers, b"\x1f\x8bno gzip"), (status, headers, gzip.compress(body))]
    assert fetch(client).rows == [["a"]]


def test_an_answer_without_end_is_refused_at_once(
    client: HttpReportClient, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_session, "LARGEST_BODY", 10_000)
    script.reports = [(200, page(1, 1, 1)[1] | {"Content-Encoding": "gzip"}, gzip.compress(b" " * 20_000_000))]
    with pytest.raises(OversizedReportError, match="more than 10,000 bytes"):
        fetch(client)
    assert len(script.asked) == 2
    endless = page(1, 1, 1)[1] | {"Content-Length": str(10**12)}
    script.reports = [(200, endless, b" " * 20_000_000)]  # then the connection ends; nobody should have come so far
    with pytest.raises(OversizedReportError):
        fetch(client)


def test_a_page_that_would_unpack_to_gigabytes_is_asked_for_once(
    client: HttpReportClient, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> PageContent:
        raise OversizedReportError("the workbook unpacks to gigabytes")

    monkeypatch.setattr(http_report_client, "parse_page", refuse)
    script.reports = [page(1, 1, 1, "a")]
    with pytest.raises(OversizedReportError):
        fetch(client)
    assert len(script.asked) == 2


@pytest.mark.parametrize(
    "base_url",
    ["", "crm.example.com", "ftp://crm.example.com", "https://", "https://u:hunter2@crm.example.com", "http://h?key=hunter2",
     "http://[::1", "http://h:99999"],
)  # fmt: skip
def test_an_address_that_is_none_or_holds_a_secret_is_refused_without_showing_it(base_url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fetch(make(base_url))
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
