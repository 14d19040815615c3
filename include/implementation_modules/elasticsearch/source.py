"""Elasticsearch as a source: complete extracts of one window, or an error.

A point in time gives the consistent view, `search_after` reads it in the order of `_shard_doc`, which is unique, so no
document is lost or doubled between two pages. The event time is the second sort value: Elasticsearch's own normalised
instant, not the document's text, and cheaper than sorting by time first or reading it as a field. A sort value shows
one of several values, so the values of the window are also counted, and a document with more than one is refused.

Documents are passed on byte for byte: no `filter_path` and no `_source` filtering, which would rewrite numbers.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import sleep
from typing import Any

from include.implementation_modules.elasticsearch import indices as elasticsearch_indices
from include.implementation_modules.elasticsearch.answers import (
    Channel,
    SearchAnswer,
    check_whole,
    exact_total,
    index_path,
)
from include.implementation_modules.elasticsearch.connecting import connect
from include.implementation_modules.elasticsearch.extract import (
    EVERY_SHARD,
    EXISTING,
    ElasticsearchExtract,
    ElasticsearchSourceOptions,
    View,
    aggregation,
)
from include.implementation_modules.elasticsearch.field_types import require_date
from include.implementation_modules.elasticsearch.indices import Index
from include.implementation_modules.elasticsearch.time_field import TimeField
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    IncompleteExtractError,
)
from include.pipeline_framework.ports.source import BucketCount

_log = logging.getLogger(__name__)

_BUCKETS_PER_REQUEST = 5_000


class ElasticsearchSource:
    """Reads windows of an index; every number comes from all shards or is an error.

    Args:
        client: An `elasticsearch.Elasticsearch` 8.x client (it speaks to servers 8 and 9); not closed here.
        options: The index, and the way of reading it.
    """

    Options = ElasticsearchSourceOptions
    connect = staticmethod(connect)

    def __init__(self, client: Any, options: ElasticsearchSourceOptions) -> None:
        self.options = options
        self.settle: timedelta | None = None
        self._channel = Channel(client, options.request_timeout_seconds)
        self._time: TimeField | None = None
        self._is_known = self._is_unrestricted = False

    def parts(self) -> dict[str, str]:
        """Return name and uuid of each present index of the pattern."""
        return {index.name: index.uuid for index in self._look(self._where())}

    def count(self, window: TimeWindow) -> int:
        """Return the present number of rows whose event time lies in the window."""
        where = self._where(window)
        return exact_total(self._aggregate(self._time_field().range(window), where), where)

    def count_undated(self) -> int:
        """Return the number of documents without the time field, or with a value that Elasticsearch could not read."""
        where = self._where()
        undated = {"bool": {"must_not": {"exists": {"field": self._time_field().name}}}}
        return exact_total(self._aggregate(undated, where), where)

    def fingerprint(self, window: TimeWindow) -> Fingerprint:
        """Read the ids of the window from one view, without the documents."""
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
        """Return rows per bucket with exact bounds, in the buckets' order; one request per 5,000 buckets."""
        time, where, counts = self._time_field(), self._where(window), list[BucketCount]()
        for first in range(0, len(buckets), _BUCKETS_PER_REQUEST):
            chunk = buckets[first : first + _BUCKETS_PER_REQUEST]
            filters = {str(number): time.range(bucket) for number, bucket in enumerate(chunk)}
            # not a bucket's doc_count: it would add up the documents' own _doc_count
            rows = {"rows": {"value_count": {"field": time.name}}}
            by_bucket = {"filters": {"filters": filters}, "aggs": rows}
            answer = self._aggregate(time.range(window), where, {"buckets": by_bucket})
            found = aggregation(answer, "buckets", where, _rows_by_number)
            counts += [BucketCount(bucket, found[number]) for number, bucket in enumerate(chunk)]
        return counts

    def queries(self, window: TimeWindow) -> list[str]:
        """See `TellsQueries.queries`: the view, and the first page of a slice; each page asks for what follows it."""
        time, options = self._time_field(), self.options
        view = index_path(options.index, "_pit")
        page = {"track_total_hits": False, "size": options.page_size, "query": time.range(window), "sort": time.sort}
        if options.slices > 1:
            page["slice"] = {"id": 0, "max": options.slices}
        body = json.dumps({"pit": {"id": "…", "keep_alive": options.keep_alive}, **page}, indent=2, ensure_ascii=False)
        return [f"POST {view}?keep_alive={options.keep_alive}", f"POST /_search\n{body}"]

    @contextmanager
    def extract(self, window: TimeWindow) -> Iterator[ElasticsearchExtract]:
        """Open a point in time; it is closed when the context ends, also after an error."""
        with self._open(window) as extract:
            yield extract

    @contextmanager
    def _open(self, window: TimeWindow) -> Iterator[ElasticsearchExtract]:
        where = self._where(window)
        indices = self._look(where)
        time = self._time_field()
        if not self._is_unrestricted:
            elasticsearch_indices.require_unrestricted(self._channel, indices, where)
            self._is_unrestricted = True
        view = View(self._channel, self.options, where)
        try:
            self._require_same(indices, view)
            yield ElasticsearchExtract(view, time, window, indices)
        finally:
            view.close()

    def _look(self, where: str) -> list[Index]:
        """Return the indices of the pattern; refuse those that would show less than they hold."""
        options = self.options
        indices = elasticsearch_indices.look(self._channel, options.index, options.leave_out, where)
        is_refreshed = options.refresh == "before_reading"
        elasticsearch_indices.require_readable(indices, self.settle, is_refreshed=is_refreshed, where=where)
        if is_refreshed:
            elasticsearch_indices.refresh(self._channel, options.index, options.leave_out, where)
        elif unseen := elasticsearch_indices.unseen_for(indices, self.settle):
            sleep(unseen.total_seconds())
        if options.leave_out and not self._is_known:
            every = elasticsearch_indices.look(self._channel, options.index, (), where)
            left_out = sorted({index.name for index in every} - {index.name for index in indices})
            _log.info("%s: left out as the pipeline's file says: %s", where, ", ".join(left_out) or "nothing")
        self._is_known = True
        return indices

    def _require_same(self, indices: Sequence[Index], view: View) -> None:
        """Require that the view has the shards of the checked indices, unless an alias with routing excludes some.

        Raises:
            IncompleteExtractError: An index was added, deleted or replaced in between.
        """
        if view.shards is None or view.shards == sum(index.shards for index in indices):
            return
        options = self.options
        if elasticsearch_indices.look(self._channel, options.index, options.leave_out, view.where) != list(indices):
            raise IncompleteExtractError(
                "The indices of the pattern changed while the view was opened",
                where=view.where,
                meaning="It is not known what was read, and it is thrown away",
                remedy="Airflow retries.",
            )

    def _aggregate(
        self, query: Mapping[str, Any], where: str, aggregations: Mapping[str, Any] | None = None
    ) -> SearchAnswer:
        body = {"size": 0, "track_total_hits": True, "query": query} | ({"aggs": aggregations} if aggregations else {})
        path = index_path(self.options.index, "_search")
        parameters = EVERY_SHARD | EXISTING | self._wildcards
        answer = self._channel.ask("POST", path, SearchAnswer, where=where, body=body, parameters=parameters)
        return check_whole(answer, where)

    def _time_field(self) -> TimeField:
        """Return the time field, read once."""
        if not self._is_known:
            self._look(self._where())
        if self._time is None:
            options = self.options
            self._time = require_date(self._channel, options.index, options.time_field, self._wildcards, self._where())
        return self._time

    @property
    def _wildcards(self) -> dict[str, str]:
        return {"expand_wildcards": elasticsearch_indices.expand_wildcards(self.options.leave_out)}

    def _where(self, window: TimeWindow | None = None) -> str:
        return f"index {self.options.index}" + (f", window {window}" if window else "")


def _rows_by_number(by_bucket: Mapping[str, Any]) -> list[int]:
    buckets = by_bucket["buckets"]
    return [int(buckets[str(number)]["rows"]["value"]) for number in range(len(buckets))]
