"""Bad data from records, sources, documents and staged files, case by case; see `bad_input.py`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    IncompleteExtractError,
    InvalidInputError,
    LedgerRefusedError,
    ServiceUnavailableError,
    TornStageError,
)
from include.pipeline_framework.ports.stage import Manifest
from tests.fake_elasticsearch import CUT, RESET, Fault
from tests.faults.bad_input import Case, nothing, short
from tests.faults.bad_input_world import Row, World

# --- records: requirement 3's functions, called by a person's own Python ----------------------------------------------


def record(
    shown: str, change: Mapping[str, Any], *says: str, error: type[Exception] = InvalidInputError, row: bool = False
) -> Case:
    """A record to upload, or (`row`) a row of the ledger to update."""

    def act(world: World, _: Any) -> None:
        from include import framework

        config, store = world.pipeline.config.final_config(), world.pipeline.store
        if row:
            found = {"id": world.ids[0], **change}
            framework.update_record_in_database(found, store=store, actor=world.actor(7), configs={})
        else:
            good = {
                "query_window_start_at": "2024-06-01T05:00:00Z",
                "query_window_end_at": "2024-06-01T06:00:00Z",
                **dict.fromkeys(("key_x", "key_y", "key_z"), "k"),
            }
            framework.upload_record_to_database(config, {**good, **change}, store=store, actor=world.actor(7))

    return Case("record", shown, act, error, says, nothing)


RECORDS = [
    record("no window", {"query_window_start_at": None}, "the record has no query_window_start_at", "Give one of"),
    record("a window that ends before it starts", {"query_window_end_at": "2024-06-01T04:00:00Z"}, "must end after"),
    record("a start that is no timestamp", {"query_window_start_at": "soon"}, "'soon' is not a timestamp"),
    record("a window across midnight", {"query_window_start_at": "2024-06-01T03:00:00Z"}, "crosses the end of"),
    record("a window outside the horizon", {"query_window_end_at": "2031-06-01T06:00:00Z"}, "end_date"),
    record("a blank key_x", {"key_x": " "}, "the record is not complete", "key_x is blank", "Nothing was stored"),
    record("a NUL in key_x", {"key_x": "a\0b"}, "the ledger can't hold a value", "Nothing was written"),
    record("half of a surrogate pair in key_y", {"key_y": "\ud800"}, "the ledger can't hold a value"),
    record("no such row", {"id": 999_999, "pipeline_status": "PENDING"}, "there is no ledger row 999999", row=True),
    record("an id that is text", {"id": "one"}, "the ledger can't hold", "Nothing was written", row=True),
    record("a status that is none", {"pipeline_status": "DONE"}, "DONE", row=True),
    record("a column that nobody may write", {"target_count": 7}, "target_count", row=True, error=InvalidInputError),
    record("COMPLETED → PENDING", {"pipeline_status": "PENDING"}, "COMPLETED", row=True, error=LedgerRefusedError),
]


# --- documents --------------------------------------------------------------------------------------------------------


def document(
    shown: str, rows: list[Row], *says: str, error: type[Exception] = BadDocumentError, staged: bool = False
) -> Case:
    """Documents of a window that is then moved."""

    @contextmanager
    def arrange(world: World) -> Iterator[int]:
        record_id = world.next_id()
        world.put(world.window(record_id), [Row("good", '{"n": 1}'), *rows])
        try:
            yield record_id
        finally:
            world.sql("DELETE FROM orders_source WHERE id IS NULL OR id !~ '^(d|s)'")

    return Case("document", shown, lambda world, record_id: world.move(record_id), error, says, arrange, True, staged)


def one(text: str) -> list[Row]:
    return [Row("bad", text)]


def typed(value: str, column: str, kind: str) -> Case:
    says = (f"document 'bad' has no {kind} for column '{column}'", "Mend the document")
    return document(f'`{{"{column}": {short(value)}}}`', one(f'{{"{column}": {value}}}'), *says, staged=True)


DOCUMENTS = [
    document("half of a surrogate pair", one('{"a": "\\ud83d"}'), "'bad' can't be loaded", "half of a surrogate"),
    document("a NUL character", one('{"a": "\\u0000"}'), "Postgres can't hold", "document 'bad'", staged=True),
    document("over the size limit", one(json.dumps({"a": "x" * 30_000})), "a line at most 20,000", "quarantine"),
    document("4,000 levels deep", one("[" * 4_000 + "]" * 4_000), "'bad' can't be loaded", "nested too deeply"),
    document("no id", [Row(None, "{}")], "has no id", "Set id_column to a column that is unique"),
    typed('"many"', "n", "integer"),
    typed("1.5", "n", "integer"),
    typed("1" + "0" * 40, "n", "integer"),
    typed("[1]", "n", "integer"),
    typed('{"a": 1}', "n", "integer"),
    typed("true", "n", "integer"),
    typed("1e400", "price", "number"),
    typed('"NaN"', "price", "number"),
    typed('"2024-02-30"', "due", "date"),
    typed('"tomorrow"', "due", "date"),
]


# --- answers of a source ----------------------------------------------------------------------------------------------


def answer(shown: str, kind: str, fault: Fault, *says: str, error: type[Exception] = IncompleteExtractError) -> Case:
    """An Elasticsearch that answers wrongly; the window is moved from it."""

    @contextmanager
    def arrange(world: World) -> Iterator[Any]:
        record_id = world.next_id()
        with world.answering(record_id, {kind: fault}) as pipeline:
            yield record_id, pipeline

    def act(world: World, given: Any) -> None:
        record_id, pipeline = given
        world.move(record_id, pipeline=pipeline)

    return Case("source answer", shown, act, error, says, arrange, True)


def with_hits(change: Callable[[list[dict[str, Any]]], Any]) -> Fault:
    def fault(right: dict[str, Any], _number: int) -> tuple[int, Any]:
        change(right["hits"]["hits"])
        return 200, right

    return fault


def refusal(status: int, kind: str, reason: str) -> Fault:
    return lambda _right, _number: (status, {"error": {"type": kind, "reason": reason}, "status": status})


def shards(right: dict[str, Any], _number: int) -> tuple[int, Any]:
    return 200, {**right, "_shards": {"total": 2, "successful": 1, "failed": 1}}


PROXY = b"<html>Please log in</html>"
ANSWERS = [
    answer("a page that is HTML", "page", lambda *_: (200, PROXY), "cut off or not what was asked", "proxy"),
    answer("a page cut in half", "page", lambda *_: CUT, "did not answer", error=ServiceUnavailableError),
    answer("a connection reset", "count", lambda *_: RESET, "did not answer", error=ServiceUnavailableError),
    answer("half of the shards", "page", shards, "only 1 of 2 shards answered", "cluster's health"),
    answer("a document less", "page", with_hits(list.pop), "2 documents came, 3 were counted"),
    answer("a document twice", "page", with_hits(lambda hits: hits.append(hits[0])), "sent a document a second time"),
    answer("numbers as text", "count", lambda right, _: (200, {**right, "_shards": "all"}), "cut off or not what"),
    answer(
        "a document of another window",
        "page",
        with_hits(lambda hits: hits[0].update(sort=[0, 0])),
        "from outside the window",
        "loaded twice",
    ),
    answer(
        "no such index",
        "caps",
        refusal(404, "index_not_found_exception", "no such index [events]"),
        "no such index",
        "Check the pipeline's index",
        error=ConfigurationError,
    ),
    answer(
        "a time field that is text",
        "caps",
        lambda *_: (200, {"indices": ["events"], "fields": {"@timestamp": {"text": {}}}}),
        "is mapped as text",
        "Set time_field",
        error=ConfigurationError,
    ),
    answer(
        "a refusal with a NUL in its reason",
        "page",
        refusal(400, "parse_exception", "bad\0query"),
        "HTTP 400",
        error=ConfigurationError,
    ),
    answer("busy (429)", "page", refusal(429, "circuit_breaking", "too much"), "429", error=ServiceUnavailableError),
]


# --- manifests and files of the stage ---------------------------------------------------------------------------------


def manifest(shown: str, change: Callable[[dict[str, Any]], Any] | bytes | None, *says: str) -> Case:
    """A changed manifest, read as an attempt that resumes from it reads it."""

    def tamper(world: World, found: Manifest) -> None:
        path = world.stage_path(found.location) / "manifest.json"
        if change is None:
            path.unlink()
        elif isinstance(change, bytes):
            path.write_bytes(change)
        else:
            content = json.loads(path.read_bytes())
            change(content)
            path.write_text(json.dumps(content))

    return Case(
        "manifest",
        shown,
        lambda world, found: world.pipeline.stage.read_manifest(found.location),
        TornStageError,
        (*says, "must not be loaded", "Extract again"),
        lambda world: world.staged(tamper),
    )


def window(content: dict[str, Any]) -> None:
    content["window"] = {"start": "2024-05-01T04:00:00Z", "end": "2024-05-01T03:00:00Z"}


def negative(content: dict[str, Any]) -> None:
    content.update(rows=-3, source_rows=-3)
    content["files"][0]["rows"] = -3


def other_window(content: dict[str, Any]) -> None:
    content["window"] = {"start": "2024-04-30T04:00:00Z", "end": "2024-04-30T05:00:00Z"}


MANIFESTS = [
    manifest("missing", None, "There is no manifest"),
    manifest("empty", b"", "The manifest can't be read"),
    manifest("cut in half", b'{"version": 1, "loc', "The manifest can't be read"),
    manifest("a list", b"[]", "The manifest can't be read"),
    manifest("not UTF-8", b"\xff\xfe{", "The manifest can't be read"),
    manifest("another version", lambda content: content.update(version=3), "another version"),
    manifest("an unknown unit", lambda content: content.update(time_unit="h"), "time_unit is not known"),
    manifest("another window's", lambda content: content.update(location="orders/x"), "names another location"),
    manifest("another window in it", other_window, "another window than its location"),
    manifest("a window that ends before it starts", window, "must end after it starts"),
    manifest("negative rows", negative, "negative numbers"),
    manifest("numbers as text", lambda content: content.update(source_rows="many"), "can't be read"),
    manifest("a file of another window", lambda c: c["files"][0].update(key="../../x.gz"), "outside its location"),
]


def file(
    shown: str,
    change: Callable[[World, Manifest], Manifest | None],
    *says: str,
    error: type[Exception] = TornStageError,
) -> Case:
    """A changed staged file, published."""
    return Case(
        "stage file", shown, lambda world, found: world.publish(found), error, says, lambda world: world.staged(change)
    )


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[World, Manifest], Manifest]:
    """Other lines, with a checksum that fits them: only the content can give it away."""
    return lambda world, found: world.rewrite(found, lambda text: b"".join(change(text.splitlines(keepends=True))))


def one_line(name: str, value: Any) -> Callable[[list[bytes]], list[bytes]]:
    def change(found: list[bytes]) -> list[bytes]:
        line = json.loads(found[0])
        line[name] = value
        return [json.dumps(line).encode() + b"\n", *found[1:]]

    return change


def stored(change: Callable[[bytes], bytes | None]) -> Callable[[World, Manifest], None]:
    """Other bytes in the stored file; None deletes it."""

    def tamper(world: World, found: Manifest) -> None:
        path = world.stage_path(found.files[0].key)
        changed = change(path.read_bytes())
        if changed is None:
            path.unlink()
        else:
            path.write_bytes(changed)

    return tamper


def rows(_world: World, found: Manifest) -> Manifest:
    return dataclasses.replace(found, fingerprint=Fingerprint(2, found.fingerprint.hash_sum))


STAGED_FILES = [
    file("missing", stored(lambda _: None), "A staged file is missing", "Extract again"),
    file("gzip cut in half", stored(lambda text: text[: len(text) // 2]), "can't be read", "damaged"),
    file("no gzip", stored(lambda _: b"plain text"), "can't be read (BadGzipFile)"),
    file("empty", stored(lambda _: b""), "The staged files hold"),
    file("one bit flipped", stored(lambda text: text[:-5] + bytes([text[-5] ^ 1]) + text[-4:]), "can't be read"),
    file("a line more", lines(lambda found: [*found, found[0]]), "The staged files hold", "the manifest says"),
    file("a line less", lines(lambda found: found[1:]), "The staged files hold", "the manifest says"),
    file("a line that is no JSON", lines(lambda found: [b"{\n", *found]), "can't be read (DecodeError)"),
    file("a line without an id", lines(lambda found: [b"{}\n", *found]), "can't be read (ValidationError)"),
    file("another id", lines(one_line("_id", "somebody else's")), "The staged files hold"),
    file("an event outside the window", lines(one_line("sort", [0, 1_924_992_000_000_000])), "window holds"),
    file("an event time that is none", lines(one_line("sort", [0, "soon"])), "can't be read (ValidationError)"),
    file("no event time", lines(one_line("sort", [0])), "can't be read (IndexError)"),
    file("a manifest that says 2 of 3 rows", rows, "the manifest says"),
]

CASES: list[Case] = [*RECORDS, *DOCUMENTS, *ANSWERS, *MANIFESTS, *STAGED_FILES]
