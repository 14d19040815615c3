"""What every `Stage` promises: an adapter's author subclasses `StageContract` and overrides one fixture.

class TestMyStage(StageContract):
    @pytest.fixture
    def place(self) -> StagePlace:
        return MyPlace()
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from include.implementation_modules.staged_lines import LinePage
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    IncompleteExtractError,
    InvalidInputError,
    ServiceUnavailableError,
    TornStageError,
)
from include.pipeline_framework.ports.source import Document, SourcePart, TimeUnit
from include.pipeline_framework.ports.stage import Manifest, Stage, StageRequest

START = datetime(2013, 3, 9, 5, tzinfo=UTC)
AT = int(START.timestamp()) * 1_000_000
WINDOW = TimeWindow(START, START + timedelta(hours=1))
REQUEST = StageRequest(42, "flights", "2013-03-09", WINDOW, 7)


class StagePlace(Protocol):
    """One empty place, the stages on it, and a way to look into it and to damage it.

    Keys are relative to the root.

    Attributes:
        root: The absolute address of the place, with scheme, ending with `/`.
    """

    root: str

    def stage(self, **limits: Any) -> Stage:
        """Return a stage on the place; limits are options: file_rows, file_bytes, max_document_bytes, refuse_nul."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all files that begin so, in order."""

    def overwrite(self, key: str, content: bytes) -> None:
        """Write a file behind the stage's back."""

    def remove(self, key: str) -> None:
        """Remove a file behind the stage's back."""


@dataclass
class Pages:
    """An extract of given pages; an exception among them is raised when its turn comes."""

    content: Sequence[Sequence[Document] | Exception]
    expected_rows: int
    parts: Sequence[SourcePart] = (SourcePart("logs-a", "u1", 2), SourcePart("logs-b", "u2", 0), SourcePart("t", "o/1"))
    time_unit: TimeUnit = "us"

    def pages(self) -> Iterator[Sequence[Document]]:
        for page in self.content:
            if isinstance(page, Exception):
                raise page
            yield page


def document(key: str, body: bytes = b'{"n":1}', at: datetime = START) -> Document:
    return Document(key, at, body)


def pages(*content: Sequence[Document] | Exception) -> Pages:
    return Pages(content, sum(len(page) for page in content if not isinstance(page, Exception)))


def page_of_lines(*ids: str, **bodies: bytes) -> LinePage:
    """Lines as a source sends them, of documents by id."""
    content = {**dict.fromkeys(ids, b'{"n":1}'), **bodies}
    text = b"".join(
        b'{"_index":"i","_id":"%b","_score":null,"_source":%b,"sort":[7,%d]}\n' % (key.encode(), body, AT)
        for key, body in content.items()
    )
    return LinePage(list(content), text, "us")


def numbered(count: int, first: int = 0) -> list[Document]:
    return [document(f"id-{n}", json.dumps({"n": n}).encode()) for n in range(first, first + count)]


BAD = {
    "half a surrogate pair": document("bad", rb'{"a":"\ud800"}'),
    "half a surrogate pair at the end": document("bad", rb'{"a":"x\udc00"}'),
    "half a surrogate pair in the id": document("bad\ud800"),
    "not UTF-8": document("bad", b'{"a":"\xff"}'),
    "not JSON": document("bad", b'{"a":01}'),
    "two values": document("bad", b'{"a":1},"doc":{"a":2}'),
    "a line break in a string": document("bad", b'{"a":"\n"}'),
    "no object": document("bad", b"[1]"),
    "nothing": document("bad", b""),
    "nested too deeply": document("bad", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "too long": document("bad", b'{"a":"' + b"x" * 400_000 + b'"}'),
}

FAILING = (ServiceUnavailableError("gone"), IncompleteExtractError("torn"), KeyError("bug"))
NO_LOCATIONS = (
    *("", "/", ".", "..", "flights", "flights/2013-03-09", "../2013-03-09/1_2/7", "flights/2013-03-09/../7"),
    *("flights/2013-03-09/1_2/7/", "/flights/2013-03-09/1_2/7", "flights/2013-03-09/1_2/7/../../x"),
)


class StageContract:
    """The whole contract of a stage."""

    @pytest.fixture
    def place(self) -> StagePlace:
        """Override it: a place that nothing was staged to."""
        raise NotImplementedError

    def test_a_line_is_exactly_the_envelope_and_the_document_as_sent(self, place: StagePlace) -> None:
        body = b'{"a": 1e2, "b":0.1000000000000000055,"c":9007199254740993,"d":"\\u00e9\\/", "d2":1.0}'
        quoted, stage = 'é"\\', place.stage()
        manifest = stage.write(REQUEST, pages([document(quoted, body, START.replace(microsecond=5)), document("2")]))
        first, second = lines(stage, manifest)
        assert first == '{"_id":"é\\"\\\\","_source":'.encode() + body + b',"sort":[0,%d]}\n' % (AT + 5)
        assert json.loads(second) == {"_id": "2", "_source": {"n": 1}, "sort": [0, AT]}
        assert manifest.fingerprint == Fingerprint.of([quoted, "2"])

    @pytest.mark.parametrize(("unit", "count"), [("ms", AT // 1_000), ("us", AT + 999), ("ns", (AT + 999) * 1_000)])
    def test_times_are_staged_in_the_sources_unit(self, place: StagePlace, unit: TimeUnit, count: int) -> None:
        stage = place.stage()
        extract = pages([document("1", at=START.replace(microsecond=999))])
        extract.time_unit = unit
        manifest = stage.write(REQUEST, extract)
        assert (manifest.time_unit, stage.read_manifest(manifest.location).time_unit) == (unit, unit)
        assert [json.loads(line)["sort"][1] for line in lines(stage, manifest)] == [count]

    def test_a_page_of_lines_is_staged_as_it_came(self, place: StagePlace) -> None:
        stage = place.stage(file_rows=2)
        extract = pages(page_of_lines("a", "b", "c"), [document("d")], page_of_lines("e"))
        manifest = stage.write(REQUEST, extract)
        assert [json.loads(line)["_id"] for line in lines(stage, manifest)] == list("abcde")
        assert lines(stage, manifest)[0] == page_of_lines("a").text
        assert [file.rows for file in manifest.files] == [2, 2, 1]
        assert manifest.fingerprint == Fingerprint.of("abcde")

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b'{"x":"\xff"}', "not UTF-8"),
            (rb'{"x":"\u0000"}', "NUL"),
            (b'{"x":"' + b"x" * 300 + b'"}', "a line at most"),
        ],
    )
    def test_a_page_of_lines_is_looked_at_one_by_one_when_one_of_them_is_bad(
        self, place: StagePlace, body: bytes, why: str
    ) -> None:
        stage = place.stage(max_document_bytes=200, refuse_nul=True)
        with pytest.raises(BadDocumentError, match=f"'bad' can't be loaded: .*{why}"):
            stage.write(REQUEST, pages(page_of_lines("good", bad=body)))
        manifest = stage.write(REQUEST, pages(page_of_lines("good", bad=body)), on_bad_document="quarantine")
        assert (manifest.fingerprint, manifest.quarantined) == (Fingerprint.of(["good"]), 1)
        with stage.open(f"{manifest.location}/quarantine.ndjson") as file:
            assert json.loads(file.read())["_id"] == "bad"
        assert [json.loads(line)["_source"] for line in lines(stage, manifest)] == [{"n": 1}]

    def test_a_nul_character_that_is_escaped_twice_is_none(self, place: StagePlace) -> None:
        page = page_of_lines("good", also=rb'{"x":"\\u0000"}')
        assert place.stage(refuse_nul=True).write(REQUEST, pages(page)).fingerprint == Fingerprint.of(["good", "also"])

    def test_the_manifest_is_read_back_as_it_was_written(self, place: StagePlace) -> None:
        stage = place.stage(file_rows=300)
        manifest = stage.write(REQUEST, pages(numbered(500), numbered(500, 500)))
        assert manifest.location == "flights/2013-03-09/20130309T050000Z_20130309T060000Z/7"
        assert manifest.fingerprint == Fingerprint.of(f"id-{n}" for n in range(1_000))
        assert [file.rows for file in manifest.files] == [300, 300, 300, 100]
        assert (manifest.source_rows, manifest.quarantined, manifest.window, manifest.fence) == (1_000, 0, WINDOW, 7)
        assert manifest.parts == Pages.parts
        assert manifest.columns()["source_parts"] == {"logs-a": "u1", "t": "o/1"}
        assert stage.read_manifest(manifest.location) == manifest
        assert sorted(json.loads(line)["_source"]["n"] for line in lines(stage, manifest)) == list(range(1_000))
        assert place.keys(manifest.location) == [
            f"{manifest.location}/{name}"
            for name in ("manifest.json", *(f"part-0000{number}.ndjson.gz" for number in range(4)))
        ]
        with stage.open(f"{manifest.location}/manifest.json") as file:
            assert json.loads(file.read())["hash_sum"] == str(manifest.fingerprint.hash_sum)

    def test_files_roll_over_at_their_size(self, place: StagePlace) -> None:
        stage = place.stage(file_bytes=100_000)
        noise = [document(str(n), b'{"x":"%b"}' % os.urandom(500).hex().encode()) for n in range(2_000)]
        noisy = [noise[first : first + 50] for first in range(0, 2_000, 50)]
        manifest = stage.write(REQUEST, pages(*noisy))
        assert len(manifest.files) > 1
        assert sum(file.rows for file in manifest.files) == 2_000
        assert stage.read_manifest(manifest.location) == manifest

    def test_an_empty_window_is_a_manifest_without_files(self, place: StagePlace) -> None:
        stage = place.stage()
        manifest = stage.write(REQUEST, pages())
        assert (manifest.files, manifest.fingerprint) == ((), Fingerprint())
        assert stage.read_manifest(manifest.location) == manifest
        assert place.keys(manifest.location) == [f"{manifest.location}/manifest.json"]

    def test_equal_rows_give_equal_bytes(self, place: StagePlace) -> None:
        first = place.stage().write(REQUEST, pages(numbered(100)))
        again = place.stage().write(dataclasses.replace(REQUEST, fence=8), pages(numbered(100)))
        assert [file.sha256 for file in first.files] == [file.sha256 for file in again.files]
        assert first.location != again.location

    def test_line_breaks_between_tokens_do_not_break_the_line(self, place: StagePlace) -> None:
        stage = place.stage()
        manifest = stage.write(REQUEST, pages([document("1", b'{\n"a":\r\n"x\\n"}'), document("2")]))
        assert [json.loads(line)["_source"] for line in lines(stage, manifest)] == [{"a": "x\n"}, {"n": 1}]

    @pytest.mark.parametrize("error", FAILING)
    def test_an_extract_that_fails_half_way_leaves_nothing(self, place: StagePlace, error: Exception) -> None:
        stage = place.stage(file_rows=10)
        with pytest.raises(type(error)):
            stage.write(REQUEST, pages(numbered(35), error))
        location = "flights/2013-03-09/20130309T050000Z_20130309T060000Z/7"
        assert place.keys(location) == []
        with pytest.raises(TornStageError, match="no manifest"):
            stage.read_manifest(location)

    @pytest.mark.parametrize("difference", [-1, 1])
    def test_an_extract_of_another_length_than_counted_is_not_staged(self, place: StagePlace, difference: int) -> None:
        stage = place.stage()
        extract = pages(numbered(10))
        extract.expected_rows += difference
        with pytest.raises(IncompleteExtractError, match="10 rows staged"):
            stage.write(REQUEST, extract)
        assert place.keys("flights") == []

    @pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
    def test_a_document_that_no_target_holds_fails_the_window_by_name(self, place: StagePlace, bad: Document) -> None:
        stage = place.stage(max_document_bytes=300_000)
        with pytest.raises(BadDocumentError, match=r"'bad") as raised:
            stage.write(REQUEST, pages([document("good"), bad]))
        assert "flights, window 2013-03-09T05:00:00Z" in str(raised.value)
        assert place.keys("flights") == []

    @pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
    def test_or_goes_beside_the_stage_and_is_counted(self, place: StagePlace, bad: Document) -> None:
        stage = place.stage(max_document_bytes=300_000)
        manifest = stage.write(REQUEST, pages([document("1"), bad], [document("2")]), on_bad_document="quarantine")
        assert (manifest.fingerprint, manifest.quarantined, manifest.source_rows) == (Fingerprint.of(["1", "2"]), 1, 3)
        assert stage.read_manifest(manifest.location) == manifest
        with stage.open(f"{manifest.location}/quarantine.ndjson") as file:
            (entry,) = map(json.loads, file.read().splitlines())
        assert entry["_id"] == bad.id
        assert "can't be loaded" in entry["reason"]
        assert entry["body"].encode("utf-8", "surrogateescape") == bad.body

    def test_a_nul_character_is_only_refused_where_the_target_can_not_hold_it(self, place: StagePlace) -> None:
        nul = document("bad", rb'{"a":"\u0000"}')
        assert place.stage().write(REQUEST, pages([nul])).fingerprint.rows == 1
        with pytest.raises(BadDocumentError, match="NUL"):
            place.stage(refuse_nul=True).write(REQUEST, pages([nul]))
        not_nul = document("good", rb'{"a":"\\u0000"}')
        assert place.stage(refuse_nul=True).write(REQUEST, pages([not_nul])).fingerprint.rows == 1

    def test_an_unknown_way_with_bad_documents_is_refused(self, place: StagePlace) -> None:
        with pytest.raises(InvalidInputError, match="ignore"):
            place.stage().write(REQUEST, pages(), on_bad_document="ignore")

    def test_a_stage_with_a_missing_cut_or_changed_file_is_torn(self, place: StagePlace) -> None:
        stage = place.stage(file_rows=10)
        manifest = stage.write(REQUEST, pages(numbered(25)))
        key = manifest.files[1].key
        with stage.open(key) as file:
            content = file.read()
        flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        for damaged, said in ((content[:-1], "bytes instead of"), (flipped, "checksum"), (b"", "0 bytes")):
            place.overwrite(key, damaged)
            with pytest.raises(TornStageError, match=said) as raised:
                stage.read_manifest(manifest.location)
            assert key in str(raised.value)
        place.overwrite(key, content)
        assert stage.read_manifest(manifest.location) == manifest
        place.remove(key)
        with pytest.raises(TornStageError, match="missing"):
            stage.read_manifest(manifest.location)
        with pytest.raises(TornStageError, match="missing"), stage.open(key):
            raise AssertionError

    def test_a_manifest_that_does_not_fit_is_torn(self, place: StagePlace) -> None:
        stage = place.stage()
        manifest = stage.write(REQUEST, pages(numbered(5)))
        key = f"{manifest.location}/manifest.json"
        with stage.open(key) as file:
            right = json.loads(file.read())
        other = right["files"][0] | {
            "key": "flights/2013-03-09/20130309T050000Z_20130309T060000Z/6/part-00000.ndjson.gz"
        }
        wrong: list[bytes] = [b"", b"{", b"[]", b"{}"]
        for change in (
            {"rows": 4},
            {"version": 3},
            {"time_unit": "h"},
            {"location": "elsewhere"},
            {"files": [other]},
            {"source_rows": 6},
        ):
            wrong.append(json.dumps(right | change).encode())
        for content in wrong:
            place.overwrite(key, content)
            with pytest.raises(TornStageError, match="manifest"):
                stage.read_manifest(manifest.location)

    def test_delete_removes_one_fence_and_nothing_else(self, place: StagePlace) -> None:
        stage = place.stage(file_rows=10)
        manifest = stage.write(REQUEST, pages(numbered(25)))
        neighbour = stage.write(dataclasses.replace(REQUEST, fence=77), pages(numbered(5)))
        assert stage.delete(manifest.location) == 4
        assert stage.delete(manifest.location) == 0
        assert place.keys(manifest.location + "/") == []
        assert stage.read_manifest(neighbour.location) == neighbour

    @pytest.mark.parametrize("location", NO_LOCATIONS)
    def test_nothing_but_a_location_is_ever_deleted(self, place: StagePlace, location: str) -> None:
        stage = place.stage()
        manifest = stage.write(REQUEST, pages(numbered(5)))
        for ask in (stage.delete, stage.read_manifest):
            with pytest.raises(InvalidInputError, match="not a location"):
                ask(location)
        assert stage.read_manifest(manifest.location) == manifest

    @pytest.mark.parametrize("name", ["..", ".", "a/../../b", "a b/ü%", "x\\y", "…", "a\n"])
    def test_a_source_object_can_not_leave_its_place(self, place: StagePlace, name: str) -> None:
        stage = place.stage()
        manifest = stage.write(dataclasses.replace(REQUEST, source_object=name), pages(numbered(3)))
        assert manifest.location.count("/") == 3
        assert manifest.source_object == name
        assert stage.read_manifest(manifest.location) == manifest
        assert len(lines(stage, manifest)) == 3
        assert stage.delete(manifest.location) == 2

    def test_two_source_objects_never_share_a_location(self, place: StagePlace) -> None:
        names = ["a/b", "a%2Fb", "a", "A", "..", "%2E%2E"]
        stage = place.stage()
        located = {stage.write(dataclasses.replace(REQUEST, source_object=name), pages()).location for name in names}
        assert len(located) == len(names)

    def test_uris_are_absolute(self, place: StagePlace) -> None:
        stage = place.stage()
        manifest = stage.write(REQUEST, pages(numbered(1)))
        assert stage.uri("") == place.root
        assert stage.uri(manifest.files[0].key) == place.root + manifest.files[0].key

    def test_locations_are_those_with_a_manifest_of_one_source_object(self, place: StagePlace) -> None:
        stage = place.stage()
        assert stage.locations("flights") == []
        other_window = TimeWindow(WINDOW.end, WINDOW.end + timedelta(hours=1))
        requests = [
            dataclasses.replace(REQUEST, fence=70),
            REQUEST,
            dataclasses.replace(REQUEST, window=other_window, fence=8),
            dataclasses.replace(REQUEST, source_object="flights/x"),
            dataclasses.replace(REQUEST, source_object="flights2"),
        ]
        written = [stage.write(request, pages(numbered(2))).location for request in requests]
        place.overwrite("flights/2013-03-09/20130309T050000Z_20130309T060000Z/9/part-00000.ndjson.gz", b"no manifest")
        assert stage.locations("flights") == sorted(written[:3])
        assert stage.locations("flights/x") == [written[3]]
        assert stage.locations("..") == []

    def test_a_manifest_alone_is_read_without_its_files(self, place: StagePlace) -> None:
        stage = place.stage()
        manifest = stage.write(REQUEST, pages(numbered(3)))
        place.overwrite(manifest.files[0].key, b"changed")
        assert stage.read_manifest(manifest.location, is_checked=False) == manifest
        with pytest.raises(TornStageError):
            stage.read_manifest(manifest.location)
        stage.delete(manifest.location)
        with pytest.raises(TornStageError, match="no manifest"):
            stage.read_manifest(manifest.location, is_checked=False)


def lines(stage: Stage, manifest: Manifest) -> list[bytes]:
    found: list[bytes] = []
    for file in manifest.files:
        with stage.open(file.key) as stored:
            part = gzip.decompress(stored.read()).splitlines(keepends=True)
        assert len(part) == file.rows
        found += part
    return found
