"""Reads the lines of a manifest's files, for targets that can't read the stage themselves."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import msgspec

from include.pipeline_framework.errors import TornStageError
from include.pipeline_framework.ports import Manifest, Stage


class StagedLine(msgspec.Struct, frozen=True):
    """One staged line; `doc` is the document's JSON text, byte for byte."""

    id: str = msgspec.field(name="_id")
    id_hash: int = msgspec.field(name="_id_hash")
    event_at: str = msgspec.field(name="_event_at")
    lifecycle_id: int = msgspec.field(name="_lifecycle_id")
    doc: msgspec.Raw


def staged_lines(manifest: Manifest, stage: Stage) -> Iterator[StagedLine]:
    """Every line of the manifest's files, streamed in order.

    Raises:
        TornStageError: A file is missing, cut short, or holds something that is no staged line.
    """
    decoder = msgspec.json.Decoder(StagedLine)
    for file in manifest.files:
        try:
            with stage.open(file.key) as stored, gzip.open(stored) as lines:
                for text in lines:
                    line = decoder.decode(text)
                    if line.lifecycle_id != manifest.lifecycle_id:
                        raise _damaged(f"holds a row of another ledger row, {line.lifecycle_id}", file.key)
                    yield line
        except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error, msgspec.MsgspecError) as error:
            raise _damaged(f"can't be read ({type(error).__name__})", file.key) from error


def _damaged(what: str, key: str) -> TornStageError:
    return TornStageError(
        f"a staged file {what}",
        where=key,
        meaning="The file is missing, cut short or damaged; nothing was changed in the target",
        remedy="Run the window again from its source.",
    )
