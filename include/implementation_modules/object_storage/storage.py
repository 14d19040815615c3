"""The few operations that a stage needs of object storage, for S3, a local directory and memory.

A put is all or nothing: a key has either exactly the given bytes or its earlier content. Errors of client libraries are
translated into the framework's; none of them repeats a credential.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

from include.pipeline_framework.core.time.delays import retry_after
from include.pipeline_framework.errors import (
    ConfigurationError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
)

_KEYS_PER_DELETE = 1_000
_BUSY = frozenset(
    {
        "SlowDown",
        "TooManyRequests",
        "TooManyRequestsException",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
    }
)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as a listing shows it."""

    key: str
    bytes: int


class ObjectStorage(Protocol):
    """An object storage; keys are relative paths with `/`, which the caller has made safe."""

    def put(self, key: str, content: BinaryIO, *, size: int, md5: bytes, sha256: bytes) -> None:
        """Store `content` from its present position; size and digests prove that it arrived unchanged."""
        ...

    def known_sha256(self, key: str) -> str | None:
        """Return the SHA-256 (hexadecimal digits) that the storage itself keeps of an object; None: it keeps none."""
        ...

    def open(self, key: str) -> Any:
        """Return the context manager of a binary file object.

        Raises:
            FileNotFoundError: There is no such key.
        """
        ...

    def list(self, prefix: str) -> Iterable[StoredObject]:
        """List every object whose key starts with `prefix`; a prefix that ends with `/` is a directory."""
        ...

    def delete(self, keys: Iterable[str]) -> int:
        """Delete keys, including keys that no longer exist; return the number of the given keys."""
        ...

    def uri(self, key: str) -> str:
        """Return the absolute address of a key."""
        ...


class S3Storage:
    """A bucket. The server checks each upload against its MD5 and its SHA-256, and tells the latter without a read.

    Args:
        client: A boto3 S3 client; it may be shared between threads.
        bucket: An existing bucket.
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket
        # boto3 would ask before it sends a file, and wait for ever, busily, if that answer breaks off
        client.meta.events.register_last("before-call.s3", _without_question, unique_id="without-question")

    def put(self, key: str, content: BinaryIO, *, size: int, md5: bytes, sha256: bytes) -> None:
        """Send one PUT with both digests: the object appears whole or not at all."""
        digests = {"ContentMD5": base64.b64encode(md5).decode(), "ChecksumSHA256": base64.b64encode(sha256).decode()}
        with self._translated(key):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentLength=size, **digests)

    def known_sha256(self, key: str) -> str | None:
        """Ask with one HEAD; a store that takes no checksums, or an object that came in parts, has none.

        A refusal of a HEAD has no reason in it: then none is known, and the read that follows tells the reason.
        """
        answer: dict[str, Any] = {}
        with self._translated(key), suppress(self._client.exceptions.ClientError):
            answer = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        known = str(answer.get("ChecksumSHA256", ""))
        is_whole = known and answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        return base64.b64decode(known).hex() if is_whole else None

    @contextmanager
    def open(self, key: str) -> Iterator[io.BufferedReader]:
        """Stream the body from the network; it is never in memory as a whole."""
        with self._translated(key, is_reading=True):
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        with closing(body):
            yield io.BufferedReader(_S3Body(body, partial(self._translated, key)), 1024 * 1024)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield all pages of the listing."""
        with self._translated(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield StoredObject(entry["Key"], entry["Size"])

    def delete(self, keys: Iterable[str]) -> int:
        """Delete in batches of 1,000."""
        wanted = list(keys)
        for first in range(0, len(wanted), _KEYS_PER_DELETE):
            batch = wanted[first : first + _KEYS_PER_DELETE]
            with self._translated(batch[0]):
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
            for refused in answer.get("Errors", ()):
                raise self._of_code(str(refused.get("Code")), str(refused.get("Key")), 403)
        return len(wanted)

    def uri(self, key: str) -> str:
        """Return `s3://bucket/key`."""
        return f"s3://{self._bucket}/{key}"

    @contextmanager
    def _translated(self, key: str, *, is_reading: bool = False) -> Iterator[None]:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            ParamValidationError,
            PartialCredentialsError,
        )

        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if is_reading and code in ("NoSuchKey", "404"):
                raise FileNotFoundError(key) from error
            headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders")
            raise self._of_code(code, key, status, retry_after(headers)) from error
        except (NoCredentialsError, PartialCredentialsError, ParamValidationError) as error:
            raise self._of_code(type(error).__name__, key, 403) from error
        except BotoCoreError as error:
            raise self._of_code(type(error).__name__, key, 0) from error

    def _of_code(self, code: str, key: str, status: int, seconds: float | None = None) -> PipelineError:
        remedies = {
            "NoSuchBucket": "Create the bucket, or correct bucket in the pipeline's stage.",
            "AccessDenied": "Allow s3:GetObject, PutObject, DeleteObject and ListBucket on the bucket and prefix.",
            "AllAccessDisabled": "Enable the bucket's account, or use another bucket.",
            "InvalidAccessKeyId": "Check the access key of the stage's connection.",
            "SignatureDoesNotMatch": "Check the secret key and the region of the stage's connection.",
            "NoCredentialsError": "Give the stage's connection credentials.",
            "PartialCredentialsError": "Give the stage's connection both keys.",
            "PermanentRedirect": "Set the region or endpoint of the bucket in the stage's connection.",
        }
        where = self.uri(key)
        # BadDigest is damage in transit, an expired token is renewed by the next try: both pass.
        refused = 400 <= status < 500 and code not in {
            *_BUSY, "RequestTimeout", "BadDigest", "ExpiredToken", "RequestTimeTooSkewed", "OperationAborted",
            "IncompleteBody",
        }  # fmt: skip
        if code in remedies or refused:
            return ConfigurationError(
                f"The object storage refused the request ({code})",
                where=where,
                meaning="Trying again gives the same answer",
                remedy=remedies.get(code, "Check bucket, prefix and connection of the stage."),
            )
        if code in _BUSY or status == 429 or seconds is not None:
            return ServiceBusyError(
                f"The object storage has too much to do ({code or f'HTTP {status}'})",
                where=where,
                meaning="Nothing counts as staged",
                remedy="Airflow retries after a longer delay; if it stays, lower max_active_windows.",
            ).asking_for(seconds)
        return ServiceUnavailableError(
            f"The object storage did not answer, or not now ({code or f'HTTP {status}'})",
            where=where,
            meaning="Nothing counts as staged",
            remedy="Airflow retries; if it stays, check the endpoint and its load.",
        )


def _without_question(params: dict[str, Any], **_event: Any) -> None:
    params["headers"].pop("Expect", None)


class _S3Body(io.RawIOBase):
    """A streaming body as a file whose errors are the framework's."""

    def __init__(self, body: Any, translated: Callable[[], AbstractContextManager[None]]) -> None:
        self._body, self._translated = body, translated

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._translated():
            chunk: bytes = self._body.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class LocalStorage:
    """A directory on one machine: for development and single-node deployments.

    Args:
        root: Created if it is missing; keys are paths below it.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root).absolute()

    def known_sha256(self, key: str) -> str | None:
        """Return None: a directory keeps no checksums."""
        del key
        return None

    def put(self, key: str, content: BinaryIO, *, size: int, md5: bytes, sha256: bytes) -> None:
        """Write a file beside it, sync, rename: after a crash the old or the new file is there, never half of one."""
        path = self._path(key)
        with self._translated(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
                try:
                    shutil.copyfileobj(content, file, 1024 * 1024)
                    file.flush()
                    os.fsync(file.fileno())
                    if file.tell() != size:
                        raise OSError(f"{file.tell()} bytes written instead of {size}")
                    Path(file.name).replace(path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
            _sync_directory(path.parent)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Open the file itself."""
        with self._translated(key, is_reading=True):
            file = self._path(key).open("rb")
        with file:
            yield file

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List the files below the prefix's directory."""
        directory = self._path(prefix.rpartition("/")[0] or ".")
        with self._translated(prefix):
            for path in sorted(directory.rglob("*")):
                key = path.relative_to(self._root).as_posix()
                if key.startswith(prefix) and path.is_file():
                    yield StoredObject(key, path.stat().st_size)

    def delete(self, keys: Iterable[str]) -> int:
        """Delete files, then their directory if it is empty; parents are shared with other writers and stay."""
        wanted = list(keys)
        for key in wanted:
            path = self._path(key)
            with self._translated(key):
                path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()
        return len(wanted)

    def uri(self, key: str) -> str:
        """Return `file:///…`."""
        return "file://" + quote(str(self._root / key), safe="/") + ("/" if key.endswith("/") else "")

    def _path(self, key: str) -> Path:
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root.resolve()):
            raise ConfigurationError(
                f"The key {key!r} leads out of the stage",
                where=str(self._root),
                meaning="Nothing was read or written",
                remedy="Use keys of a manifest only.",
            )
        return self._root / key

    @contextmanager
    def _translated(self, key: str, *, is_reading: bool = False) -> Iterator[None]:
        try:
            yield
        except (PermissionError, NotADirectoryError, IsADirectoryError) as error:
            raise ConfigurationError(
                f"The stage's directory can't be used ({type(error).__name__})",
                where=self.uri(key),
                meaning="Trying again gives the same answer",
                remedy="Let the worker's user write below the stage's path.",
            ) from error
        except OSError as error:
            if is_reading and isinstance(error, FileNotFoundError):
                raise
            raise ServiceUnavailableError(
                f"The stage's directory did not take or give a file ({error.strerror or error})",
                where=self.uri(key),
                meaning="Nothing counts as staged",
                remedy="Check free space and health of the disk; Airflow retries.",
            ) from error


def _sync_directory(directory: Path) -> None:
    """Sync a directory: a rename survives a power loss only if its directory was synced as well."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
