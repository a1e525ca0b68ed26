"""One game over one WebSocket, across reconnects.

Durable events carry ``seq``: after a cut the client reconnects with ``last_seq``, hands on each event once
and in order, and reconnects when it notices a gap. Backoff is exponential with full jitter ("Exponential
Backoff And Jitter", AWS Architecture Blog): after a deploy, clients do not come back in step.
"""

import asyncio
import contextlib
import inspect
import random
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from app.protocol import Close, InvalidMessage, decode_server_message, should_reconnect

Message = dict[str, Any]
Handler = Callable[[Message], Awaitable[None] | None]
Sleep = Callable[[float], Awaitable[None]]

MAX_DELAY_S: Final = 30.0
MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
_RETRY_STATUSES: Final = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


class ClientError(Exception):
    """Something this client cannot mend; the message never holds the token."""


class Refused(ClientError):  # noqa: N818 - the server's answer
    """The server refused the connection: `status` and `detail` say why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"refused with {status}: {detail}")
        self.status = status
        self.detail = detail


class Disconnected(ClientError):  # noqa: N818 - a state of the connection
    """The connection has ended and will not come back: `code` and `reason` are the close frame's."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"disconnected with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


def full_jitter(attempt: int) -> float:
    """Seconds to wait before reconnect attempt 1, 2, 3 …: evenly between 0 and 1 s·2ⁿ, at most 30 s."""
    return random.uniform(0, min(2.0**attempt, MAX_DELAY_S))  # noqa: S311 - jitter


class GameWebSocket:
    """A player's connection to a game; use it as a context manager or call `connect` and `disconnect`.

    Subclass and override `handle_message`, or register handlers per type with `on` (``"*"`` for all).
    """

    def __init__(
        self,
        game_id: str,
        token: str,
        backend_url: str,
        *,
        max_reconnect_attempts: int = 5,
        ping_interval_s: float = 30.0,
        open_timeout_s: float = 10.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.game_id = game_id
        self.backend_url = backend_url.rstrip("/")
        self.max_reconnect_attempts = max_reconnect_attempts
        self.reconnect_attempts = 0
        self.last_seq = 0
        self.rtt_s: float | None = None
        self.welcome: Message | None = None
        self._token = token
        self._ping_interval_s = ping_interval_s
        self._open_timeout_s = open_timeout_s
        self._sleep = sleep
        self._handlers: dict[str, list[Handler]] = {}
        self._waiters: list[tuple[str, asyncio.Future[Message]]] = []
        self._ws: ClientConnection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._retry_after_s: float | None = None
        self._told_to_stay_away = False

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    # ---------------------------------------------------------------- use

    @property
    def is_connected(self) -> bool:
        """Whether a message could be sent now."""
        return self._ws is not None

    async def connect(self) -> None:
        """Connect and wait for ``welcome``; from then on the connection keeps itself up.

        Raises:
            Refused: the server will not have this connection.
            ClientError: it could not be reached.
        """
        ready = self._expect("welcome")
        self._runner = asyncio.create_task(self._run(), name=f"game {self.game_id}")
        watched: set[asyncio.Future[Any]] = {ready, self._runner}
        done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if ready not in done:
            self._runner.result()
            raise ClientError("the connection ended before it was welcomed")

    async def disconnect(self) -> None:
        """Close with 1000 and come back no more."""
        runner, self._runner = self._runner, None
        if self._ws is not None:
            await self._ws.close(1000, "User requested")
        if runner is not None:
            runner.cancel()
            with contextlib.suppress(asyncio.CancelledError, ClientError):
                await runner

    async def wait_closed(self) -> None:
        """Wait until the connection has ended for good. Raises Refused, Disconnected or ClientError."""
        if self._runner is not None:
            await asyncio.shield(self._runner)

    async def send_message(self, type: str, data: object, *, id: str | None = None) -> None:
        """Send one message.

        Raises:
            ClientError: the connection is down; it may be coming back.
        """
        if self._ws is None:
            raise ClientError("WebSocket not connected")
        message: Message = {"type": type, "data": data}
        if id is not None:
            message["id"] = id
        try:
            await self._ws.send(msgspec.json.encode(message).decode())
        except ConnectionClosed:
            raise ClientError("WebSocket not connected") from None

    def on(self, type: str, handler: Handler) -> None:
        """Call `handler` with every message of a type, ``"*"`` for all; it may be a coroutine function."""
        self._handlers.setdefault(type, []).append(handler)

    async def wait_for(self, type: str) -> Message:
        """The next message of a type. Raises what ended the connection, if it ends before."""
        waiting = self._expect(type)
        watched: set[asyncio.Future[Any]] = {waiting} if self._runner is None else {waiting, self._runner}
        done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if waiting not in done and self._runner is not None:
            self._runner.result()
            raise ClientError(f"the connection ended before {type} came")
        return waiting.result()

    async def handle_message(self, message: Message) -> None:
        """Hand a message to the registered handlers; override to do something else."""
        for handler in (*self._handlers.get(str(message["type"]), ()), *self._handlers.get("*", ())):
            answer = handler(message)
            if inspect.isawaitable(answer):
                await answer

    # ---------------------------------------------------------------- the connection

    async def _run(self) -> None:
        while True:
            try:
                await self._serve_once()
            except Refused as refused:
                if refused.status not in _RETRY_STATUSES:
                    raise
                await self._wait_to_retry(refused)
            except ClientError as error:
                await self._wait_to_retry(error)

    async def _serve_once(self) -> None:
        """One connection from open to close; raises what ended it."""
        try:
            ws = await connect(
                self._url(),
                additional_headers={"Authorization": f"Bearer {self._token}"},
                open_timeout=self._open_timeout_s,
                max_size=MAX_EVENT_BYTES,
                compression=None,
                user_agent_header="code-racer-python",
                proxy=None,
            )
        except InvalidStatus as error:
            raise self._refused(error) from None
        except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as error:
            raise ClientError(f"cannot reach {self.backend_url}: {type(error).__name__}") from None
        self._ws = ws
        pinger = asyncio.create_task(self._ping(ws), name="pings")
        try:
            await self._receive(ws)
        finally:
            self._ws = None
            pinger.cancel()

    async def _receive(self, ws: ClientConnection) -> None:
        try:
            async for frame in ws:
                await self._take(frame)
        except ConnectionClosed:
            pass  # the code is read below
        code = ws.close_code or Close.LOST.code
        reason = ws.close_reason or ""
        if self._told_to_stay_away or not should_reconnect(code):
            raise _Final(code, reason)
        raise Disconnected(code, reason)

    def _url(self) -> str:
        query = f"?{urlencode({'last_seq': self.last_seq})}" if self.last_seq else ""
        return f"{self.backend_url}/ws/{self.game_id}{query}"

    def _refused(self, error: InvalidStatus) -> Refused:
        response = error.response
        try:
            problem = msgspec.json.decode(bytes(response.body or b"{}"), type=dict[str, Any])
        except msgspec.DecodeError:
            problem = {}
        wait_ms = problem.get("retry_after_ms")
        if wait_ms is not None:
            self._retry_after_s = float(wait_ms) / 1000
        return Refused(response.status_code, str(problem.get("detail", response.reason_phrase)))

    async def _wait_to_retry(self, error: ClientError) -> None:
        """Wait as the server asked, which is no attempt, or back off; raises `error` when it is no use."""
        if isinstance(error, _Final):
            raise Disconnected(error.code, error.reason) from None
        asked, self._retry_after_s = self._retry_after_s, None
        if asked is not None:
            await self._sleep(asked)
            return
        if self.reconnect_attempts >= self.max_reconnect_attempts:
            raise error
        self.reconnect_attempts += 1
        await self._sleep(full_jitter(self.reconnect_attempts))

    async def _ping(self, ws: ClientConnection) -> None:
        """Measure the round trip now and then; the last one is told to the server."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                data: Message = {"timestamp": time.time() * 1000}
                if self.rtt_s is not None:
                    data["rtt_ms"] = self.rtt_s * 1000
                await ws.send(msgspec.json.encode({"type": "ping", "data": data}).decode())
                await asyncio.sleep(self._ping_interval_s)

    # ---------------------------------------------------------------- messages

    async def _take(self, frame: str | bytes) -> None:
        try:
            message = decode_server_message(frame)
        except InvalidMessage:
            return  # nothing of the server's; the next durable event shows whether something was missed
        seq = message.get("seq")
        if isinstance(seq, int) and not await self._is_next(seq):
            return
        self._note(message)
        await self.handle_message(message)
        self._resolve(message)

    async def _is_next(self, seq: int) -> bool:
        """Whether the event is the next one: an old one is passed over, after a gap we reconnect."""
        if seq <= self.last_seq:
            return False
        if seq > self.last_seq + 1:
            if self._ws is not None:
                self._retry_after_s = 0.0
                await self._ws.close(Close.GOING_AWAY.code, "gap")
            return False
        self.last_seq = seq
        return True

    def _note(self, message: Message) -> None:
        data = message.get("data")
        if not isinstance(data, dict):
            return
        if message["type"] == "welcome":
            self.welcome = message
            self.reconnect_attempts = 0
            if not data.get("resumed"):
                self.last_seq = int(data.get("last_seq", 0))
        elif message["type"] == "pong":
            self.rtt_s = max(0.0, time.time() - float(data["timestamp"]) / 1000)
        elif message["type"] == "disconnect":
            self._told_to_stay_away = not data.get("reconnect", True)
            self._retry_after_s = float(data.get("retry_after_ms", 0)) / 1000 or None

    def _expect(self, type: str) -> asyncio.Future[Message]:
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiters.append((type, future))
        return future

    def _resolve(self, message: Message) -> None:
        waiting = [future for kind, future in self._waiters if kind == message["type"]]
        self._waiters = [(kind, future) for kind, future in self._waiters if kind != message["type"]]
        for future in waiting:
            if not future.done():
                future.set_result(message)


class _Final(Disconnected):
    """An end that no reconnect mends."""
