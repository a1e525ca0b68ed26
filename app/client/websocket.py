"""One game over one WebSocket, across reconnects.

Durable events carry ``seq``: after a cut the client reconnects with ``last_seq``, hands on each event once and in
order, and reconnects when it notices a gap. One task (`_run`) connects, receives and reconnects until the connection
has ended for good; whoever waits for a message or an answer waits for the end of that task too. Handlers run in it,
one message after the other: one that waits for an answer (`request`) must do so in a task of its own.

Its options are arguments of the constructor, by name, as those of the client for browsers are.
"""

import asyncio
import contextlib
import uuid
from types import TracebackType
from typing import Any, Self, TypeVar

from app.client.arrival import Arrival
from app.client.connection import Connection, Timing, socket_url
from app.client.errors import ClientError, Disconnected, Refused, Rejected
from app.client.message import JsonMessage, retry_after_s
from app.client.metrics import WebSocketMetrics
from app.client.reconnection import Reconnection, Sleep
from app.client.requests import Requests
from app.client.subscriptions import Handler, Subscriptions
from app.client.token import RefreshToken, Token
from app.protocol import OWN_RELEASES, Close, InvalidMessage, decode_server_message
from app.vocabulary import ClientName

T = TypeVar("T")


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
        client: what program this is, as name/version; the service counts by it what it knows. Empty: says nothing.
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
        client: str = OWN_RELEASES[ClientName.PYTHON],
    ) -> None:
        self.game_id = game_id
        self.backend_url = backend_url.rstrip("/")
        self.max_reconnect_attempts = max_reconnect_attempts
        self.last_seq: int | None = None
        self.welcome: JsonMessage | None = None
        self.metrics = metrics or WebSocketMetrics()
        self._token = Token(token, refresh_token)
        self._timing = Timing(ping_interval_s, pong_timeout_s, open_timeout_s)
        self._sleep = sleep
        self._client = client
        self._reconnection = Reconnection(sleep)
        self._arrival = Arrival()
        self._subscriptions = Subscriptions()
        self._requests = Requests()
        self._connection: Connection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None

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
        return self._connection is not None

    @property
    def is_alive(self) -> bool:
        """Whether the connection is up or coming back."""
        return self._runner is not None and not self._runner.done()

    @property
    def reconnect_attempts(self) -> int:
        """How many attempts have been made in a row; waits that the server asked for are none."""
        return self._reconnection.attempts

    @reconnect_attempts.setter
    def reconnect_attempts(self, attempts: int) -> None:
        self._reconnection.attempts = attempts

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
        self._reconnection.begin()
        self._arrival.begin()
        self._runner = asyncio.create_task(self._run(), name=f"game {self.game_id}")
        await self.wait_for("welcome")

    async def disconnect(self) -> None:
        """Close with 1000 and come back no more."""
        runner, self._runner = self._runner, None
        if self._connection is not None:
            await self._connection.close(Close.NORMAL.code, "User requested")
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
        if self._connection is None:
            raise ClientError("WebSocket not connected")
        message: JsonMessage = {"type": type, "data": data}
        if id is not None:
            message["id"] = id
        await self._connection.send(message)

    async def request(self, type: str, data: object) -> int | None:
        """Send one message and wait for its ``ack``: the seq of the event it caused, if any.

        Across reconnects, and where the server asks for it, it is sent again with the same id, and applied once.

        Raises:
            Rejected: the server answered with an ``error``.
            ClientError: the connection ended for good before an answer came.
        """
        message: JsonMessage = {"type": type, "data": data, "id": uuid.uuid4().hex}
        try:
            while True:
                try:
                    return await self._ask(message)
                except Rejected as rejected:
                    if rejected.retry_after_s is None:
                        raise
                    await self._sleep(rejected.retry_after_s)
        finally:
            self._requests.remove(message)

    async def _ask(self, message: JsonMessage) -> int | None:
        answer = self._requests.add(message)
        if self._connection is not None:
            with contextlib.suppress(ClientError):  # sent again after the reconnect
                await self._connection.send(message)
        return await _first(answer, self._runner)

    def on(self, type: str, handler: Handler) -> None:
        """Call `handler` with every message of a type, ``"*"`` for all; it may be a coroutine function."""
        self._subscriptions.add_handler(type, handler)

    async def wait_for(self, type: str) -> JsonMessage:
        """Return the next message of a type. Raises what ended the connection, if it ends before."""
        return await _first(self._subscriptions.add_waiter(type), self._runner)

    async def handle_message(self, message: JsonMessage) -> None:
        """Hand a message to the registered handlers; override to do something else."""
        await self._subscriptions.call_handlers(message)

    # ---------------------------------------------------------------- the connection

    async def _run(self) -> None:
        while True:
            try:
                await self._serve_once()
            except ClientError as error:
                self.metrics.record_error()
                self._arrival.ended()
                await self._wait_to_retry(error)
                self.metrics.record_reconnect()

    async def _serve_once(self) -> None:
        """Keep one connection from open to close; raises what ended it."""
        url = socket_url(self.backend_url, self.game_id, self._client, self.last_seq)
        self._arrival.tried()
        self._connection = await Connection.open(url, self._token.value, self._timing, self.metrics)
        self._arrival.opened()
        try:
            code, reason = await self._connection.receive(self._take)
        finally:
            self._connection = None
        raise Disconnected(code, reason, final=self._reconnection.is_final(code))

    async def _wait_to_retry(self, error: ClientError) -> None:
        """Wait until it is time to connect again; raises `error` when that is no use."""
        if isinstance(error, Refused) and error.retry_after_s is not None:
            self._reconnection.retry_after(error.retry_after_s)
        if await self._token.refresh_after(error):
            self._reconnection.allow()
        else:
            await self._reconnection.wait(error, self.max_reconnect_attempts)

    async def _renew_token(self) -> None:
        """Tell the server a fresh token before the old one runs out."""
        await self._token.refresh()
        with contextlib.suppress(ClientError):  # the next connection brings it
            await self.send_message("auth", {"token": self._token.value})

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
        self._subscriptions.resolve_waiters(message)

    async def _is_next(self, seq: int) -> bool:
        """Return whether the event is the next one: an old one is passed over, after a gap we reconnect."""
        last = self.last_seq or 0
        if seq <= last:
            return False
        if seq > last + 1:
            if self._connection is not None:
                self._reconnection.retry_after(0.0)
                await self._connection.close(Close.GOING_AWAY.code, "gap")
            return False
        self.last_seq = seq
        return True

    async def _note(self, message: JsonMessage) -> None:
        """Do what the client itself has to do about a message."""
        data = message.get("data")
        if not isinstance(data, dict):
            return
        match message["type"]:
            case "welcome":
                await self._note_welcome(message, data)
            case "pong" if self._connection is not None:
                self._connection.on_pong(data)
            case "ack":
                self._requests.on_ack(data)
            case "error":
                self.metrics.record_error()
                self._requests.on_error(data)
            case "token_expiring":
                if self._token.can_refresh and (self._refreshing is None or self._refreshing.done()):
                    self._refreshing = asyncio.create_task(self._renew_token(), name="token refresh")
            case "disconnect":
                self._reconnection.announced(reconnect=data.get("reconnect", True), retry_after_s=retry_after_s(data))

    async def _note_welcome(self, message: JsonMessage, data: JsonMessage) -> None:
        self.welcome = message
        self._reconnection.welcomed()
        self._token.accepted()
        if data.get("resumed"):
            self.metrics.record_resume()
        else:
            self.last_seq = int(data.get("last_seq", 0))
        hello = self._arrival.joined()
        if self._connection is not None and "hello" in data.get("accepts", ()):  # a release before it has none
            with contextlib.suppress(ClientError):  # the next connection says its own
                await self._connection.send({"type": "hello", "data": hello})
        for request in self._requests.unanswered:
            if self._connection is not None:
                with contextlib.suppress(ClientError):  # sent again after the next one
                    await self._connection.send(request)


async def _first(future: asyncio.Future[T], runner: asyncio.Task[None] | None) -> T:
    """Return what `future` brings, or raise what ended the connection before it did."""
    watched: set[asyncio.Future[Any]] = {future} if runner is None else {future, runner}
    await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    if not future.done():
        if runner is not None and not runner.cancelled():
            runner.result()
        raise ClientError("the connection ended before an answer came")
    return future.result()
