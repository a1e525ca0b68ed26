"""One WebSocket connection, from its handshake to its end: frames in and out, and pings."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
from websockets.http11 import Response
from websockets.uri import parse_uri

from code_racer_client.errors import ClientError, Refused, Unusable
from code_racer_client.message import MALFORMED, encode, retry_after_s
from code_racer_client.protocol import CLIENT_NAME, CLOSE_LOST, FINAL_REASONS
from code_racer_client.round_trip import RoundTrip
from code_racer_client.sleep import machine_slept

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
    """Sends and receives over one WebSocket, and sees to it that its peer is there."""

    def __init__(self, ws: ClientConnection, timing: Timing, round_trip: RoundTrip) -> None:
        self._ws = ws
        self._timing = timing
        self._round_trip = round_trip
        self._sending = asyncio.Lock()

    @classmethod
    async def open(cls, url: str, token: str, timing: Timing, round_trip: RoundTrip) -> Self:
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
        return cls(ws, timing, round_trip)

    @property
    def certificate_end_s(self) -> float | None:
        """When the server's certificate ends, in epoch seconds; None without TLS."""
        certificate = self._ws.transport.get_extra_info("peercert")
        return ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else None

    async def receive(self, on_frame: Callable[[str | bytes], Awaitable[None]]) -> tuple[int, str]:
        """Pass every frame on until the connection ends; return the code and the reason of its close."""
        beside = (
            asyncio.create_task(self._send_pings(), name="pings"),
            asyncio.create_task(self._look_after_sleep(), name="sleep"),
        )
        try:
            async for frame in self._ws:
                await on_frame(frame)
        except ConnectionClosed:
            pass  # the code is read below
        finally:
            for task in beside:
                task.cancel()
        return self._ws.close_code or CLOSE_LOST, self._ws.close_reason or ""

    async def send(self, *texts: str) -> None:
        """Send messages, encoded; what is sent later comes after all of them, however long they take.

        Raises ClientError when the connection has ended.
        """
        try:
            async with self._sending:
                for text in texts:
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
        """Send a ``ping`` now and then."""
        with contextlib.suppress(ClientError):
            while True:
                await self.send(encode(self._round_trip.ping()))
                await asyncio.sleep(self._timing.ping_interval_s)

    async def _look_after_sleep(self) -> None:
        """Give the connection up where its peer is gone after the machine's sleep, sooner than the pings would."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await machine_slept()
                try:
                    async with asyncio.timeout(self._timing.pong_timeout_s):
                        await (await self._ws.ping())
                except TimeoutError:
                    self.abort()


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
    path = f"{parts.path.rstrip('/')}/ws/{path_part(game_id)}"
    return parts._replace(path=path, query=urlencode(query, safe="/"), fragment="").geturl()


def path_part(game_id: str) -> str:
    """Return a game's id as a part of a path. Raises Unusable where it is none: URLs leave out dots."""
    try:
        if game_id not in {"", ".", ".."}:
            return quote(game_id, safe="")
    except (UnicodeEncodeError, TypeError):  # half a character; no text at all
        pass
    raise Unusable("game_id is no part of a path")


def _without_query(url: str) -> str:
    """Return what may be shown of a URL: who embeds the client may have put a secret into the query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


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
    final = problem.reason in FINAL_REASONS and not asked
    wait_s = retry_after_s({"retry_after_ms": asked})
    return Refused(status, problem.detail or response.reason_phrase, wait_s, reason=problem.reason, final=final)
