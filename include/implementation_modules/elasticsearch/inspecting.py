"""Looks at an index before its pipeline exists: its mapping, its days, and documents of all of its time range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from include.implementation_modules.elasticsearch import indices as elasticsearch_indices
from include.implementation_modules.elasticsearch.answers import (
    Channel,
    Hit,
    SearchAnswer,
    check_whole,
    decode_page,
    index_path,
)
from include.implementation_modules.elasticsearch.errors import is_missing_index
from include.implementation_modules.elasticsearch.extract import (
    EVERY_SHARD,
    EXISTING,
    ElasticsearchSourceOptions,
    aggregation,
)
from include.implementation_modules.elasticsearch.mapping import fields_of, time_fields_of
from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.implementation_modules.elasticsearch.time_field import TimeField
from include.implementation_modules.sql_warehouse.columns import parse_document
from include.pipeline_framework.core.proposing.description import (
    DOCUMENTS_PER_WINDOW,
    DayRows,
    Sampled,
    SourceDescription,
    SourceShape,
    sample_windows,
)
from include.pipeline_framework.core.texts import did_you_mean
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError

_EVERYTHING = {"expand_wildcards": elasticsearch_indices.expand_wildcards(())}
_REQUEST_SECONDS = 300.0
_MOST_BYTES = 32_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Named(msgspec.Struct):
    name: str
    attributes: list[str] = []


class _Names(msgspec.Struct):
    indices: list[_Named] = []
    aliases: list[_Named] = []
    data_streams: list[_Named] = []


class ElasticsearchInspection:
    """Looks at indices; see `SourceInspection`.

    Args:
        client: An `elasticsearch.Elasticsearch` client; not closed here.
    """

    def __init__(self, client: Any) -> None:
        self._client, self._channel = client, Channel(client, _REQUEST_SECONDS)

    def names(self) -> list[str]:
        """Return indices, aliases and data streams, without hidden ones and the system's own."""
        answer = self._channel.ask("GET", "/_resolve/index/*", _Names, where="Elasticsearch")
        every = [*answer.indices, *answer.aliases, *answer.data_streams]
        return sorted(
            {each.name for each in every if not each.name.startswith(".") and "hidden" not in each.attributes}
        )

    def shape(self, name: str) -> SourceShape:
        """Return the fields of an index, an alias or a pattern, over all of its indices."""
        where = f"index {name}"
        try:
            indices = elasticsearch_indices.look(self._channel, name, (), where)
            path = index_path(name, "_mapping")
            mappings = self._channel.ask("GET", path, dict[str, dict[str, Any]], where=where, parameters=_EVERYTHING)
        except ConfigurationError as error:
            if not is_missing_index(error):
                raise
            raise InvalidInputError(
                f"there is no index or alias {name!r}",
                remedy=f"Name one with --index; {did_you_mean(name, self.names()) or 'there is none at all'}",
            ) from error
        elasticsearch_indices.require_readable(indices, None, is_refreshed=False, where=where)
        fields = fields_of(each["mappings"] for each in mappings.values())
        visible_after = max((each.refresh_interval or timedelta(0) for each in indices), default=timedelta(0))
        return SourceShape(name, fields, time_fields_of(fields), (), visible_after, dots_nest=True)

    def describe(self, shape: SourceShape, time_field: str, timezone: str) -> SourceDescription:
        """Return the days of an index, and a sample of its documents."""
        _require_time(shape, time_field)
        where = f"index {shape.name}"
        source = ElasticsearchSource(self._client, ElasticsearchSourceOptions(index=shape.name, time_field=time_field))
        undated = source.count_undated()
        days = self._days(shape.name, time_field, timezone, where)
        types = next((each.type.split(" and ") for each in shape.fields if each.name == time_field), ["date"])
        sample: list[Sampled] = []
        unreadable = 0
        for each in self._sample(shape, TimeField(time_field, frozenset(types)), days, timezone, where):
            if each is None:
                unreadable += 1
            else:
                sample.append(each)
        return SourceDescription(shape, time_field, timezone, days, undated, tuple(sample), unreadable)

    def _days(self, index: str, time_field: str, timezone: str, where: str) -> tuple[DayRows, ...]:
        histogram = {"field": time_field, "calendar_interval": "day", "time_zone": timezone, "min_doc_count": 1}
        by_day = {"date_histogram": {**histogram, "format": "yyyy-MM-dd"}}
        answer = self._search(index, {"size": 0, "aggs": {"days": by_day}}, where)[0]
        return tuple(aggregation(answer, "days", where, _day_rows))

    def _sample(
        self, shape: SourceShape, time: TimeField, days: tuple[DayRows, ...], timezone: str, where: str
    ) -> Iterator[Sampled | None]:
        """Yield the sample's documents; None for one that is no plain JSON."""
        size = 0
        for window in sample_windows(days, timezone):
            body = {"size": DOCUMENTS_PER_WINDOW, "query": time.range(window), "sort": time.sort[1:]}
            answer, bodies = self._search(shape.name, body, where)
            for hit, text in zip(answer.hits.hits, bodies, strict=True):
                if not text:
                    raise ConfigurationError(
                        f"document {hit.id!r} has no _source",
                        where=where,
                        meaning="Its mapping has _source disabled: there is nothing to load",
                        remedy="Re-index with _source enabled.",
                    )
                yield _sampled(hit, text, time)
                size += len(text)
            if size > _MOST_BYTES:
                return

    def _search(self, index: str, body: Mapping[str, Any], where: str) -> tuple[SearchAnswer, list[bytes]]:
        parameters = EVERY_SHARD | EXISTING | _EVERYTHING
        raw = self._channel.raw("POST", index_path(index, "_search"), where=where, body=body, parameters=parameters)
        answer, bodies = decode_page(raw, where)
        return check_whole(answer, where), bodies


def _day_rows(found: Mapping[str, Any]) -> list[DayRows]:
    return [DayRows(date.fromisoformat(each["key_as_string"]), int(each["doc_count"])) for each in found["buckets"]]


def _sampled(hit: Hit, text: bytes, time: TimeField) -> Sampled | None:
    (microseconds,) = time.microseconds(hit.sort)
    try:
        document = parse_document(text)
    except ValueError:  # a comment, which Elasticsearch accepts: counted as unreadable
        return None
    return Sampled(_EPOCH + timedelta(microseconds=microseconds), document, len(text))


def _require_time(shape: SourceShape, time_field: str) -> None:
    """Refuse a field that is no date.

    Raises:
        InvalidInputError: Names the dates of the index.
    """
    known = {each.name: each.type for each in shape.fields}
    if time_field in shape.time_fields:
        return
    what = f"is mapped as {known[time_field]}" if time_field in known else "is not mapped"
    raise InvalidInputError(
        f"the time field {time_field!r} {what}",
        where=f"index {shape.name}",
        meaning="Without a date, outside of nested objects, no document can be put into a window",
        remedy=f"Name one of these with --time-field: {', '.join(shape.time_fields)}."
        if shape.time_fields
        else "The index has no date: index the documents again with a field that is mapped as date.",
    )
