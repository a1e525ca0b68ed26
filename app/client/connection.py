"""One WebSocket connection, from its handshake to its end: frames in and out, and pings."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from app.client.errors import ClientError, Refused
from app.client.message import JsonMessage, retry_after_s
from app.client.metrics import WebSocketMetrics
from app.protocol import Close
from app.vocabulary import ClientName

MAX_EVENT_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timing:
    """How often a connection is pinged, and how long is waited for what."""

    ping_interval_s: float
    pong_timeout_s: float
    open_timeout_s: float


class Connection:
    """Sends and receives over one WebSocket, and measures its round trip."""

    def __init__(self, ws: ClientConnection, ping_interval_s: float, metrics: WebSocketMetrics) -> None:
        self._ws = ws
        self._ping_interval_s = ping_interval_s
        self._metrics = metrics

    @classmethod
    async def open(cls, url: str, token: str, timing: Timing, metrics: WebSocketMetrics) -> Self:
        """Connect.

        Raises:
            Refused: the server will not have this connection.
            ClientError: it could not be reached.
        """
        try:
            ws = await connect(
                url,
                additional_headers={"Authorization": f"Bearer {token}"},
                open_timeout=timing.open_timeout_s,
                ping_interval=timing.ping_interval_s,
                ping_timeout=timing.pong_timeout_s,
                close_timeout=timing.pong_timeout_s,
                max_size=MAX_EVENT_BYTES,
                compression=None,
                user_agent_header=ClientName.PYTHON,
                proxy=None,
            )
        except InvalidStatus as error:
            raise _refused(error) from None
        except (OSError, TimeoutError, EOFError, InvalidHandshake, WebSocketException) as error:
            raise ClientError(f"cannot reach {_without_query(url)}: {type(error).__name__}") from None
        metrics.record_connection(_certificate_end_s(ws))
        return cls(ws, timing.ping_interval_s, metrics)

    async def receive(self, on_frame: Callable[[str | bytes], Awaitable[None]]) -> tuple[int, str]:
        """Pass every frame on until the connection ends; return the code and the reason of its close."""
        pings = asyncio.create_task(self._send_pings(), name="pings")
        try:
            async for frame in self._ws:
                await on_frame(frame)
        except ConnectionClosed:
            pass  # the code is read below
        finally:
            pings.cancel()
        return self._ws.close_code or Close.LOST.code, self._ws.close_reason or ""

    async def send(self, message: JsonMessage) -> None:
        """Send one message. Raises ClientError when the connection has ended."""
        try:
            await self._ws.send(msgspec.json.encode(message).decode())
        except ConnectionClosed:
            raise ClientError("WebSocket not connected") from None

    async def close(self, code: int, reason: str) -> None:
        """Close, and wait until the server has answered or the time for that is over."""
        await self._ws.close(code, reason)

    async def _send_pings(self) -> None:
        """Send a ``ping`` now and then, which tells the server the round trip measured last."""
        with contextlib.suppress(ClientError):
            while True:
                data: JsonMessage = {"timestamp": time.perf_counter() * 1000}
                if self._metrics.rtt_s is not None:
                    data["rtt_ms"] = self._metrics.rtt_s * 1000
                await self.send({"type": "ping", "data": data})
                await asyncio.sleep(self._ping_interval_s)

    def on_pong(self, data: JsonMessage) -> None:
        """Measure the round trip of the ``ping`` that this ``pong`` answers."""
        self._metrics.record_rtt(max(0.0, time.perf_counter() - float(data["timestamp"]) / 1000))


def socket_url(backend_url: str, game_id: str, client: str, last_seq: int | None) -> str:
    """Return the URL of a game's socket; a query that `backend_url` has is kept, also a ``client`` in it."""
    parts = urlsplit(backend_url)
    query = {"client": client} if client else {}
    query |= dict(parse_qsl(parts.query, keep_blank_values=True))
    if last_seq is not None:
        query["last_seq"] = str(last_seq)
    path = f"{parts.path.rstrip('/')}/ws/{game_id}"
    return parts._replace(path=path, query=urlencode(query, safe="/"), fragment="").geturl()


def _without_query(url: str) -> str:
    """Return what may be shown of a URL: who embeds the client may have put a secret into the query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _certificate_end_s(ws: ClientConnection) -> float | None:
    """Read when the server's certificate ends, in epoch seconds."""
    certificate = ws.transport.get_extra_info("peercert")
    return ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else None


def _refused(error: InvalidStatus) -> Refused:
    response = error.response
    try:
        problem = msgspec.json.decode(bytes(response.body or b"{}"), type=dict[str, Any])
    except msgspec.MsgspecError:
        problem = {}
    detail = str(problem.get("detail", response.reason_phrase))
    return Refused(response.status_code, detail, retry_after_s(problem))
