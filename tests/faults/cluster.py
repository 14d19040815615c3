"""A real Elasticsearch cluster of two nodes, one of which can be killed: the local stack's node module, twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local_stack.home import cache_folder
from local_stack.ports import HOST, is_busy
from local_stack.servers import elasticsearch_jars
from local_stack.servers.base import python_environ, python_module

_START_SECONDS = 900.0
_FREE_PORTS = range(15_000, 31_000)
# This variable beats the options of the node module: two small nodes that start soon, for minutes only.
_JVM = {"_JAVA_OPTIONS": "-Xms128m -Xmx256m -XX:TieredStopAtLevel=1"}


class Node:
    """One node with ports and data folder of its own; the same ones after a restart."""

    def __init__(self, name: str, folder: Path, settings: dict[str, str]) -> None:
        self.name = name
        self.port, self.transport_port = _free_port(), _free_port()
        self._folder = folder / name
        self._settings = {"node.name": name, "discovery.type": "multi-node", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        return self._folder / "node.log"

    def start(self, **settings: str) -> None:
        """Start the process; it serves requests some seconds later."""
        (self._folder / "config").mkdir(parents=True, exist_ok=True)
        command = python_module(
            "local_stack.servers.elasticsearch_node",
            f"--jars={elasticsearch_jars.folder(cache_folder())}",
            f"--data={self._folder}",
            f"--port={self.port}",
            f"--transport-port={self.transport_port}",
            *(f"--setting={name}={value}" for name, value in {**self._settings, **settings}.items()),
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={**python_environ(), **_JVM})

    def kill(self) -> None:
        """SIGKILL: no goodbye to the other node; returns when the process is gone."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(120)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None


class Cluster:
    """`first` is the master and the one that clients talk to; `second` only holds data, so the cluster outlives it."""

    def __init__(self, folder: Path) -> None:
        # An expired view is looked for every second, not every minute.
        common = {"cluster.name": f"two-nodes-{os.getpid()}", "search.keep_alive_interval": "1s"}
        self.first = Node("first", folder, {**common, "cluster.initial_master_nodes": "first"})
        self.second = Node("second", folder, {**common, "node.roles": "data"})
        seeds = {"discovery.seed_hosts": f"{HOST}:{self.first.transport_port}"}
        self._start = {"first": lambda: self.first.start(), "second": lambda: self.second.start(**seeds)}

    def start(self) -> None:
        """Both nodes; returns when they have found each other."""
        for start in self._start.values():
            start()
        self.wait("two nodes", lambda: self.health()["number_of_data_nodes"] == 2)

    def stop(self) -> None:
        for node in (self.second, self.first):
            node.end()

    def kill_second(self) -> None:
        """The node is gone, and the master knows it: what is asked now is answered by the first one alone."""
        self.second.kill()
        self.wait("the loss to be noticed", lambda: self.health()["number_of_data_nodes"] == 1)

    def make_whole(self) -> None:
        """Start the second node again unless it runs, on the same data, and wait until every shard is there."""
        if not self.second.is_running:
            self._start["second"]()
        self.wait(
            "green", lambda: (health := self.health())["status"] == "green" and health["number_of_data_nodes"] == 2
        )

    def health(self) -> dict[str, Any]:
        health: dict[str, Any] = self.ask("GET", "/_cluster/health?timeout=1s")[1]
        return health

    def shards(self, index: str) -> dict[str, int]:
        """Documents of the index by the name of the node that holds them."""
        shards = self.ask("GET", f"/_cat/shards/{index}?format=json")[1]
        return {shard["node"]: int(shard["docs"]) for shard in shards}

    def open_views(self) -> int:
        """Search contexts that are open on any node."""
        nodes = self.ask("GET", "/_nodes/stats/indices/search")[1]["nodes"]
        return sum(node["indices"]["search"]["open_contexts"] for node in nodes.values())

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """A raw request to the first node: status and answer."""
        request = urllib.request.Request(
            self.first.url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, json.load(answer)

    def wait(self, what: str, is_so: Callable[[], bool]) -> None:
        """Poll; a node that does not answer yet is no error.

        Raises:
            AssertionError: It did not happen; carries the end of both logs.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                if is_so():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        logs = "\n".join(node.log.read_text(errors="replace")[-3_000:] for node in (self.first, self.second))
        raise AssertionError(f"waited {_START_SECONDS:.0f} s for {what}\n{logs}")


@contextmanager
def two_nodes(folder: Path) -> Iterator[Cluster]:
    """A running cluster, gone afterwards."""
    elasticsearch_jars.ensure(cache_folder(), lambda text: print(text, file=sys.stderr))
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _free_port() -> int:
    return next(port for port in random.sample(_FREE_PORTS, 200) if not is_busy(port))
