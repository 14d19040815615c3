"""An Elasticsearch behind a proxy that serves it below a path, and one that takes headers away."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from elasticsearch import Elasticsearch

from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.pipeline_framework.errors import ConfigurationError
from include.wiring import connections
from tests.integration.test_what_a_source_hides import Indices, read

pytestmark = pytest.mark.integration

PREFIX = "/search/es"


@contextmanager
def proxy(upstream: str, *, drops: str = "") -> Iterator[int]:
    """Passes on what is asked below PREFIX; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))) or None
            status, headers, answer = 404, {"content-type": "text/html"}, b"<html>nothing here</html>"
            if self.path.startswith(PREFIX + "/"):
                asked = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                url = upstream + self.path.removeprefix(PREFIX)
                request = urllib.request.Request(url, body, asked, method=self.command)
                try:
                    with urllib.request.urlopen(request) as found:
                        status, headers, answer = found.status, dict(found.headers), found.read()
                except urllib.error.HTTPError as error:
                    status, headers, answer = error.code, dict(error.headers), error.read()
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", drops):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _pass_on

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def indices(elasticsearch_url: str) -> Iterator[Indices]:
    with Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        indices = Indices(client)
        yield indices
        for name in client.indices.get(index=indices.pattern, expand_wildcards="all"):
            client.indices.delete(index=name)


def source(indices: Indices, **fields: object) -> ElasticsearchSource:
    environ = {"conn_type": "elasticsearch", **fields}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SEARCH", json.dumps(environ))
        client = connections.client("search")
    return ElasticsearchSource(client, ElasticsearchSource.Options(index=indices.pattern))


def test_one_below_a_path_is_read(indices: Indices, elasticsearch_url: str) -> None:
    indices.create("a", 7)
    with proxy(elasticsearch_url) as port:
        assert len(read(source(indices, host=f"http://127.0.0.1:{port}{PREFIX}"))) == 7
        extra = {"path_prefix": PREFIX}
        assert len(read(source(indices, host="127.0.0.1", port=port, extra=extra))) == 7


def test_a_header_that_a_proxy_takes_away_is_named(indices: Indices, elasticsearch_url: str) -> None:
    indices.create("a", 1)
    with (
        proxy(elasticsearch_url, drops="x-elastic-product") as port,
        pytest.raises(ConfigurationError, match="lacks the header X-Elastic-Product: a proxy in between"),
    ):
        read(source(indices, host=f"http://127.0.0.1:{port}{PREFIX}"))
