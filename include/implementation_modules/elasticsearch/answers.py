"""Checks that an Elasticsearch answer proves itself whole before it is used, and names its errors.

Elasticsearch answers HTTP 200 with half of the documents when a node is lost, and `_count` agrees with that half.
Therefore every answer (pages, counts and aggregations) has to say that all shards (and remote clusters) took part, that
it did not run out of time and that it was not cut short; any other answer is an error.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from include.implementation_modules.elasticsearch.errors import THROWN_AWAY, TOO_MANY_REQUESTS, translate
from include.pipeline_framework.errors import (
    IncompleteExtractError,
)

_REPEATED_AT_ONCE = (502, 503, 504)  # by the client, on another node; it would also repeat a 429 without delay
# A high surrogate with its low one, then a surrogate on its own (group 1), then any other escape.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)
# A string, or a comment outside of strings (group 1). A comment that ends its document without a line break would go
# beyond it: after a document in a sorted page comes its sort value.
_COMMENT = re.compile(rb'"(?:[^"\\]|\\.)*"|(/\*.*?\*/|//(?:(?!,"sort":\[)[^\r\n])*)', re.DOTALL)


class Shards(msgspec.Struct):
    """The number of shards that were asked, and of those that answered."""

    total: int
    successful: int
    failed: int


class Clusters(msgspec.Struct):
    """Cross-cluster search: a remote cluster with `skip_unavailable` is skipped without a failed shard."""

    total: int = 0
    successful: int = 0


class Total(msgspec.Struct):
    """The number of all hits; exact only with relation `eq`."""

    value: int
    relation: str


class Hit(msgspec.Struct, gc=False):
    """One document; `sort` begins with the unique shard position and the time in the unit of the request.

    A first page may carry a third sort value: Elasticsearch adds its own tie-breaker to views.
    """

    id: str = msgspec.field(name="_id")
    source: msgspec.Raw = msgspec.field(name="_source", default=msgspec.Raw())
    sort: list[int] = msgspec.field(default_factory=lambda: [0, 0])
    fields: dict[str, list[Any]] | None = None


class Hits(msgspec.Struct):
    """One page."""

    hits: list[Hit] = []
    total: Total | None = None


class SearchAnswer(msgspec.Struct):
    """A page, a count or an aggregation; a field without a default is missing only in a broken answer."""

    shards: Shards = msgspec.field(name="_shards")
    timed_out: bool
    hits: Hits
    terminated_early: bool = False
    clusters: Clusters | None = msgspec.field(name="_clusters", default=None)
    pit_id: str | None = None
    aggregations: dict[str, Any] | None = None


class PointInTimeAnswer(msgspec.Struct):
    """The answer that a point in time was opened; servers before 8.16 say nothing about its shards here."""

    id: str
    shards: Shards | None = msgspec.field(name="_shards", default=None)


class FieldCapabilities(msgspec.Struct):
    """Types of a field over all indices of a pattern."""

    fields: dict[str, dict[str, Any]]
    failed_indices: int = 0


Answer = TypeVar("Answer")
_PAGE = msgspec.json.Decoder(SearchAnswer)


class Channel:
    """Sends requests through an injected client and returns checked answers, decoded from the original bytes.

    The client's node pool, authentication, retries and time-outs stay in use; only its JSON decoding is skipped,
    because it would take most of the time and change numbers and escapes of the documents.
    """

    def __init__(self, client: Any, request_timeout_seconds: float) -> None:
        self._client = _undecoding(client, request_timeout_seconds)

    def ask(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        *,
        where: str,
        body: Mapping[str, Any] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request.

        Raises:
            ServiceUnavailableError: No answer, or "not now".
            IncompleteExtractError: The answer is cut off, does not prove itself whole, or the point in time is lost.
            ConfigurationError: Credentials, index, mapping or request are wrong.
        """
        return decode(self.raw(method, path, where=where, body=body, parameters=parameters), answer, where)

    def raw(
        self,
        method: str,
        path: str,
        *,
        where: str,
        body: Mapping[str, Any] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the answer's bytes; errors as in `ask`."""
        from elastic_transport import TransportError
        from elasticsearch import ApiError

        headers = {"accept": "application/json"} | ({"content-type": "application/json"} if body else {})
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        try:
            answer = self._client.perform_request(method, target, headers=headers, body=body).body
        except (ApiError, TransportError) as error:
            raise translate(error, where) from error
        return answer if isinstance(answer, bytes) else str(answer or "").encode()

    def answer_if_any(self, path: str, *, where: str) -> bytes | None:
        """Return the answer to a GET that not every server knows; None if the server refuses it or has no such thing.

        Some servers say so with 400, 403, 404 or 405, and a server whose security is off with 500. No answer at all, or
        "not now", is an error as in `ask`: then nothing is known.
        """
        from elastic_transport import TransportError
        from elasticsearch import ApiError

        try:
            answer = self._client.perform_request("GET", path, headers={"accept": "application/json"}).body
        except (ApiError, TransportError) as error:
            status = error.meta.status if isinstance(error, ApiError) else None
            if status is None or status == TOO_MANY_REQUESTS or status in _REPEATED_AT_ONCE:
                raise translate(error, where) from error
            return None
        return answer if isinstance(answer, bytes) else str(answer or "").encode()


class _AsSent:
    """A serializer that does not change answers."""

    mimetype = "application/json"

    def loads(self, data: bytes) -> bytes:
        return data

    def dumps(self, data: Any) -> bytes:
        return msgspec.json.encode(data)


def _undecoding(client: Any, request_timeout_seconds: float) -> Any:
    from elastic_transport import SerializerCollection

    undecoding = client.options(request_timeout=request_timeout_seconds, retry_on_status=_REPEATED_AT_ONCE)
    # A shallow copy shares the node pool with the caller's client, whose own serializers stay unchanged. A client takes
    # serializers only when it is made, and has no public way to another transport (elasticsearch 8.19.3).
    transport = copy.copy(client.transport)
    types = ("application/json", "application/vnd.elasticsearch+json", "text/*")
    serializers: dict[str, Any] = dict.fromkeys(types, _AsSent())
    transport.serializers = SerializerCollection(serializers, default_mimetype="application/json")
    undecoding._transport = transport  # noqa: SLF001
    return undecoding


def decode(answer: bytes, into: type[Answer], where: str) -> Answer:
    """Decode an answer.

    Raises:
        IncompleteExtractError: The answer is cut off, or lacks the fields that prove it whole.
    """
    try:
        return msgspec.json.decode(answer, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IncompleteExtractError(
            f"Elasticsearch's answer of {len(answer)} bytes is cut off or not what was asked for ({error})",
            where=where,
            meaning=THROWN_AWAY,
            remedy="Airflow retries; if it stays, look for a proxy that shortens or replaces answers.",
        ) from error


def decode_page(answer: bytes, where: str) -> tuple[SearchAnswer, list[bytes]]:
    """Return a page and the original bytes of its documents, each on one line.

    msgspec refuses a page in which any document has an escaped surrogate without its partner, or a comment, both of
    which Elasticsearch accepts and returns. Such a page is decoded a second time with these masked by characters of the
    same length, and the documents are cut from the original at the same places; ids come from the standard library,
    which accepts surrogates. The stage names the documents that can't be stored.
    """
    try:
        page = _PAGE.decode(answer)
        return page, _one_line_each([bytes(hit.source) for hit in page.hits.hits], answer)
    except msgspec.DecodeError:
        plain = _COMMENT.sub(lambda match: b" " * len(match[0]) if match[1] else match[0], answer)
        masked = _ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], plain)
        if masked == answer:
            return decode(answer, SearchAnswer, where), []
    page = decode(masked, SearchAnswer, where)
    bodies, position = [], 0
    originals = json.loads(plain)["hits"]["hits"]
    for hit, original in zip(page.hits.hits, originals, strict=True):
        hit.id = original["_id"]
        body = bytes(hit.source)
        if body:
            # Inside a JSON string the quotes would be escaped, so this finds only the member.
            start = masked.index(b'"_source":' + body, position) + len(b'"_source":')
            position = start + len(body)
            body = answer[start:position]
        bodies.append(body)
    return page, _one_line_each(bodies, answer)


def _one_line_each(bodies: list[bytes], answer: bytes) -> list[bytes]:
    """Remove literal line breaks, which in JSON are only between tokens; most answers have none at all."""
    if b"\n" in answer or b"\r" in answer:
        return [body.translate(None, b"\r\n") for body in bodies]
    return bodies


def check_whole(answer: SearchAnswer, where: str, *, shards: int | None = None) -> SearchAnswer:
    """Return the answer, if every shard took part in it.

    Args:
        answer: Any search answer.
        where: For the message.
        shards: The required number of shards; None before it is known.

    Raises:
        IncompleteExtractError: Shards failed, are missing or none, clusters were skipped, it timed out or ended early.
    """
    check_shards(answer.shards, where, shards=shards)
    clusters = answer.clusters
    if clusters is not None and clusters.successful != clusters.total:
        raise _partial(f"only {clusters.successful} of {clusters.total} clusters answered", where)
    if answer.timed_out or answer.terminated_early:
        raise _partial("the search " + ("timed out" if answer.timed_out else "was ended early"), where)
    return answer


def check_shards(counted: Shards, where: str, *, shards: int | None = None) -> None:
    """Refuse an answer in which a shard failed or is missing, or without any shard."""
    if counted.failed or counted.successful != counted.total:
        what = f"only {counted.successful} of {counted.total} shards answered ({counted.failed} failed)"
        raise _partial(what, where)
    if not counted.total or (shards is not None and counted.total != shards):
        raise _partial(f"{counted.total} shards answered{f' instead of {shards}' if shards else ''}", where)


def exact_total(answer: SearchAnswer, where: str) -> int:
    """Return the exact number of hits.

    Raises:
        IncompleteExtractError: The answer has no total or a lower bound only.
    """
    total = answer.hits.total
    if total is None or total.relation != "eq":
        raise _partial("the answer has no exact number of hits", where)
    return total.value


def index_path(index: str, action: str) -> str:
    """Return the request path of an index, alias or pattern; commas and wildcards keep their meaning."""
    return f"/{quote(index, safe=',*')}/{action}"


def _partial(what: str, where: str) -> IncompleteExtractError:
    return IncompleteExtractError(
        f"Elasticsearch's answer is not complete: {what}",
        where=where,
        meaning=THROWN_AWAY,
        remedy="Airflow retries; if it stays, check the cluster's health and its search time-outs.",
    )
