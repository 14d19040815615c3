"""Errors of storage become the framework's; a put is all or nothing; the modules stay light."""

from __future__ import annotations

import io
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, IncompleteReadError, NoCredentialsError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from pydantic import ValidationError

from include.implementation_modules.object_storage.stage import ObjectStorageStage
from include.implementation_modules.object_storage.storage import LocalStorage, ObjectStorage, S3Storage
from include.implementation_modules.registry import create_adapter
from include.pipeline_framework.errors import (
    ConfigurationError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
)


def put(storage: ObjectStorage, key: str, content: bytes, size: int | None = None) -> None:
    digests = {"md5": md5(content, usedforsecurity=False).digest(), "sha256": sha256(content).digest()}
    storage.put(key, io.BytesIO(content), size=len(content) if size is None else size, **digests)


def client() -> Any:
    return boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="AKIDTEST", aws_secret_access_key="top-secret",
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


REFUSALS = [
    ("NoSuchBucket", 404, ConfigurationError),
    ("AccessDenied", 403, ConfigurationError),
    ("InvalidAccessKeyId", 403, ConfigurationError),
    ("SignatureDoesNotMatch", 403, ConfigurationError),
    ("InvalidArgument", 400, ConfigurationError),
    ("SlowDown", 503, ServiceBusyError),
    ("InternalError", 500, ServiceUnavailableError),
    ("RequestTimeout", 400, ServiceUnavailableError),
    ("ExpiredToken", 400, ServiceUnavailableError),
    ("BadDigest", 400, ServiceUnavailableError),
]
CALLS: dict[str, Callable[[S3Storage], Any]] = {
    "put_object": lambda storage: put(storage, "a/b", b"x"),
    "get_object": lambda storage: storage.open("a/b").__enter__(),
    "list_objects_v2": lambda storage: list(storage.list("a/")),
    "delete_objects": lambda storage: storage.delete(["a/b"]),
}


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize(("code", "status", "expected"), REFUSALS)
def test_a_refusal_of_s3_says_what_to_do(operation: str, code: str, status: int, expected: type[PipelineError]) -> None:
    s3 = client()
    with Stubber(s3) as stub:
        stub.add_client_error(operation, code, "the key AKIDTEST is bad", status)
        with pytest.raises(expected) as raised:
            CALLS[operation](S3Storage(s3, "bucket"))
    assert code in str(raised.value) and "s3://bucket/a/" in raised.value.where and raised.value.remedy
    assert "AKIDTEST" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ({"ChecksumSHA256": b64encode(sha256(b"x").digest()).decode()}, sha256(b"x").hexdigest()),
        ({"ChecksumSHA256": "AAAA-2", "ChecksumType": "COMPOSITE"}, None),
        ({"ETag": '"9dd4e461268c8034f5c8564e155c67a6"'}, None),
        (None, None),
    ],
    ids=["whole", "in parts", "without checksums", "refused"],
)
def test_what_s3_knows_of_an_object(answer: dict[str, str] | None, known: str | None) -> None:
    s3 = client()
    with Stubber(s3) as stub:
        if answer is None:
            stub.add_client_error("head_object", "403", "", 403)
        else:
            stub.add_response("head_object", answer, {"Bucket": "bucket", "Key": "a/b", "ChecksumMode": "ENABLED"})
        assert S3Storage(s3, "bucket").known_sha256("a/b") == known


def test_when_a_busy_s3_wants_to_be_asked_again() -> None:
    s3 = client()
    with Stubber(s3) as stub:
        headers = {"HTTPHeaders": {"retry-after": "45"}, "HTTPStatusCode": 503}
        stub.add_client_error("get_object", "SlowDown", "slow down", 503, response_meta=headers)
        with pytest.raises(ServiceBusyError) as raised:
            CALLS["get_object"](S3Storage(s3, "bucket"))
    assert raised.value.retry_after_seconds == 45


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EndpointConnectionError(endpoint_url="http://s3"), ServiceUnavailableError),
        (NoCredentialsError(), ConfigurationError),
    ],
)
def test_errors_before_any_answer(error: Exception, expected: type[PipelineError]) -> None:
    class Broken:
        meta = client().meta

        def put_object(self, **_: Any) -> None:
            raise error

    with pytest.raises(expected):
        put(S3Storage(Broken(), "bucket"), "a/b", b"x")


def test_a_file_is_sent_without_asking_first() -> None:
    """boto3 asks by itself, and a question whose answer breaks off is waited for without an end."""

    class Empty(io.BytesIO):
        def stream(self) -> list[bytes]:
            return []

    sent: list[dict[str, str]] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        sent.append(dict(request.headers))
        return AWSResponse(request.url, 200, {}, Empty())

    s3 = client()
    s3.meta.events.register("before-send.s3", answer)
    put(S3Storage(s3, "bucket"), "a/b", b"x")
    assert len(sent) == 1
    assert "Content-MD5" in sent[0]
    assert "Expect" not in sent[0]


def test_a_body_that_breaks_off_is_an_error_of_the_framework() -> None:
    class Body(StreamingBody):
        def read(self, amt: int | None = None) -> bytes:
            raise IncompleteReadError(actual_bytes=1, expected_bytes=2)

    s3 = client()
    with Stubber(s3) as stub:
        stub.add_response("get_object", {"Body": Body(io.BytesIO(), 0)})
        with S3Storage(s3, "bucket").open("a/b") as file, pytest.raises(ServiceUnavailableError):
            file.read()


def test_what_s3_did_not_delete_is_an_error() -> None:
    s3 = client()
    with Stubber(s3) as stub:
        stub.add_response("delete_objects", {"Errors": [{"Key": "a/b", "Code": "AccessDenied"}]})
        with pytest.raises(ConfigurationError, match="AccessDenied"):
            S3Storage(s3, "bucket").delete(["a/b"])


def test_a_local_put_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(28, "No space left on device")

    storage = LocalStorage(tmp_path)
    put(storage, "a/b", b"old")
    with pytest.raises(ServiceUnavailableError, match="No space left"):
        storage.put("a/b", Failing(), size=3, md5=b"", sha256=b"")
    with pytest.raises(ServiceUnavailableError, match="instead of"):
        put(storage, "a/b", b"new", size=5)
    with storage.open("a/b") as file:
        assert file.read() == b"old"
    assert [entry.key for entry in storage.list("a/")] == ["a/b"]


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd"])
def test_a_local_key_can_not_leave_its_directory(tmp_path: Path, key: str) -> None:
    storage = LocalStorage(tmp_path / "root")
    for ask in (lambda: put(storage, key, b"x"), lambda: storage.open(key).__enter__(), lambda: storage.delete([key])):
        with pytest.raises(ConfigurationError, match="leads out"):
            ask()
    assert not list(tmp_path.rglob("*x*"))


def test_a_local_directory_that_is_a_file_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="directory"):
        put(LocalStorage(tmp_path / "file"), "a/b", b"x")


@pytest.mark.parametrize(
    "options",
    [{}, {"bucket": "abc", "path": "/tmp"}, {"bucket": "abc", "prefix": "../x"}, {"bucket": "abc", "prefix": ""},
     {"bucket": "abc", "prefix": "a/"}, {"bucket": "abc", "nonsense": 1}, {"bucket": "abc", "file_rows": 0}],
)  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ObjectStorageStage.Options(**options)


def test_the_registry_builds_a_stage_around_a_client_or_none(tmp_path: Path) -> None:
    local = create_adapter("stage", "object_storage", None, {"path": str(tmp_path), "prefix": "p"})
    assert local.uri("k") == (tmp_path / "p" / "k").as_uri()
    assert create_adapter("stage", "object_storage", client(), {"bucket": "abc"}).uri("k") == "s3://abc/pipelines/k"


def test_importing_adapters_imports_no_client_library() -> None:
    names = ("elasticsearch.source", "postgres.source", "object_storage.stage")
    code = (
        "import sys\n"
        + "".join(f"import include.implementation_modules.{name}\n" for name in names)
        + "heavy = {'elasticsearch', 'elastic_transport', 'boto3', 'botocore', 'psycopg', 'pandas', 'airflow'}\n"
        + "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[4])
