"""Probes, metrics and the list of what to scrape, of the supervisor: a few answers, no framework."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

from app.aio.cancellation import end
from app.listeners import port_of
from app.supervisor.descriptors import Descriptors
from app.supervisor.slot import WorkerSlot
from app.telemetry.metrics import MetricStore
from app.workers import discovery

REQUEST_TIMEOUT_S: Final = 5.0
_MOST_HEAD_BYTES: Final = 8_192
_MOST_AT_ONCE: Final = 64
_JSON: Final = "application/json"
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}
_NOTHING_ELSE: Final = (
    b'{"detail":"there are /livez, /readyz, /metrics, /sd and /sd/supervisor; each worker has the console, /ops/, on'
    b' OPS_PORT and its number"}'
)
OpsAnswer = tuple[int, str, bytes]


class Supervised(Protocol):
    """What the endpoints tell of."""

    store: MetricStore
    slots: list[WorkerSlot]

    def failed(self) -> list[str]:
        """List why not all are ready."""


@contextlib.asynccontextmanager
async def serve_ops(supervised: Supervised, descriptors: Descriptors) -> AsyncIterator[None]:
    """Answer on the supervisor's own sockets while in the block; where there are none, nothing is answered."""
    ops = SupervisorOps(supervised, [port_of(one) for one in descriptors.ops])
    servers = [
        await asyncio.start_server(ops.serve, sock=one.dup(), limit=_MOST_HEAD_BYTES) for one in descriptors.own_ops
    ]
    try:
        yield
    finally:
        for server in servers:
            server.close()
        await ops.close()


class SupervisorOps:
    """Answers one request on each connection, of so many connections at once."""

    def __init__(self, supervised: Supervised, ports: list[int]) -> None:
        self._supervised = supervised
        self._ports = ports
        self._serving: set[asyncio.Task[Any] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a request, within a time; whoever is one too many is closed."""
        task = asyncio.current_task()
        self._serving.add(task)
        try:
            if len(self._serving) <= _MOST_AT_ONCE:
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                    writer.write(self._response(head))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            self._serving.discard(task)
            writer.close()

    async def close(self) -> None:
        """End the requests under way."""
        await end(task for task in self._serving if task is not None)

    def _response(self, head: str) -> bytes:
        request, *lines = head.split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, target, *_ = [*request.split(" "), "", ""]
        status, kind, body = self.answer(method, target.partition("?")[0], headers)
        lines = [
            f"HTTP/1.1 {status} {_REASONS[status]}",
            f"content-type: {kind}",
            f"content-length: {len(body)}",
            "cache-control: no-store",
            "connection: close",
        ]
        return "\r\n".join((*lines, "", "")).encode() + (b"" if method == "HEAD" else body)

    def answer(self, method: str, path: str, headers: Mapping[str, str]) -> OpsAnswer:
        """Answer one request with status, content type and body."""
        if method not in {"GET", "HEAD"}:
            return 405, _JSON, b'{"detail":"GET or HEAD"}'
        if path in {"/livez", "/startupz"}:
            return 200, _JSON, b'{"status":"ok"}'
        if path in {"/readyz", "/health"}:
            return _ready(self._supervised.failed())
        if path == "/metrics":
            body, kind = self._supervised.store.render(headers.get("accept", ""))
            return 200, kind, body
        if path in {"/sd", "/sd/supervisor"}:
            return self._targets(headers.get("host", ""), itself=path != "/sd")
        return 404, _JSON, _NOTHING_ELSE

    def _targets(self, host: str, *, itself: bool) -> OpsAnswer:
        """List what Prometheus is to scrape, at the host by which it came here: the workers, or this supervisor."""
        try:
            body = discovery.listed_itself(host) if itself else discovery.listed(host, self._ports)
        except ValueError as error:
            return 400, _JSON, json.dumps({"detail": str(error)}).encode()
        return 200, _JSON, body


def _ready(failed: list[str]) -> OpsAnswer:
    if failed:
        return 503, _JSON, json.dumps({"status": "failing", "failed": failed}).encode()
    return 200, _JSON, b'{"status":"ok"}'
