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
import uuid
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from app.client.metrics import WebSocketMetrics
from app.protocol import Close, InvalidMessage, decode_server_message, should_reconnect

T = TypeVar("T")
Message = dict[str, Any]
Handler = Callable[[Message], Awaitable[None] | None]
Sleep = Callable[[float], Awaitable[None]]
RefreshToken = Callable[[], Awaitable[str] | str]

MAX_DELAY_S: Final = 30.0
MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
RETRY_STATUSES: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class ClientError(Exception):
    """Something this client cannot mend; the message never holds the token."""


class Refused(ClientError):  # noqa: N818 - the server's answer
    """The server refused the connection: `status` and `detail` say why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"refused with {status}: {detail}")
        self.status = status
        self.detail = detail


class Disconnected(ClientError):  # noqa: N818 - a state of the connection
    """The connection has ended: `code` and `reason` are the close frame's, `final` that it will not come back."""

    def __init__(self, code: int, reason: str, *, final: bool = False) -> None:
        super().__init__(f"disconnected with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason
        self.final = final


class Rejected(ClientError):  # noqa: N818 - the server's answer
    """The server answered a `request` with an ``error``: its `code`, and when to try again if that helps."""

    def __init__(self, code: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.retry_after_s = retry_after_s


def full_jitter(attempt: int) -> float:
    """Seconds to wait before reconnect attempt 1, 2, 3 …: evenly between 0 and 1 s·2ⁿ, at most 30 s."""
    return random.uniform(0, min(2.0**attempt, MAX_DELAY_S))  # noqa: S311 - jitter


class GameWebSocket:
    """A player's connection to a game; use it as a context manager or call `connect` and `disconnect`.

    Subclass and override `handle_message`, or register handlers per type with `on` (``"*"`` for all).

    Args:
        game_id: the game's UUID.
        token: a JSON Web Token; never shown in an error or a log line.
        backend_url: the service, like ``wss://race.example.org``.
        max_reconnect_attempts: in a row; waits that the server asked for are none.
        ping_interval_s: how often the round trip is measured, and whether the peer is still there.
        pong_timeout_s: a peer that does not answer for so long is gone.
        open_timeout_s: a handshake that takes longer has failed.
        refresh_token: makes a fresh token; called when the server says that the old one runs out, or refuses it.
        metrics: where to count; of its own by default.
        sleep: waits between attempts; for tests.
    """

    def __init__(
        self,
        game_id: str,
        token: str,
        backend_url: str,
        *,
        max_reconnect_attempts: int = 5,
        ping_interval_s: float = 30.0,
        pong_timeout_s: float = 10.0,
        open_timeout_s: float = 10.0,
        refresh_token: RefreshToken | None = None,
        metrics: WebSocketMetrics | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.game_id = game_id
        self.backend_url = backend_url.rstrip("/")
        self.max_reconnect_attempts = max_reconnect_attempts
        self.reconnect_attempts = 0
        self.last_seq: int | None = None
        self.welcome: Message | None = None
        self.metrics = metrics or WebSocketMetrics()
        self._token = token
        self._refresh_token = refresh_token
        self._fresh_token_refused = False
        self._ping_interval_s = ping_interval_s
        self._pong_timeout_s = pong_timeout_s
        self._open_timeout_s = open_timeout_s
        self._sleep = sleep
        self._handlers: dict[str, list[Handler]] = {}
        self._waiters: list[tuple[str, asyncio.Future[Message]]] = []
        self._requests: dict[str, tuple[Message, asyncio.Future[int | None]]] = {}
        self._ws: ClientConnection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
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

    @property
    def is_alive(self) -> bool:
        """Whether the connection is up or coming back."""
        return self._runner is not None and not self._runner.done()

    @property
    def rtt_s(self) -> float | None:
        """The round trip measured last, in seconds."""
        return self.metrics.rtt_s

    async def connect(self) -> None:
        """Connect and wait for ``welcome``; from then on the connection keeps itself up.

        Raises:
            Refused: the server will not have this connection.
            ClientError: it could not be reached.
        """
        if self.is_alive:
            return
        self._told_to_stay_away = False
        self.reconnect_attempts = 0
        self._runner = asyncio.create_task(self._run(), name=f"game {self.game_id}")
        await self.wait_for("welcome")

    async def disconnect(self) -> None:
        """Close with 1000 and come back no more."""
        runner, self._runner = self._runner, None
        if self._ws is not None:
            await self._ws.close(Close.NORMAL.code, "User requested")
        for task in (runner, self._refreshing):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ClientError):
                    await task

    async def wait_closed(self) -> None:
        """Wait until the connection has ended for good. Raises Refused, Disconnected or ClientError."""
        if self._runner is not None:
            await asyncio.shield(self._runner)

    async def send_message(self, type: str, data: object, *, id: str | None = None) -> None:
        """Send one message, now.

        Raises:
            ClientError: the connection is down; it may be coming back.
        """
        if self._ws is None:
            raise ClientError("WebSocket not connected")
        message: Message = {"type": type, "data": data}
        if id is not None:
            message["id"] = id
        await self._send(self._ws, message)

    async def request(self, type: str, data: object) -> int | None:
        """Send one message and wait for its ``ack``: the seq of the event it caused, if any.

        Across reconnects, and where the server asks for it, it is sent again with the same id, and applied once.

        Raises:
            Rejected: the server answered with an ``error``.
            ClientError: the connection ended for good before an answer came.
        """
        message: Message = {"type": type, "data": data, "id": uuid.uuid4().hex}
        try:
            while True:
                try:
                    return await self._ask(message)
                except Rejected as rejected:
                    if rejected.retry_after_s is None:
                        raise
                    await self._sleep(rejected.retry_after_s)
        finally:
            del self._requests[message["id"]]

    async def _ask(self, message: Message) -> int | None:
        answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._requests[message["id"]] = (message, answer)
        if self._ws is not None:
            with contextlib.suppress(ClientError):  # sent again after the reconnect
                await self._send(self._ws, message)
        return await self._first(answer)

    def on(self, type: str, handler: Handler) -> None:
        """Call `handler` with every message of a type, ``"*"`` for all; it may be a coroutine function."""
        self._handlers.setdefault(type, []).append(handler)

    async def wait_for(self, type: str) -> Message:
        """The next message of a type. Raises what ended the connection, if it ends before."""
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiters.append((type, future))
        return await self._first(future)

    async def handle_message(self, message: Message) -> None:
        """Hand a message to the registered handlers; override to do something else."""
        for handler in (*self._handlers.get(str(message["type"]), ()), *self._handlers.get("*", ())):
            answer = handler(message)
            if inspect.isawaitable(answer):
                await answer

    async def _first(self, future: asyncio.Future[T]) -> T:
        """What `future` brings, or what ended the connection before it did."""
        runner = self._runner
        watched: set[asyncio.Future[Any]] = {future} if runner is None else {future, runner}
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            if runner is not None and not runner.cancelled():
                runner.result()
            raise ClientError("the connection ended before an answer came")
        return future.result()

    # ---------------------------------------------------------------- the connection

    async def _run(self) -> None:
        while True:
            try:
                await self._serve_once()
            except ClientError as error:
                self.metrics.record_error()
                await self._wait_to_retry(error)
                self.metrics.record_reconnect()

    async def _serve_once(self) -> None:
        """One connection from open to close; raises what ended it."""
        try:
            ws = await connect(
                self._url(),
                additional_headers={"Authorization": f"Bearer {self._token}"},
                open_timeout=self._open_timeout_s,
                ping_interval=self._ping_interval_s,
                ping_timeout=self._pong_timeout_s,
                close_timeout=self._pong_timeout_s,
                max_size=MAX_EVENT_BYTES,
                compression=None,
                user_agent_header="code-racer-python",
                proxy=None,
            )
        except InvalidStatus as error:
            raise self._refused(error) from None
        except (OSError, TimeoutError, EOFError, InvalidHandshake, WebSocketException) as error:
            raise ClientError(f"cannot reach {self.backend_url}: {type(error).__name__}") from None
        self._ws = ws
        self.metrics.record_connection()
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
        raise Disconnected(code, reason, final=self._told_to_stay_away or not should_reconnect(code))

    def _url(self) -> str:
        query = f"?{urlencode({'last_seq': self.last_seq})}" if self.last_seq is not None else ""
        return f"{self.backend_url}/ws/{self.game_id}{query}"

    def _refused(self, error: InvalidStatus) -> Refused:
        response = error.response
        try:
            problem = msgspec.json.decode(bytes(response.body or b"{}"), type=dict[str, Any])
        except msgspec.MsgspecError:
            problem = {}
        wait_ms = problem.get("retry_after_ms")
        if wait_ms is not None:
            self._retry_after_s = float(wait_ms) / 1000
        return Refused(response.status_code, str(problem.get("detail", response.reason_phrase)))

    async def _wait_to_retry(self, error: ClientError) -> None:
        """Wait as the server asked, which is no attempt, or back off; raises `error` when it is no use."""
        if await self._has_fresh_token(error):
            return
        if isinstance(error, Disconnected) and error.final:
            raise error
        if isinstance(error, Refused) and error.status not in RETRY_STATUSES:
            raise error
        asked, self._retry_after_s = self._retry_after_s, None
        if asked is not None:
            await self._sleep(asked)
            return
        if self.reconnect_attempts >= self.max_reconnect_attempts:
            raise error
        self.reconnect_attempts += 1
        await self._sleep(full_jitter(self.reconnect_attempts))

    async def _has_fresh_token(self, error: ClientError) -> bool:
        """After a refused or expired token: whether there is a fresh one to try, once."""
        refused = isinstance(error, Refused) and error.status == HTTPStatus.UNAUTHORIZED
        expired = isinstance(error, Disconnected) and error.code == Close.TOKEN_EXPIRED.code
        if not (refused or expired) or self._refresh_token is None or self._fresh_token_refused:
            return False
        self._fresh_token_refused = True  # until a welcome says otherwise
        self._told_to_stay_away = False
        await self._get_token()
        return True

    async def _get_token(self) -> None:
        if self._refresh_token is None:
            return
        token = self._refresh_token()
        self._token = await token if inspect.isawaitable(token) else token

    async def _renew(self) -> None:
        """The token runs out soon: tell the server a fresh one."""
        await self._get_token()
        with contextlib.suppress(ClientError):  # the next connection brings it
            await self.send_message("auth", {"token": self._token})

    async def _ping(self, ws: ClientConnection) -> None:
        """Measure the round trip now and then; the last one is told to the server."""
        with contextlib.suppress(ClientError):
            while True:
                data: Message = {"timestamp": time.perf_counter() * 1000}
                if self.rtt_s is not None:
                    data["rtt_ms"] = self.rtt_s * 1000
                await self._send(ws, {"type": "ping", "data": data})
                await asyncio.sleep(self._ping_interval_s)

    async def _send(self, ws: ClientConnection, message: Message) -> None:
        try:
            await ws.send(msgspec.json.encode(message).decode())
        except ConnectionClosed:
            raise ClientError("WebSocket not connected") from None

    # ---------------------------------------------------------------- messages

    async def _take(self, frame: str | bytes) -> None:
        try:
            message = decode_server_message(frame)
        except InvalidMessage:
            return  # nothing of the server's; the next durable event shows whether something was missed
        self.metrics.record_message()
        seq = message.get("seq")
        if isinstance(seq, int) and not await self._is_next(seq):
            return
        await self._note(message)
        await self.handle_message(message)
        self._resolve(message)

    async def _is_next(self, seq: int) -> bool:
        """Whether the event is the next one: an old one is passed over, after a gap we reconnect."""
        last = self.last_seq or 0
        if seq <= last:
            return False
        if seq > last + 1:
            if self._ws is not None:
                self._retry_after_s = 0.0
                await self._ws.close(Close.GOING_AWAY.code, "gap")
            return False
        self.last_seq = seq
        return True

    async def _note(self, message: Message) -> None:
        data = message.get("data")
        if not isinstance(data, dict):
            return
        note = self._NOTES.get(str(message["type"]))
        if note is not None:
            await note(self, data, message)

    async def _note_welcome(self, data: Message, message: Message) -> None:
        self.welcome = message
        self.reconnect_attempts = 0
        self._fresh_token_refused = False
        self._retry_after_s = None
        if data.get("resumed"):
            self.metrics.record_resume()
        else:
            self.last_seq = int(data.get("last_seq", 0))
        if self._ws is not None:
            for request, _ in tuple(self._requests.values()):
                with contextlib.suppress(ClientError):  # sent again after the next one
                    await self._send(self._ws, request)

    async def _note_pong(self, data: Message, _: Message) -> None:
        self.metrics.record_rtt(max(0.0, time.perf_counter() - float(data["timestamp"]) / 1000))

    async def _note_ack(self, data: Message, _: Message) -> None:
        known = self._requests.get(str(data.get("id")))
        if known is not None and not known[1].done():
            known[1].set_result(data.get("seq"))

    async def _note_error(self, data: Message, _: Message) -> None:
        self.metrics.record_error()
        known = self._requests.get(str(data.get("id")))
        if known is not None and not known[1].done():
            wait_ms = data.get("retry_after_ms")
            retry_after_s = None if wait_ms is None else float(wait_ms) / 1000
            known[1].set_exception(Rejected(str(data.get("code")), str(data.get("message")), retry_after_s))

    async def _note_token_expiring(self, _data: Message, _: Message) -> None:
        if self._refresh_token is not None and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._renew(), name="token refresh")

    async def _note_disconnect(self, data: Message, _: Message) -> None:
        self._told_to_stay_away = not data.get("reconnect", True)
        self._retry_after_s = float(data.get("retry_after_ms", 0)) / 1000 or None

    _NOTES: Final = {
        "welcome": _note_welcome,
        "pong": _note_pong,
        "ack": _note_ack,
        "error": _note_error,
        "token_expiring": _note_token_expiring,
        "disconnect": _note_disconnect,
    }

    def _resolve(self, message: Message) -> None:
        waiting = [future for kind, future in self._waiters if kind == message["type"]]
        self._waiters = [(kind, future) for kind, future in self._waiters if kind != message["type"]]
        for future in waiting:
            if not future.done():
                future.set_result(message)
