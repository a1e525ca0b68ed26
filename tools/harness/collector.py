"""A collector: OTLP's own protobuf services over HTTP and gRPC, keeping the spans that come.

A stand-in, and it says so: no real OpenTelemetry collector can be had from PyPI, npm or Debian. What it takes is
decoded by OpenTelemetry's published messages, and gRPC by its published service.
"""

import contextlib
import gzip
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tools.harness.server import STEP_TIMEOUT_S

Value = str | int | float | bool


@dataclass
class CollectedSpan:
    """One span as it came over the wire; ids in hexadecimal, times in seconds."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    links: list[tuple[str, str]]
    attributes: dict[str, Value]
    start: float
    end: float
    status: int
    message: str
    resource: dict[str, Value] = field(default_factory=dict)


class Collector:
    """See the module. While `answer` is cleared requests hang; while `fails`, they are refused."""

    def __init__(self, protocol: str = "http/protobuf") -> None:
        self.protocol = protocol
        self.spans: list[CollectedSpan] = []
        self.headers: list[dict[str, str]] = []
        self.requests = 0
        self.fails = False
        self.answer = threading.Event()
        self.answer.set()
        self._changed = threading.Condition()
        self._http: ThreadingHTTPServer | None = None
        self._grpc: grpc.Server | None = None
        self.endpoint = ""

    def __enter__(self) -> Self:
        if self.protocol == "grpc":
            self._grpc = grpc.server(ThreadPoolExecutor(4))
            trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Service(self), self._grpc)  # type: ignore[no-untyped-call] # generated
            port = self._grpc.add_insecure_port("127.0.0.1:0")
            self._grpc.start()
        else:
            self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"collector": self}))
            self._http.daemon_threads = True
            threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
            port = self._http.server_port
        self.endpoint = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answer.set()
        if self._grpc is not None:
            self._grpc.stop(0).wait()
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()

    @property
    def settings(self) -> dict[str, str]:
        """What a server under test needs to send here, often."""
        return {
            "otel_exporter_otlp_endpoint": self.endpoint,
            "otel_exporter_otlp_protocol": self.protocol,
            "otel_bsp_schedule_delay": "50",
        }

    def take(self, request: Any, headers: dict[str, str]) -> bool:
        """Keep what a request brings; False where it is to be refused."""
        with self._changed:
            self.requests += 1
            self._changed.notify_all()
        self.answer.wait(STEP_TIMEOUT_S)
        if self.fails:
            return False
        with self._changed:
            self.headers.append(headers)
            self.spans += _spans(request)
            self._changed.notify_all()
        return True

    def wait(self, done: Callable[[list[CollectedSpan]], bool], timeout_s: float = STEP_TIMEOUT_S) -> None:
        """Wait until the spans so far satisfy `done`."""
        with self._changed:
            ok = self._changed.wait_for(lambda: done(self.spans), timeout_s)
        assert ok, f"spans so far: {sorted(span.name for span in self.spans)}"

    def wait_for_requests(self, count: int) -> None:
        """Wait until so many requests have come, answered or not."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.requests >= count, STEP_TIMEOUT_S), self.requests

    def named(self, name: str) -> list[CollectedSpan]:
        """The spans of a name."""
        return [span for span in self.spans if span.name == name]


class _Handler(BaseHTTPRequestHandler):
    collector: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        ok = self.path == "/v1/traces" and self.collector.take(request, {k.lower(): v for k, v in self.headers.items()})
        answer = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()
        self.send_response(200 if ok else 400)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # whoever asked has gone
            self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


class _Service(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the service's name
        headers = {key: str(value) for key, value in context.invocation_metadata()}
        if not self._collector.take(request, headers):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "refused")
        return trace_service_pb2.ExportTraceServiceResponse()


def _spans(request: Any) -> list[CollectedSpan]:
    found = []
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            found += [_span(one, resource) for one in scope.spans]
    return found


def _span(span: Any, resource: dict[str, Value]) -> CollectedSpan:
    return CollectedSpan(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        attributes=_attributes(span.attributes),
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        status=span.status.code,
        message=span.status.message,
        resource=resource,
    )


def _attributes(pairs: Any) -> dict[str, Value]:
    return {pair.key: cast("Value", getattr(pair.value, pair.value.WhichOneof("value"))) for pair in pairs}
