"""Elasticsearch as a source: complete extracts of one window, or an error.

A point in time gives the consistent view, `search_after` walks it in the order of `_shard_doc`, which is unique, so no
document is lost or doubled between two pages. The event time is the second sort value: Elasticsearch's own normalised
instant, not the document's text, and cheaper than sorting by time first or reading it as a field. A sort value shows
one of several values, so the values of the window are counted, too, and a document with more than one is refused.

Documents are passed on byte for byte: no `filter_path` and no `_source` filtering, which would rewrite numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from include.implementation_modules.elasticsearch_answers import (
    Channel,
    FieldCapabilities,
    Hit,
    PointInTimeAnswer,
    SearchAnswer,
    check_shards,
    check_whole,
    decode_page,
    exact_total,
    index_path,
)
from include.implementation_modules.elasticsearch_time_field import RENDERED_FORMAT, TimeField
from include.pipeline_framework.core.fingerprints import Fingerprint
from include.pipeline_framework.core.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    IncompleteExtractError,
    PipelineError,
)
from include.pipeline_framework.ports import BucketCount, Document

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EVERY_SHARD = {"allow_partial_search_results": "false"}
_EXISTING = {"allow_no_indices": "false", "ignore_unavailable": "false"}
# The first page is small, later ones grow up to page_size while they stay below this: documents may be of any size.
_FIRST_PAGE = 500
_PAGE_BYTES = 16 * 1024 * 1024
_BUCKETS_PER_REQUEST = 5_000


class ElasticsearchSourceOptions(BaseModel):
    """Where and how to read in Elasticsearch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: str = Field(min_length=1, description="Index, alias, or comma-separated names with wildcards.")
    time_field: str = Field(
        default="@timestamp", min_length=1, description="Event time: a field mapped as date or date_nanos."
    )
    page_size: int = Field(default=5_000, ge=1, le=10_000, description="Most documents in one answer.")
    slices: int = Field(default=2, ge=1, le=8, description="Parts of a window that are read at the same time.")
    keep_alive: str = Field(
        default="5m", pattern=r"^[1-9]\d*(s|m|h)$", description="How long the view survives between two pages."
    )
    request_timeout_seconds: float = Field(default=300, gt=0, description="Longest wait for one answer.")


class ElasticsearchSource:
    """Reads windows of an index; every number comes from all shards or is an error.

    Args:
        client: An `elasticsearch.Elasticsearch` 8.x client (it speaks to servers 8 and 9); not closed here.
        options: Which index, and how to read it.
    """

    Options = ElasticsearchSourceOptions

    def __init__(self, client: Any, options: ElasticsearchSourceOptions) -> None:
        self.options = options
        self._channel = Channel(client, options.request_timeout_seconds)
        self._time: TimeField | None = None

    def count(self, window: TimeWindow) -> int:
        """Rows whose event time lies in the window, now."""
        where = self._where(window)
        return exact_total(self._aggregate(self._time_field().range(window), where), where)

    def count_undated(self) -> int:
        """Documents without the time field, or with a value in it that Elasticsearch could not read."""
        where = self._where()
        undated = {"bool": {"must_not": {"exists": {"field": self._time_field().name}}}}
        return exact_total(self._aggregate(undated, where), where)

    def fingerprint(self, window: TimeWindow) -> Fingerprint:
        """Reads the ids of the window from one view, without the documents."""
        total = Fingerprint()
        with self._open(window) as extract:
            for page in extract.raw_pages({"_source": False}):
                try:
                    total += Fingerprint.of(hit.id for hit in page.hits)
                except UnicodeEncodeError as error:
                    raise BadDocumentError(
                        f"A document's id can't be hashed: {error.object!r}",
                        where=self._where(window),
                        meaning="It has half of a surrogate pair, which no target can hold",
                        remedy="Delete or re-index the document at the source.",
                    ) from error
        return total

    def histogram(self, window: TimeWindow, buckets: Sequence[TimeWindow]) -> list[BucketCount]:
        """Rows per bucket with exact bounds, in the buckets' order; one request per 5,000 buckets."""
        time, where, counts = self._time_field(), self._where(window), list[BucketCount]()
        for first in range(0, len(buckets), _BUCKETS_PER_REQUEST):
            chunk = buckets[first : first + _BUCKETS_PER_REQUEST]
            filters = {str(number): time.range(bucket) for number, bucket in enumerate(chunk)}
            answer = self._aggregate(time.range(window), where, {"buckets": {"filters": {"filters": filters}}})
            found = _aggregation(answer, "buckets", where)["buckets"]
            counts += [BucketCount(bucket, int(found[str(n)]["doc_count"])) for n, bucket in enumerate(chunk)]
        return counts

    @contextmanager
    def extract(self, window: TimeWindow) -> Iterator[ElasticsearchExtract]:
        """Open a point in time; it is closed when the context is left, whatever happened."""
        with self._open(window) as extract:
            yield extract

    @contextmanager
    def _open(self, window: TimeWindow) -> Iterator[ElasticsearchExtract]:
        time, where = self._time_field(), self._where(window)
        view = _View(self._channel, self.options, where)
        try:
            yield ElasticsearchExtract(view, time, window)
        finally:
            view.close()

    def _aggregate(
        self, query: Mapping[str, Any], where: str, aggregations: Mapping[str, Any] | None = None
    ) -> SearchAnswer:
        body = {"size": 0, "track_total_hits": True, "query": query} | ({"aggs": aggregations} if aggregations else {})
        path = index_path(self.options.index, "_search")
        parameters = _EVERY_SHARD | _EXISTING
        answer = self._channel.ask("POST", path, SearchAnswer, where=where, body=body, parameters=parameters)
        return check_whole(answer, where)

    def _time_field(self) -> TimeField:
        """Looked up once: a range on a field of another type would quietly compare text or numbers."""
        if self._time is None:
            name, where = self.options.time_field, self._where()
            parameters = {"fields": name, "allow_no_indices": "false"}
            path = index_path(self.options.index, "_field_caps")
            answer = self._channel.ask("GET", path, FieldCapabilities, where=where, parameters=parameters)
            types = frozenset(answer.fields.get(name, {})) - {"unmapped"}
            if answer.failed_indices:
                raise IncompleteExtractError(
                    f"{answer.failed_indices} indices did not tell the type of {name!r}",
                    where=where,
                    meaning="Nothing was read",
                    remedy="Airflow retries; if it stays, check the cluster's health.",
                )
            if not types or not types <= {"date", "date_nanos"}:
                raise ConfigurationError(
                    f"The time field {name!r} is {'mapped as ' + ', '.join(sorted(types)) if types else 'not mapped'}",
                    where=where,
                    meaning="Without a date no document can be put into a window",
                    remedy="Set time_field to a field that is mapped as date or date_nanos in every index.",
                )
            self._time = TimeField(name, types)
        return self._time

    def _where(self, window: TimeWindow | None = None) -> str:
        return f"index {self.options.index}" + (f", window {window}" if window else "")


class _View:
    """One point in time; every answer from it has to come from all of its shards."""

    def __init__(self, channel: Channel, options: ElasticsearchSourceOptions, where: str) -> None:
        self._channel, self.options, self.where = channel, options, where
        parameters = {"keep_alive": options.keep_alive} | _EXISTING
        path = index_path(options.index, "_pit")
        opened = channel.ask("POST", path, PointInTimeAnswer, where=where, parameters=parameters)
        # Each answer may carry a newer id for the same view; all are closed.
        self._id, self._ids = opened.id, {opened.id}
        self.shards: int | None = None
        if opened.shards is not None:
            try:
                check_shards(opened.shards, where)
            except PipelineError:
                self.close()
                raise
            self.shards = opened.shards.total

    def search(self, body: Mapping[str, Any]) -> tuple[SearchAnswer, list[bytes], int]:
        """Answer, documents and size of the answer in bytes."""
        point_in_time = {"pit": {"id": self._id, "keep_alive": self.options.keep_alive}}
        raw = self._channel.raw(
            "POST", "/_search", where=self.where, body={**body, **point_in_time}, parameters=_EVERY_SHARD
        )
        answer, bodies = decode_page(raw, self.where)
        if answer.pit_id:
            self._id = answer.pit_id
            self._ids.add(answer.pit_id)
        check_whole(answer, self.where, shards=self.shards)
        return answer, bodies, len(raw)

    def close(self) -> None:
        for point_in_time in self._ids:
            with suppress(PipelineError):  # an expired one is gone already, the others end with keep_alive
                self._channel.raw("DELETE", "/_pit", where=self.where, body={"id": point_in_time})


@dataclass(frozen=True)
class _Slice:
    """Where one slice goes on: `after` is the sort value of its last document."""

    number: int
    size: int
    after: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Page:
    hits: list[Hit]
    bodies: list[bytes]
    next: _Slice | None


class ElasticsearchExtract:
    """One window on one point in time; `pages` reads slices in threads, at most one page ahead for each."""

    def __init__(self, view: _View, time: TimeField, window: TimeWindow) -> None:
        self._view, self._time, self._window = view, time, window
        self._query = time.range(window)
        values = {"values": {"value_count": {"field": time.name}}}
        count, _, _ = view.search({"size": 0, "track_total_hits": True, "query": self._query, "aggs": values})
        if view.shards is None:
            view.shards = count.shards.total
        self.expected_rows = exact_total(count, view.where)
        self._values = int(_aggregation(count, "values", view.where)["value"])

    def pages(self) -> Iterator[Sequence[Document]]:
        """Every document of the window exactly once, or an error at the latest at the end."""
        self._refuse_several_values()
        for page in self.raw_pages({}):
            yield self._documents(page)

    def raw_pages(self, request: Mapping[str, Any]) -> Iterator[_Page]:
        """Pages of all slices as they come in; `request` adds to the search request.

        Raises:
            IncompleteExtractError: The pages hold fewer or more rows than the view's own count.
        """
        if not self.expected_rows:
            return
        options, rows = self._view.options, 0
        slices = options.slices if self.expected_rows > min(options.page_size, _FIRST_PAGE) else 1
        size = min(options.page_size, _FIRST_PAGE)
        pool = ThreadPoolExecutor(slices, thread_name_prefix="elasticsearch-slice")
        try:
            pending: set[Future[_Page]] = {
                pool.submit(self._page, _Slice(number, size), slices, request) for number in range(slices)
            }
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    page = future.result()
                    if page.next:
                        pending.add(pool.submit(self._page, page.next, slices, request))
                    rows += len(page.hits)
                    if rows > self.expected_rows:
                        raise self._not_as_counted(f"more than {self.expected_rows}")
                    yield page
        finally:
            pool.shutdown(cancel_futures=True)
        if rows != self.expected_rows:
            raise self._not_as_counted(str(rows))

    def _refuse_several_values(self) -> None:
        """Refuse a window in which a document has several event times: it would belong to several windows.

        Raises:
            BadDocumentError: There is one; the message names it.
        """
        if self._values == self.expected_rows:
            return
        field = {"field": self._time.name, "format": RENDERED_FORMAT}
        named = "a document"
        for page in self.raw_pages({"_source": False, "docvalue_fields": [field]}):
            several = [hit for hit in page.hits if len((hit.fields or {}).get(self._time.name, ())) > 1]
            if several:
                named = f"document {several[0].id!r}"
                break
        raise BadDocumentError(
            f"{named} has several values in the time field {self._time.name!r}",
            where=self._view.where,
            meaning=f"{self._values} values for {self.expected_rows} documents: it would belong to several windows",
            remedy="Index one value per document, or choose another time_field.",
        )

    def _not_as_counted(self, rows: str) -> IncompleteExtractError:
        return IncompleteExtractError(
            f"{rows} documents came, {self.expected_rows} were counted on the same view",
            where=self._view.where,
            meaning="The extract has a hole or a double and is thrown away",
            remedy="Airflow retries; if it stays, check the cluster's health and proxies in between.",
        )

    def _page(self, part: _Slice, slices: int, request: Mapping[str, Any]) -> _Page:
        """Runs in a thread of the pool."""
        body = {"size": part.size, "track_total_hits": False, "query": self._query, "sort": self._time.sort, **request}
        if slices > 1:
            body["slice"] = {"id": part.number, "max": slices}
        if part.after:
            body["search_after"] = part.after
        answer, bodies, size = self._view.search(body)
        hits = answer.hits.hits
        if hits and part.after and hits[0].sort[0] <= part.after[0]:
            raise IncompleteExtractError(
                "Elasticsearch sent a page a second time",
                where=self._view.where,
                meaning="Its documents would be doubled and others lost",
                remedy="Airflow retries; if it stays, look for a proxy that caches answers.",
            )
        if len(hits) < part.size:  # all shards answered, so there is no more
            return _Page(hits, bodies, None)
        fitting = max(1, len(hits) * _PAGE_BYTES // size)
        after = (hits[-1].sort[0], hits[-1].sort[1])
        return _Page(hits, bodies, replace(part, after=after, size=min(fitting, self._view.options.page_size)))

    def _documents(self, page: _Page) -> list[Document]:
        if not all(page.bodies):
            raise ConfigurationError(
                "The index does not keep its documents",
                where=self._view.where,
                meaning="Its mapping has _source disabled: there is nothing to load",
                remedy="Re-index with _source enabled.",
            )
        times = self._time.microseconds([hit.sort[1] for hit in page.hits])
        start, end = ((instant - _EPOCH) // _MICROSECOND for instant in (self._window.start, self._window.end))
        if times and not start <= min(times) <= max(times) < end:
            raise IncompleteExtractError(
                "Elasticsearch sent a document from outside the window",
                where=self._view.where,
                meaning="It belongs to another window and would be loaded twice",
                remedy="Look for a proxy that changes requests or answers.",
            )
        return [
            Document(hit.id, _EPOCH + timedelta(0, 0, time), body)
            for hit, body, time in zip(page.hits, page.bodies, times, strict=True)
        ]


def _aggregation(answer: SearchAnswer, name: str, where: str) -> Mapping[str, Any]:
    found = (answer.aggregations or {}).get(name)
    if not isinstance(found, dict):
        raise IncompleteExtractError(
            f"Elasticsearch's answer lacks the aggregation {name!r}",
            where=where,
            meaning="Nothing can be said about the window",
            remedy="Airflow retries; if it stays, look for a proxy that changes answers.",
        )
    return found
