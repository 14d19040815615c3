"""Reads one window on one point in time of Elasticsearch: its count, and its pages from several slices at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import lt
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from include.implementation_modules.elasticsearch import indices as elasticsearch_indices
from include.implementation_modules.elasticsearch.answers import (
    Channel,
    Hit,
    PointInTimeAnswer,
    SearchAnswer,
    check_shards,
    check_whole,
    exact_total,
    index_path,
)
from include.implementation_modules.elasticsearch.errors import is_missing_index, is_too_large
from include.implementation_modules.elasticsearch.indices import Index, LeftOut
from include.implementation_modules.elasticsearch.pages import Page, read_page
from include.implementation_modules.elasticsearch.time_field import RENDERED_FORMAT, TimeField
from include.implementation_modules.staged_lines import Line, LinePage
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    IncompleteExtractError,
    PipelineError,
)
from include.pipeline_framework.ports.source import Document, SourcePart, TimeUnit

_log = logging.getLogger(__name__)

Read = TypeVar("Read")

EVERY_SHARD = {"allow_partial_search_results": "false"}
EXISTING = {"allow_no_indices": "false", "ignore_unavailable": "false"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# The first page is small, later ones grow up to page_size while they stay below this: documents may be of any size.
_FIRST_PAGE = 500
_PAGE_BYTES = 16 * 1024 * 1024
_MAX_INDICES = 10_000


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
    leave_out: tuple[LeftOut, ...] = Field(
        default=(),
        description="What wildcards leave out: `closed` indices (else they are refused), `hidden` ones (else read).",
    )
    refresh: Literal["check", "before_reading"] = Field(
        default="check",
        description="`check` refuses an index whose refresh_interval is longer than x_time_back and five seconds; "
        "`before_reading` refreshes it (privilege maintenance).",
    )


class View:
    """One point in time; every answer from it has to come from all of its shards."""

    def __init__(self, channel: Channel, options: ElasticsearchSourceOptions, where: str) -> None:
        self._channel, self.options, self.where = channel, options, where
        wildcards = {"expand_wildcards": elasticsearch_indices.expand_wildcards(options.leave_out)}
        parameters = {"keep_alive": options.keep_alive} | EXISTING | wildcards
        path = index_path(options.index, "_pit")
        opened = channel.ask("POST", path, PointInTimeAnswer, where=where, parameters=parameters)
        # Each answer may contain a newer id for the same view; all of them are closed.
        self._id, self._ids = opened.id, {opened.id}
        self.most = options.page_size
        """The most documents in one answer that the server can make; it becomes smaller when the server can't."""
        self.shards: int | None = None
        if opened.shards is not None:
            try:
                check_shards(opened.shards, where)
            except PipelineError:
                self.close()
                raise
            self.shards = opened.shards.total

    def search(self, body: Mapping[str, Any]) -> Page:
        """Return the answer and its hits."""
        point_in_time = {"pit": {"id": self._id, "keep_alive": self.options.keep_alive}}
        try:
            raw = self._channel.raw(
                "POST", "/_search", where=self.where, body={**body, **point_in_time}, parameters=EVERY_SHARD
            )
        except ConfigurationError as error:
            if not is_missing_index(error):
                raise
            raise IncompleteExtractError(
                "An index of the pattern was deleted while it was read",
                where=self.where,
                meaning="What was read so far is not the whole window and is thrown away",
                remedy="Airflow retries, and reads what the pattern means then.",
            ) from error
        page = read_page(raw, self.where, has_documents="_source" not in body and body["size"] > 0)
        answer = page.answer
        if answer.pit_id:
            self._id = answer.pit_id
            self._ids.add(answer.pit_id)
        check_whole(answer, self.where, shards=self.shards)
        return page

    def close(self) -> None:
        """Release the view; if it can't be closed, it ends with keep_alive."""
        for point_in_time in self._ids:
            with suppress(PipelineError):  # an expired one has already ended, the others end with keep_alive
                self._channel.raw("DELETE", "/_pit", where=self.where, body={"id": point_in_time})


@dataclass(frozen=True)
class _Slice:
    """The position of one slice: `after` is the sort value of its last document."""

    number: int
    size: int
    after: tuple[int, int] | None = None


class ElasticsearchExtract:
    """One window on one point in time; `pages` reads slices in threads, at most one page ahead for each."""

    def __init__(self, view: View, time: TimeField, window: TimeWindow, indices: Sequence[Index]) -> None:
        self._view, self._time, self._window = view, time, window
        self.time_unit: TimeUnit = "ns" if time.is_nanoseconds else "ms"
        self._query = time.range(window)
        values = {"value_count": {"field": time.name}}
        # not a bucket's doc_count: it would add up the documents' own _doc_count
        by_index = {"terms": {"field": "_index", "size": _MAX_INDICES}, "aggs": {"rows": values}}
        aggregations = {"values": values, "indices": by_index}
        count = view.search({"size": 0, "track_total_hits": True, "query": self._query, "aggs": aggregations}).answer
        if view.shards is None:
            view.shards = count.shards.total
        self.expected_rows = exact_total(count, view.where)
        self._values = aggregation(count, "values", view.where, lambda found: int(found["value"]))
        self.parts = aggregation(count, "indices", view.where, lambda found: _parts(indices, found))

    def pages(self) -> Iterator[Sequence[Document]]:
        """Yield every document of the window exactly once, or raise an error at the latest at the end."""
        self._refuse_several_values()
        for page in self.raw_pages({}):
            yield self._documents(page)

    def raw_pages(self, request: Mapping[str, Any]) -> Iterator[Page]:
        """Yield the pages of all slices as they arrive; `request` adds to the search request.

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
            pending: set[Future[tuple[Page, _Slice | None]]] = {
                pool.submit(self._page, _Slice(number, size), slices, request) for number in range(slices)
            }
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    page, following = future.result()
                    if following:
                        pending.add(pool.submit(self._page, following, slices, request))
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
            several = [hit for hit in page.answer.hits.hits if len((hit.fields or {}).get(self._time.name, ())) > 1]
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

    def _page(self, part: _Slice, slices: int, request: Mapping[str, Any]) -> tuple[Page, _Slice | None]:
        """Return the next page, and the slice after it, if there may be more; runs in a thread of the pool."""
        body = {"track_total_hits": False, "query": self._query, "sort": self._time.sort, **request}
        if slices > 1:
            body["slice"] = {"id": part.number, "max": slices}
        if part.after:
            body["search_after"] = part.after
        part, page = self._fitting(part, body)
        hits = page.hits
        self._require_order(part, hits)
        if len(hits) < part.size:  # all shards answered, so there are no more
            return page, None
        fitting = max(1, len(hits) * _PAGE_BYTES // page.size)
        after = (hits[-1].sort[0], hits[-1].sort[1])
        return page, replace(part, after=after, size=min(fitting, self._view.most))

    def _fitting(self, part: _Slice, body: Mapping[str, Any]) -> tuple[_Slice, Page]:
        """Return the next page, halved until the server can make it, and the slice with that size.

        Raises:
            PipelineError: Not even one document fits, or another error occurred.
        """
        while True:
            try:
                return part, self._view.search({**body, "size": part.size})
            except PipelineError as error:
                if part.size == 1 or not is_too_large(error):
                    raise
                part = replace(part, size=max(1, part.size // 2))
                self._view.most = min(self._view.most, part.size)
                _log.info("%s: pages of %d documents from now on: %s", self._view.where, part.size, error.what)

    def _require_order(self, part: _Slice, hits: Sequence[Hit | Line]) -> None:
        """Refuse a page that is not in the order of the unique `_shard_doc`, which shows a hit that comes twice.

        A count can't show it: if one hit repeats its neighbour, another one is missing, and the number is right.

        Raises:
            IncompleteExtractError: A hit does not come after the one before it.
        """
        positions = [hit.sort[0] for hit in hits]
        before = part.after[0] if part.after else None
        if before is not None and positions and positions[0] <= before:
            what = "Elasticsearch sent a page a second time"
        elif not all(map(lt, positions, positions[1:])):
            what = "Elasticsearch sent a document a second time"
        else:
            return
        raise IncompleteExtractError(
            what,
            where=self._view.where,
            meaning="Its documents would be doubled and others lost",
            remedy="Airflow retries; if it stays, look for a proxy that caches or changes answers.",
        )

    def _documents(self, page: Page) -> Sequence[Document]:
        counts = [hit.sort[1] for hit in page.hits]
        self._require_inside(counts)
        if page.lines is not None:
            return LinePage([hit.id for hit in page.hits], page.lines, self.time_unit)
        if not all(page.bodies):
            raise ConfigurationError(
                "The index does not keep its documents",
                where=self._view.where,
                meaning="Its mapping has _source disabled: there is nothing to load",
                remedy="Re-index with _source enabled.",
            )
        times = self._time.microseconds(counts)
        return [
            Document(hit.id, _EPOCH + timedelta(0, 0, time), body)
            for hit, body, time in zip(page.hits, page.bodies, times, strict=True)
        ]

    def _require_inside(self, counts: Sequence[int]) -> None:
        times = self._time.microseconds([min(counts), max(counts)] if counts else [])
        start, end = ((instant - _EPOCH) // _MICROSECOND for instant in (self._window.start, self._window.end))
        if not all(start <= time < end for time in times):
            raise IncompleteExtractError(
                "Elasticsearch sent a document from outside the window",
                where=self._view.where,
                meaning="It belongs to another window and would be loaded twice",
                remedy="Look for a proxy that changes requests or answers.",
            )


def _parts(indices: Sequence[Index], by_index: Mapping[str, Any]) -> list[SourcePart]:
    """Return each index with its rows of the window; an index of a remote cluster has no uuid here."""
    rows = {bucket["key"]: int(bucket["rows"]["value"]) for bucket in by_index["buckets"]}
    identities = dict.fromkeys(rows, "") | {index.name: index.uuid for index in indices}
    is_all = not by_index.get("sum_other_doc_count")
    return [SourcePart(name, identity, rows.get(name, 0 if is_all else None)) for name, identity in identities.items()]


def aggregation(answer: SearchAnswer, name: str, where: str, read: Callable[[Mapping[str, Any]], Read]) -> Read:
    """Return what `read` finds in an aggregation.

    Raises:
        IncompleteExtractError: The aggregation is missing, or not the requested one.
    """
    try:
        return read((answer.aggregations or {})[name])
    except (KeyError, TypeError, ValueError) as error:
        raise IncompleteExtractError(
            f"Elasticsearch's answer lacks the aggregation {name!r}, or a part of it",
            where=where,
            meaning="Nothing can be said about the window",
            remedy="Airflow retries; if it stays, look for a proxy that changes answers.",
        ) from error
