"""Writes the lines of a window into compressed files, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryFile
from typing import BinaryIO, Self

from isal import isal_zlib

from include.pipeline_framework.ports.stage import StagedFile

_GZIP = 31


class Parts:
    """Starts a new compressed file at the limits; a full one is uploaded at once, so only one is on disk at a time.

    Args:
        location: Of the window's files.
        put: Uploads a file under a key and returns its SHA-256 in hexadecimal digits.
        file_rows: The most lines of one file.
        file_bytes: A file is closed at about this compressed size.
    """

    def __init__(self, location: str, put: Callable[[str, BinaryIO], str], *, file_rows: int, file_bytes: int) -> None:
        self._location, self._put = location, put
        self._file_rows, self._file_bytes = file_rows, file_bytes
        self._files: list[StagedFile] = []
        self._part: _Part | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._part:
            self._part.file.close()

    def write(self, text: bytes, rows: int) -> None:
        """Add lines, each of which ends with its only line break."""
        while rows:
            part = self._part = self._part or _Part()
            room = self._file_rows - part.rows
            if rows > room:
                *lines, rest = text.split(b"\n", room)
                text, rows = rest, rows - room
                part.write(b"\n".join([*lines, b""]), room)
            else:
                part.write(text, rows)
                rows = 0
            if part.rows >= self._file_rows or part.bytes >= self._file_bytes:
                self._upload(part)

    def finish(self) -> tuple[StagedFile, ...]:
        """Upload what is left; return every file."""
        if self._part:
            self._upload(self._part)
        return tuple(self._files)

    def _upload(self, part: _Part) -> None:
        part.finish()
        key = f"{self._location}/part-{len(self._files):05d}.ndjson.gz"
        self._files.append(StagedFile(key, part.rows, part.bytes, self._put(key, part.file)))
        part.file.close()
        self._part = None


class _Part:
    """One gzip file being written; its header carries no time and no name, so equal rows give equal bytes."""

    def __init__(self) -> None:
        self.file = TemporaryFile()  # noqa: SIM115 - closed by Parts, which outlives this call
        self.rows = self.bytes = 0
        self._gzip = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP)

    def write(self, text: bytes, rows: int) -> None:
        self.rows += rows
        self._append(self._gzip.compress(text))

    def finish(self) -> None:
        self._append(self._gzip.flush())

    def _append(self, compressed: bytes) -> None:
        self.file.write(compressed)
        self.bytes += len(compressed)
