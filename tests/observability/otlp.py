"""A collector of traces on a real socket, which decodes what it is sent."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector(ThreadingHTTPServer):
    """Keeps all spans."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self.paths: set[str] = set()
        self.resource: dict[str, str] = {}
        #: All that came, to search it for what must not be sent.
        self.octets = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def spans(self) -> list[Span]:
        with self._lock:
            return list(self._spans)

    def take(self, path: str, octets: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(octets)
        with self._lock:
            self.paths.add(path)
            self.octets += octets
            for of_resource in request.resource_spans:
                for attribute in of_resource.resource.attributes:
                    self.resource[attribute.key] = attribute.value.string_value
                for of_scope in of_resource.scope_spans:
                    self._spans.extend(of_scope.spans)


class _Request(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        octets = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            octets = gzip.decompress(octets)
        self.server.take(self.path, octets)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs while the block does."""
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()


def attributes_of(span: Span) -> dict[str, str | int]:
    return {
        one.key: one.value.int_value if one.value.HasField("int_value") else one.value.string_value
        for one in span.attributes
    }
