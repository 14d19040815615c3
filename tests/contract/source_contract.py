"""What every `Source` promises: an adapter's author subclasses `SourceContract` and overrides one fixture.

class TestMySource(SourceContract):
    @pytest.fixture
    def system(self) -> Iterator[SourceSystem]:
        yield MySystem()
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.windows import TimeWindow, tile
from include.pipeline_framework.ports.source import BucketCount, Document, Source
from tests.doubles.fingerprints import fingerprint_of_documents

START = datetime(2013, 3, 9, 5, tzinfo=UTC)
HOUR, MILLISECOND = timedelta(hours=1), timedelta(milliseconds=1)
WINDOW = TimeWindow(START, START + HOUR)


class SourceSystem(Protocol):
    """A source under test and the system behind it, which holds nothing at first."""

    source: Source

    def put(self, documents: Mapping[str, datetime | None]) -> None:
        """Insert documents by id at their event time, None: without one; `name` in the body is the id."""

    def remove(self, *ids: str) -> None:
        """Remove documents by id."""

    def open_views(self) -> int:
        """Return how many extracts (points in time, cursors, sessions) the system keeps open for the source."""


class SourceContract:
    """The whole contract of a source."""

    @pytest.fixture
    def system(self) -> SourceSystem:
        """Override it: an empty system and the source that reads it; pages of fewer than 500 documents."""
        raise NotImplementedError

    def test_a_window_is_half_open(self, system: SourceSystem) -> None:
        last = WINDOW.end - MILLISECOND
        system.put({"before": START - MILLISECOND, "first": START, "last": last, "after": WINDOW.end})
        assert sorted((document.id, document.event_at) for document in read(system.source)) == [
            ("first", START),
            ("last", last),
        ]
        following = TimeWindow(WINDOW.end, WINDOW.end + HOUR)
        assert [document.id for document in read(system.source, following)] == ["after"]
        assert (system.source.count(WINDOW), system.source.count(following)) == (2, 1)

    def test_every_document_comes_once_whatever_the_pages(self, system: SourceSystem) -> None:
        expected = spread(1_234)
        system.put(expected)
        documents = read(system.source)
        assert len(documents) == 1_234
        assert {document.id: document.event_at for document in documents} == expected
        assert {document.event_at.utcoffset() for document in documents} == {timedelta(0)}

    def test_many_documents_at_one_instant_are_not_lost_between_pages(self, system: SourceSystem) -> None:
        system.put({f"same-{number:04}": START for number in range(700)})
        assert len({document.id for document in read(system.source)}) == 700

    def test_bodies_are_json_objects_on_one_line(self, system: SourceSystem) -> None:
        system.put({"a\nb \u2028 é \U0001f6eb": START})
        (document,) = read(system.source)
        assert document.id == "a\nb \u2028 é \U0001f6eb"
        assert json.loads(document.body)["name"] == document.id
        assert b"\n" not in document.body

    def test_an_empty_window_is_an_extract_of_nothing(self, system: SourceSystem) -> None:
        system.put({"elsewhere": START - HOUR})
        assert read(system.source) == []
        assert system.source.count(WINDOW) == 0
        assert system.source.fingerprint(WINDOW) == Fingerprint()

    def test_an_extract_sees_the_source_as_it_was_when_it_was_opened(self, system: SourceSystem) -> None:
        system.put(spread(300))
        with system.source.extract(WINDOW) as extract:
            pages = extract.pages()
            seen = list(next(pages))
            system.put({"late": START + MILLISECOND})
            system.remove("00299", "00150")
            seen += [document for page in pages for document in page]
        assert sorted(document.id for document in seen) == sorted(spread(300))
        assert extract.expected_rows == 300
        assert system.source.count(WINDOW) == 299

    def test_count_and_fingerprint_follow_the_source(self, system: SourceSystem) -> None:
        system.put(spread(600))
        assert (
            system.source.fingerprint(WINDOW)
            == Fingerprint.of(spread(600))
            == fingerprint_of_documents([read(system.source)])
        )
        system.remove("00007")
        system.put({"new": START})
        assert system.source.count(WINDOW) == 600
        assert system.source.fingerprint(WINDOW) != Fingerprint.of(spread(600))
        assert system.source.fingerprint(WINDOW).rows == 600

    def test_a_histogram_counts_each_bucket_with_exact_bounds(self, system: SourceSystem) -> None:
        quarter = HOUR / 4
        system.put(
            {"a": START, "b": START + quarter - MILLISECOND, "c": START + quarter, "d": WINDOW.end - MILLISECOND}
        )
        system.put({"outside": WINDOW.end, "before": START - MILLISECOND})
        buckets = list(tile(WINDOW, parse_granularity("15m")))
        expected = [BucketCount(bucket, rows) for bucket, rows in zip(buckets, (2, 1, 0, 1), strict=True)]
        assert system.source.histogram(WINDOW, buckets) == expected

    def test_buckets_may_be_irregular_and_leave_gaps(self, system: SourceSystem) -> None:
        system.put(spread(60))  # one a minute
        minutes = [(0, 7), (7, 8), (20, 60)]
        buckets = [TimeWindow(START + timedelta(minutes=a), START + timedelta(minutes=b)) for a, b in minutes]
        assert [found.rows for found in system.source.histogram(WINDOW, buckets)] == [7, 1, 40]
        assert [found.rows for found in system.source.histogram(WINDOW, buckets[::-1])] == [40, 1, 7]
        assert system.source.histogram(WINDOW, []) == []

    def test_documents_without_a_time_belong_to_no_window_and_are_counted(self, system: SourceSystem) -> None:
        system.put({"dated": START, "undated-1": None, "undated-2": None})
        assert [document.id for document in read(system.source)] == ["dated"]
        assert system.source.count_undated() == 2

    def test_leaving_the_context_releases_the_view_also_half_way(self, system: SourceSystem) -> None:
        system.put(spread(500))
        with system.source.extract(WINDOW) as extract:
            next(extract.pages())
        with pytest.raises(ZeroDivisionError), system.source.extract(WINDOW) as extract:
            next(extract.pages())
            raise ZeroDivisionError
        read(system.source)
        system.source.fingerprint(WINDOW)
        assert system.open_views() == 0


def read(source: Source, window: TimeWindow = WINDOW) -> list[Document]:
    with source.extract(window) as extract:
        documents = [document for page in extract.pages() for document in page]
        assert len(documents) == extract.expected_rows
    return documents


def spread(count: int, within: TimeWindow = WINDOW, prefix: str = "") -> dict[str, datetime]:
    """Ids and times, whole milliseconds, from the window's first instant on."""
    step = max(MILLISECOND, timedelta(milliseconds=within.duration // MILLISECOND // count))
    return {f"{prefix}{number:05}": within.start + number * step for number in range(count)}
