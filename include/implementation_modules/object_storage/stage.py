"""Object storage as the stage: gzip-compressed NDJSON of one fence, and a manifest that is written last.

The path below the stage's prefix is `<source_object>/<target_day>/<start>_<end>/<fence>/`, so two starts of one task
never write the same key, and files of a dead start are never mistaken for its successor's. No manifest, no stage.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from hashlib import file_digest, md5, sha256
from tempfile import TemporaryFile
from typing import Any, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.implementation_modules.object_storage.connecting import connect
from include.implementation_modules.object_storage.parts import Parts
from include.implementation_modules.object_storage.storage import LocalStorage, ObjectStorage, S3Storage
from include.implementation_modules.staged_lines import PER_MICROSECOND, LineWriter
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc
from include.pipeline_framework.errors import (
    BadDocumentError,
    IncompleteExtractError,
    InvalidInputError,
    PipelineError,
    TornStageError,
)
from include.pipeline_framework.ports.source import Extract, SourcePart
from include.pipeline_framework.ports.stage import Manifest, StagedFile, StageRequest

MANIFEST_NAME = "manifest.json"
QUARANTINE_NAME = "quarantine.ndjson"
_VERSION = 2
_VERSION_WITHOUT_UNIT = 1
"""Of manifests that earlier builds wrote: their lines have hash and time of each document."""
_LOCATION = re.compile(r"(?!\.{1,2}/)[^/\\]+/\d{4}-\d{2}-\d{2}/[0-9TZ.]+_[0-9TZ.]+/\d+")
_PIECE = 1024 * 1024
_NOT_STAGED = "Nothing of this window is staged"


class ObjectStorageStageOptions(BaseModel):
    """Where staged files go, and how large they get."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{2,254}$",
        description="S3 bucket; either this or path.",
    )
    path: str | None = Field(default=None, min_length=1, description="Local directory; either this or bucket.")
    prefix: str = Field(
        default="pipelines",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$",
        description="Everything the stage writes or deletes lies below this key prefix.",
    )
    file_rows: int = Field(default=500_000, ge=1, description="A file is closed at this many lines.")
    file_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1, le=1024**3, description="A file is closed at about this compressed size."
    )
    max_document_bytes: int = Field(
        default=16 * 1024 * 1024,
        ge=1,
        description="Longest staged line (document and envelope): the target's limit for one value.",
    )
    refuse_nul: bool = Field(
        default=False, description="Treat documents with a NUL character as bad: Postgres can't hold them."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.bucket is None) == (self.path is None):
            raise ValueError("set either bucket (S3) or path (a local directory)")
        return self

    def storage(self, s3_client: Callable[[], Any]) -> ObjectStorage:
        """Return the storage that these options name; `s3_client` is only called for a bucket."""
        if self.bucket is not None:
            return S3Storage(s3_client(), self.bucket)
        return LocalStorage(self.path or "")


class ObjectStorageStage:
    """Stages windows in S3 or a local directory.

    Args:
        storage: The bucket or directory.
        options: Prefix and limits; keys in manifests are relative to the prefix.
    """

    Options = ObjectStorageStageOptions
    connect = staticmethod(connect)

    def __init__(self, storage: ObjectStorage, options: ObjectStorageStageOptions) -> None:
        self.options = options
        self._storage = storage

    @classmethod
    def from_client(cls, client: Any, options: ObjectStorageStageOptions) -> Self:
        """Create a stage around a boto3 S3 client, or around nothing if the options name a local path."""
        return cls(options.storage(lambda: client), options)

    def write(self, request: StageRequest, extract: Extract, *, on_bad_document: str = "fail") -> Manifest:
        """Write every document of the extract, then the manifest; after an error the written files are removed."""
        if on_bad_document not in ("fail", "quarantine"):
            raise InvalidInputError(
                f"on_bad_document is {on_bad_document!r}",
                where=request.source_object,
                meaning="Nothing was staged",
                remedy="Use fail or quarantine.",
            )
        location = location_of(request)
        try:
            manifest = self._write_files(request, extract, location, is_quarantining=on_bad_document == "quarantine")
            self._put(f"{location}/{MANIFEST_NAME}", _manifest_bytes(manifest))
        except BaseException:
            with suppress(PipelineError):
                self.delete(location)
            raise
        return manifest

    def read_manifest(self, location: str, *, is_checked: bool = True) -> Manifest:
        """Return the manifest, after comparing size and checksum of every file it names.

        A file is read for that only where the storage itself does not know its SHA-256.
        """
        key = f"{_checked(location)}/{MANIFEST_NAME}"
        try:
            with self._storage.open(self._key(key)) as file:
                content = file.read()
        except FileNotFoundError as error:
            raise _torn("There is no manifest", self.uri(key)) from error
        try:
            manifest = _parse_manifest(content, location)
        except (ValueError, KeyError, TypeError, InvalidInputError) as error:
            raise _torn(f"The manifest can't be read ({type(error).__name__}: {error})", self.uri(key)) from error
        if is_checked:
            listed = {entry.key: entry.bytes for entry in self._storage.list(self._key(location) + "/")}
            for staged in manifest.files:
                self._check(staged, listed.get(self._key(staged.key)))
        return manifest

    def locations(self, source_object: str) -> list[str]:
        """Return every location with a manifest, found by listing names; no file is opened."""
        prefix, end = self._key(f"{_encoded(source_object)}/"), f"/{MANIFEST_NAME}"
        keys = (entry.key for entry in self._storage.list(prefix) if entry.key.endswith(end))
        found = (key.removeprefix(self._key("")).removesuffix(end) for key in keys)
        return sorted(location for location in found if _LOCATION.fullmatch(location))

    def delete(self, location: str) -> int:
        """Delete the files of one fence.

        Raises:
            InvalidInputError: It is no location that a manifest names: nothing else is ever deleted.
        """
        prefix = self._key(_checked(location)) + "/"
        return self._storage.delete(entry.key for entry in list(self._storage.list(prefix)))

    def uri(self, key: str) -> str:
        """Return the absolute address of a key; of `""`, the stage's root, which ends with `/`."""
        return self._storage.uri(self._key(key))

    @contextmanager
    def open(self, key: str) -> Iterator[Any]:
        """Return a binary file object of the stored (compressed) bytes; TornStageError if the key is missing."""
        with ExitStack() as stack:
            try:
                file = stack.enter_context(self._storage.open(self._key(key)))
            except FileNotFoundError as error:
                raise _torn("A staged file is missing", self.uri(key)) from error
            yield file

    def _write_files(
        self, request: StageRequest, extract: Extract, location: str, *, is_quarantining: bool
    ) -> Manifest:
        where = f"{request.source_object}, window {request.window}"
        lines = LineWriter(
            where,
            extract.time_unit,
            max_line_bytes=self.options.max_document_bytes,
            refuse_nul=self.options.refuse_nul,
        )
        quarantined, fingerprint = 0, Fingerprint()
        with ExitStack() as stack:
            limits = {"file_rows": self.options.file_rows, "file_bytes": self.options.file_bytes}
            parts = stack.enter_context(Parts(location, self._put, **limits))
            quarantine = stack.enter_context(TemporaryFile())
            for page in extract.pages():
                if (whole := lines.whole(page)) is not None:
                    text, found = whole
                    parts.write(text, found.rows)
                    fingerprint += found
                    continue
                written, hash_sum = list[bytes](), 0
                for document in page:
                    try:
                        line, digest = lines.line(document)
                    except BadDocumentError as error:
                        if not is_quarantining:
                            raise
                        quarantine.write(lines.quarantine_line(document, error.what))
                        quarantined += 1
                        continue
                    written.append(line)
                    hash_sum += digest
                parts.write(b"".join(written), len(written))
                fingerprint += Fingerprint(len(written), hash_sum)
            if fingerprint.rows + quarantined != extract.expected_rows:
                raise IncompleteExtractError(
                    f"{fingerprint.rows} rows staged and {quarantined} quarantined, {extract.expected_rows} expected",
                    where=where,
                    meaning=_NOT_STAGED,
                    remedy="Airflow extracts again; if it stays, check the source's health.",
                )
            files = parts.finish()
            if quarantined:
                self._put(f"{location}/{QUARANTINE_NAME}", quarantine)
        return Manifest(
            location=location,
            lifecycle_id=request.lifecycle_id,
            source_object=request.source_object,
            window=request.window,
            fence=request.fence,
            source_rows=extract.expected_rows,
            fingerprint=fingerprint,
            files=files,
            quarantined=quarantined,
            parts=tuple(extract.parts),
            time_unit=extract.time_unit,
        )

    def _put(self, key: str, content: Any) -> str:
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        file.seek(0)
        hash_md5, hash_sha256, size = md5(usedforsecurity=False), sha256(), 0
        while piece := file.read(_PIECE):
            size += len(piece)
            hash_md5.update(piece)
            hash_sha256.update(piece)
        file.seek(0)
        self._storage.put(self._key(key), file, size=size, md5=hash_md5.digest(), sha256=hash_sha256.digest())
        return hash_sha256.hexdigest()

    def _key(self, key: str) -> str:
        return f"{self.options.prefix}/{key}"

    def _check(self, staged: StagedFile, size: int | None) -> None:
        if size != staged.bytes:
            found = "is missing" if size is None else f"has {size} bytes instead of {staged.bytes}"
            raise _torn(f"A staged file {found}", self.uri(staged.key))
        digest = self._storage.known_sha256(self._key(staged.key))
        if digest is None:
            with self.open(staged.key) as file:
                digest = file_digest(file, "sha256").hexdigest()
        if digest != staged.sha256:
            raise _torn("A staged file was changed: its checksum is another", self.uri(staged.key))


def location_of(request: StageRequest) -> str:
    """Return the location of one fence; the source object is percent-encoded, so it can't leave its place."""
    window = _window_name(request.window)
    return _checked(f"{_encoded(request.source_object)}/{request.target_day}/{window}/{request.fence}")


def _window_name(window: TimeWindow) -> str:
    return f"{_stamp(window.start)}_{_stamp(window.end)}"


def _encoded(source_object: str) -> str:
    encoded = quote(source_object, safe="")
    return encoded if encoded.strip(".") else encoded.replace(".", "%2E")


def _stamp(instant: datetime) -> str:
    return iso_utc(instant).replace("-", "").replace(":", "")


def _checked(location: str) -> str:
    if not _LOCATION.fullmatch(location):
        raise InvalidInputError(
            f"{location!r} is not a location of this stage",
            meaning="Nothing was read, written or deleted",
            remedy="Pass a manifest's location: <source_object>/<target_day>/<start>_<end>/<fence>.",
        )
    return location


def _torn(what: str, where: str) -> TornStageError:
    return TornStageError(
        what, where=where, meaning="What is staged is not complete and must not be loaded", remedy="Extract again."
    )


def _manifest_bytes(manifest: Manifest) -> bytes:
    """Return the manifest as bytes; hash sums are text, because they exceed what JSON readers keep exactly."""
    content = {
        "version": _VERSION,
        "time_unit": manifest.time_unit,
        "location": manifest.location,
        "lifecycle_id": manifest.lifecycle_id,
        "source_object": manifest.source_object,
        "window": {"start": iso_utc(manifest.window.start), "end": iso_utc(manifest.window.end)},
        "fence": manifest.fence,
        "source_rows": manifest.source_rows,
        "rows": manifest.fingerprint.rows,
        "hash_sum": str(manifest.fingerprint.hash_sum),
        "quarantined": manifest.quarantined,
        "source_parts": [{"name": part.name, "identity": part.identity, "rows": part.rows} for part in manifest.parts],
        "files": [
            {"key": file.key, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256} for file in manifest.files
        ],
    }
    return json.dumps(content, indent=2).encode() + b"\n"


def _parse_manifest(content: bytes, location: str) -> Manifest:
    parsed = json.loads(content)
    version = parsed["version"]
    if version not in (_VERSION, _VERSION_WITHOUT_UNIT) or parsed["location"] != location:
        raise ValueError("it has another version or names another location")
    unit = parsed["time_unit"] if version == _VERSION else None
    if version == _VERSION and unit not in PER_MICROSECOND:
        raise ValueError("its time_unit is not known")
    files = tuple(_staged_files(parsed["files"], location))
    manifest = Manifest(
        location=location,
        lifecycle_id=int(parsed["lifecycle_id"]),
        source_object=str(parsed["source_object"]),
        window=TimeWindow(*(datetime.fromisoformat(parsed["window"][bound]) for bound in ("start", "end"))),
        fence=int(parsed["fence"]),
        source_rows=int(parsed["source_rows"]),
        fingerprint=Fingerprint(int(parsed["rows"]), int(parsed["hash_sum"])),
        files=files,
        quarantined=int(parsed["quarantined"]),
        parts=tuple(
            SourcePart(str(part["name"]), str(part["identity"]), part["rows"])
            for part in parsed.get("source_parts", ())  # manifests of earlier builds have none
        ),
        time_unit=unit,
    )
    if location.split("/")[2:] != [_window_name(manifest.window), str(manifest.fence)]:
        raise ValueError("it names another window than its location, or another fence")
    rows = manifest.fingerprint.rows
    if min(rows, manifest.quarantined, manifest.fingerprint.hash_sum, *(file.rows for file in files)) < 0:
        raise ValueError("it has negative numbers")
    if rows != sum(file.rows for file in files) or rows + manifest.quarantined != manifest.source_rows:
        raise ValueError("its numbers do not add up")
    return manifest


def _staged_files(entries: list[dict[str, Any]], location: str) -> Iterator[StagedFile]:
    for entry in entries:
        staged = StagedFile(str(entry["key"]), int(entry["rows"]), int(entry["bytes"]), str(entry["sha256"]))
        if not re.fullmatch(re.escape(location) + r"/part-\d{5,}\.ndjson\.gz", staged.key):
            raise ValueError("it names a file outside its location")
        yield staged
