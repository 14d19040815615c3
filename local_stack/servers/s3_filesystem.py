"""A read-only fsspec filesystem over boto3, so that DuckDB (in fakesnow) can COPY from S3.

Not s3fs: it pulls aiobotocore, which pins botocore below the boto3 that Airflow's amazon provider needs.
"""

from __future__ import annotations

import io
from typing import Any, ClassVar

from fsspec import AbstractFileSystem


class S3FileSystem(AbstractFileSystem):
    """Reads whole objects of one endpoint; nothing is cached, so a COPY sees what was uploaded just before."""

    protocol: ClassVar[tuple[str, ...]] = ("s3", "s3a")
    cachable: ClassVar[bool] = False
    use_listings_cache: ClassVar[bool] = False

    def __init__(self, endpoint: str, access_key: str, secret_key: str, region: str) -> None:
        super().__init__()
        import boto3
        from botocore.config import Config

        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name=region,
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=16),
        )

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size and time of one object."""
        bucket, key = self._bucket_and_key(path)
        try:
            head = self._client.head_object(Bucket=bucket, Key=key)
        except self._client.exceptions.ClientError as error:
            raise FileNotFoundError(path) from error
        return self._entry(bucket, key, head["ContentLength"], head["LastModified"])

    def modified(self, path: str) -> Any:
        """When the object was written."""
        return self.info(path)["LastModified"]

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """The objects and folders directly below a path."""
        bucket, key = self._bucket_and_key(path)
        prefix = f"{key.rstrip('/')}/" if key else ""
        entries: list[dict[str, Any]] = []
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
            entries += [self._entry(bucket, o["Key"], o["Size"], o["LastModified"]) for o in page.get("Contents", [])]
            folders = (o["Prefix"].rstrip("/") for o in page.get("CommonPrefixes", []))
            entries += [{"name": f"{bucket}/{folder}", "size": 0, "type": "directory"} for folder in folders]
        if not entries and key:
            entries = [self.info(path)]
        return entries if detail else [entry["name"] for entry in entries]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:
        bucket, key = self._bucket_and_key(path)
        return io.BytesIO(self._client.get_object(Bucket=bucket, Key=key)["Body"].read())

    def _bucket_and_key(self, path: str) -> tuple[str, str]:
        bucket, _, key = str(self._strip_protocol(path)).partition("/")
        return bucket, key

    @staticmethod
    def _entry(bucket: str, key: str, size: int, modified: Any) -> dict[str, Any]:
        return {"name": f"{bucket}/{key}", "size": size, "type": "file", "LastModified": modified}
