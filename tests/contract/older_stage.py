"""Turns what was staged into what the build before staged lines of version 2 would have written."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from include.pipeline_framework.core.proof.fingerprints import id_hash
from include.pipeline_framework.ports.stage import Manifest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def older_stage(stage: Any, manifest: Manifest) -> Manifest:
    """Rewrite files and manifest of an object-storage stage; times have to be staged in microseconds."""
    assert manifest.time_unit == "us"
    key = f"{manifest.location}/manifest.json"
    with stage.open(key) as file:
        content = json.loads(file.read())
    for entry in content["files"]:
        with stage.open(entry["key"]) as stored:
            lines = gzip.decompress(stored.read()).splitlines()
        older = gzip.compress(b"".join(_older(json.loads(line), manifest.lifecycle_id) for line in lines))
        stage._put(entry["key"], older)
        entry |= {"bytes": len(older), "sha256": hashlib.sha256(older).hexdigest()}
    del content["time_unit"]
    stage._put(key, json.dumps(content | {"version": 1}).encode())
    found: Manifest = stage.read_manifest(manifest.location)
    return found


def _older(line: dict[str, Any], lifecycle_id: int) -> bytes:
    at = (EPOCH + timedelta(microseconds=line["sort"][1])).isoformat(timespec="microseconds")
    envelope = {"_id": line["_id"], "_id_hash": id_hash(line["_id"]), "_event_at": at.replace("+00:00", "Z")}
    return json.dumps({**envelope, "_lifecycle_id": lifecycle_id, "doc": line["_source"]}).encode() + b"\n"
