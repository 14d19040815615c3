"""A real Elasticsearch node: jars from Maven Central, a Java runtime from a wheel, run inside a Python process."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable
from typing import ClassVar

from local_stack.home import cache_folder
from local_stack.ports import HOST
from local_stack.servers import elasticsearch_jars
from local_stack.servers.base import Server, python_environ, python_module


class Elasticsearch(Server):
    """One node without security: documents, bulk, search, point in time, slices, scroll, date histograms."""

    name: ClassVar[str] = "elasticsearch"
    title: ClassVar[str] = f"Elasticsearch {elasticsearch_jars.VERSION}"
    port_names: ClassVar[tuple[str, ...]] = ("elasticsearch", "elasticsearch_transport")

    @property
    def url(self) -> str:
        """Where clients send requests."""
        return f"http://{HOST}:{self.port}"

    def prepare(self, tell: Callable[[str], None]) -> None:
        """Download the jars unless this or another stack did."""
        elasticsearch_jars.ensure(cache_folder(), tell)
        (self.data / "config").mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """The module that starts the node in this interpreter."""
        return python_module(
            "local_stack.servers.elasticsearch_node",
            f"--jars={elasticsearch_jars.folder(cache_folder())}",
            f"--data={self.data}",
            f"--port={self.port}",
            f"--transport-port={self.state.ports['elasticsearch_transport']}",
        )

    def environ(self) -> dict[str, str]:
        """The child imports this package; a stack that is nobody's lives too briefly to be compiled twice."""
        if self.state.is_durable:
            return python_environ()
        options = f"{os.environ.get('_JAVA_OPTIONS', '')} -XX:TieredStopAtLevel=1".strip()
        return {**python_environ(), "_JAVA_OPTIONS": options}

    def is_healthy(self) -> bool:
        """Whether the cluster's shards are assigned."""
        with urllib.request.urlopen(f"{self.url}/_cluster/health", timeout=20) as response:  # noqa: S310 - loopback
            return json.load(response)["status"] in ("green", "yellow")
