"""One WebSocket connection, from its handshake to its end: frames in and out, and pings."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
from websockets.http11 import Response
from websockets.uri import parse_uri

from code_racer_client.errors import ClientError, Refused, Unusable
from code_racer_client.message import MALFORMED, JsonMessage, encode, number, retry_after_s
from code_racer_client.metrics import WebSocketMetrics
from code_racer_client.protocol import CLIENT_NAME, CLOSE_LOST, FINAL_REASONS

MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
PROBLEM: Final = "application/problem+json"
"""What our refusals are (RFC 9457); a gateway may say one of our words in a JSON of its own."""


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
                user_agent_header=CLIENT_NAME,
                proxy=None,
            )
        except InvalidStatus as error:
            raise _refused(error) from None
        except (OSError, TimeoutError, EOFError, InvalidHandshake, WebSocketException, ValueError) as error:
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
        return self._ws.close_code or CLOSE_LOST, self._ws.close_reason or ""

    async def send(self, text: str) -> None:
        """Send one message, encoded. Raises ClientError when the connection has ended."""
        try:
            await self._ws.send(text)
        except ConnectionClosed:
            raise ClientError("WebSocket not connected") from None

    async def close(self, code: int, reason: str) -> None:
        """Close, and wait until the server has answered or the time for that is over."""
        await self._ws.close(code, reason)

    def abort(self) -> None:
        """Leave no socket behind, whatever became of the close."""
        self._ws.transport.abort()

    async def _send_pings(self) -> None:
        """Send a ``ping`` now and then, which tells the server the round trip measured last."""
        with contextlib.suppress(ClientError):
            while True:
                data: JsonMessage = {"timestamp": time.perf_counter() * 1000}
                if self._metrics.rtt_s is not None:
                    data["rtt_ms"] = self._metrics.rtt_s * 1000
                await self.send(encode({"type": "ping", "data": data}))
                await asyncio.sleep(self._ping_interval_s)

    def on_pong(self, data: JsonMessage) -> None:
        """Measure the round trip of the ``ping`` that this ``pong`` answers."""
        sent_ms = number(data.get("timestamp"))
        if sent_ms is not None:
            self._metrics.record_rtt(max(0.0, time.perf_counter() - sent_ms / 1000))


def socket_url(backend_url: str, game_id: str, client: str, last_seq: int | None) -> str:
    """Return the URL of a game's socket; a query that `backend_url` has is kept, also a ``client`` in it.

    Raises:
        Unusable: there can be no server at this URL.
    """
    parts = _require_url(backend_url)
    query = {"client": client} if client else {}
    query |= dict(parse_qsl(parts.query, keep_blank_values=True))
    if last_seq is not None:
        query["last_seq"] = str(last_seq)
    path = f"{parts.path.rstrip('/')}/ws/{quote(game_id, safe='')}"
    return parts._replace(path=path, query=urlencode(query, safe="/"), fragment="").geturl()


def _without_query(url: str) -> str:
    """Return what may be shown of a URL: who embeds the client may have put a secret into the query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _certificate_end_s(ws: ClientConnection) -> float | None:
    """Read when the server's certificate ends, in epoch seconds."""
    certificate = ws.transport.get_extra_info("peercert")
    return ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else None


def _require_url(url: str) -> SplitResult:
    """Require a URL that a WebSocket can have, and return its parts. Raises Unusable."""
    try:
        parse_uri(url)
        return urlsplit(url)
    except (InvalidURI, ValueError):
        raise Unusable("that is no URL of a service; write it like wss://race.example.org") from None


class _Said(msgspec.Struct):
    """What a problem document of ours has."""

    status: int
    reason: str
    detail: str = ""
    retry_after_ms: object = None


def _problem_of(response: Response) -> _Said | None:
    """Read a problem document of ours; None where it is something else."""
    try:
        problem = msgspec.json.decode(bytes(response.body or b""), type=_Said)
    except MALFORMED:
        return None
    is_ours = PROBLEM in response.headers.get("Content-Type", "") and problem.status == response.status_code
    return problem if is_ours else None


def _refused(error: InvalidStatus) -> Refused:
    """Read an answer: final is only what we have said ourselves, and nothing that may pass."""
    response = error.response
    status = response.status_code
    problem = _problem_of(response)
    if problem is None:
        return Refused(status, response.reason_phrase, final=False)
    asked = problem.retry_after_ms
    lost_upgrade = status == HTTPStatus.UPGRADE_REQUIRED  # ours, to a plain GET: a proxy between passes no Upgrade on
    final = lost_upgrade or (problem.reason in FINAL_REASONS and not asked)
    wait_s = retry_after_s({"retry_after_ms": asked})
    return Refused(status, problem.detail or response.reason_phrase, wait_s, reason=problem.reason, final=final)
