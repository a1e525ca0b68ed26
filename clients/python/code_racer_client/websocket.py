"""One game over one WebSocket, across reconnects.

Durable events carry ``seq``: after a cut the client reconnects with ``last_seq``, hands on each event once and in
order, and reconnects when it notices a gap. Handlers are called in a task of their own, one message after the other:
they may call anything of the client, wait for it, and raise; what is read meanwhile waits for them, 1,000 messages at
most, and what comes then is asked for again once they are done. docs/clients.md has the states and the rules.

Its options are arguments of the constructor, by name, as those of the client for browsers are.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal, Self

from code_racer_client.connection import Timing
from code_racer_client.dispatcher import Dispatcher
from code_racer_client.errors import ClientError, Rejected
from code_racer_client.keeper import Keeper, Place, Sleep
from code_racer_client.message import JsonMessage, encode
from code_racer_client.metrics import Counting, WebSocketMetrics
from code_racer_client.options import LEAST_S, require_counts, require_functions, require_seconds
from code_racer_client.protocol import CLIENT_NAME, VERSION
from code_racer_client.reconnection import Reconnection
from code_racer_client.state import ClientState
from code_racer_client.subscriptions import Handler, Subscriptions
from code_racer_client.token import RefreshToken, Token

Debug = Callable[[str, dict[str, Any]], object]

TOLD: Final = ("state", "retry", "end", "dropped", "*")
"""What `debug` is told: of messages the type and the number alone."""
FLEETING: Final = frozenset({"auth", "batch", "hello", "ping", "progress"})
"""What says how things are now, or has a way of its own: it waits for no connection."""


class GameWebSocket:
    """A player's connection to a game; use it as a context manager or call `connect` and `disconnect`.

    Subclass and override `handle_message`, or register handlers per type with `on` (``"*"`` for all).

    Args:
        game_id: the game's UUID.
        token: a JSON Web Token; never shown in an error or a log line.
        backend_url: the service, like ``wss://race.example.org``.
        max_reconnect_attempts: in a row; waits that the server asked for are none. None: as many as there are.
        give_up_after_s: how long an outage may last; 0: for ever.
        ping_interval_s: how often the round trip is measured, and whether the peer is still there; at least 0.1.
        pong_timeout_s: a peer that does not answer for so long is gone; at least 0.1.
        open_timeout_s: a handshake that takes longer has failed; at least 0.1.
        refresh_token: makes a fresh token; called when the server says that the old one runs out, or refuses it. What
            it raises is a lost connection, and it is called again; `Refused` says that there will be none.
        metrics: where to count; of its own by default.
        sleep: waits between attempts; for tests.
        client: what program this is, as name/version; the service counts by it what it knows. Empty: says nothing.
        queue: so many messages may wait for the connection where it is down: `send_message` keeps them, in order, until
            the next ``welcome``, and each is applied once. What says how things are now is never kept (``ping``,
            ``progress``), nor a ``batch``.
        debug: is called with each change of state, wait, end and dropped message, and with type and number of each
            message; never with a token, nor with what a message holds.

    Raises:
        TypeError: an option is no number, or too small a one, or no function.
    """

    def __init__(
        self,
        game_id: str,
        token: str,
        backend_url: str,
        *,
        max_reconnect_attempts: int | None = None,
        give_up_after_s: float = 10_800.0,
        ping_interval_s: float = 30.0,
        pong_timeout_s: float = 10.0,
        open_timeout_s: float = 10.0,
        refresh_token: RefreshToken | None = None,
        metrics: WebSocketMetrics | None = None,
        sleep: Sleep = asyncio.sleep,
        client: str = f"{CLIENT_NAME}/{VERSION}",
        queue: int = 0,
        debug: Debug | None = None,
    ) -> None:
        require_counts(max_reconnect_attempts=max_reconnect_attempts, queue=queue)
        require_seconds(give_up_after_s=give_up_after_s)
        timing = Timing(ping_interval_s, pong_timeout_s, open_timeout_s)
        require_seconds(LEAST_S, **asdict(timing))
        require_functions(refresh_token=refresh_token, debug=debug)
        self.game_id = game_id
        self.backend_url = backend_url.rstrip("/")
        self.metrics = WebSocketMetrics() if metrics is None else metrics
        self._sleep = sleep
        self._pong_timeout_s = pong_timeout_s
        self._reconnection = Reconnection(max_reconnect_attempts, give_up_after_s)
        self._subscriptions = Subscriptions()
        self._dispatcher = Dispatcher(self._subscriptions, self.handle_message)
        self._keeper = Keeper(
            Place(self.backend_url, game_id, client, timing, sleep),
            Token(token, refresh_token),
            self._reconnection,
            self._subscriptions,
            self._dispatcher,
            Counting(self.metrics, self._dispatcher.fault),
        )
        self._changing = asyncio.Lock()
        self._runner: asyncio.Task[None] | None = None
        self._queue = queue
        self._kept: set[asyncio.Task[None]] = set()
        if debug is not None:
            for what in TOLD:
                self.on(what, partial(_tell, debug, what))

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    # ---------------------------------------------------------------- use

    @property
    def state(self) -> ClientState:
        """Where the client stands."""
        return self._keeper.state

    @property
    def is_connected(self) -> bool:
        """Whether a message could be sent now."""
        return self._keeper.connection is not None

    @property
    def is_alive(self) -> bool:
        """Whether the connection is up or coming back."""
        return self._keeper.is_alive

    @property
    def last_seq(self) -> int | None:
        """The last event that has come; set before `connect`, the events after it are asked for."""
        return self._keeper.last_seq

    @last_seq.setter
    def last_seq(self, seq: int | None) -> None:
        require_counts(last_seq=seq)
        self._keeper.set_last_seq(seq)

    @property
    def welcome(self) -> JsonMessage | None:
        """The last ``welcome``."""
        return self._keeper.welcome

    @property
    def max_reconnect_attempts(self) -> int | None:
        """How many attempts are made in a row."""
        return self._reconnection.max_attempts

    @property
    def reconnect_attempts(self) -> int:
        """How many attempts have been made in a row; waits that the server asked for are none."""
        return self._reconnection.attempts

    @property
    def rtt_s(self) -> float | None:
        """The round trip measured last, in seconds."""
        return self._keeper.round_trip.last_s

    async def connect(self) -> None:
        """Connect and wait for ``welcome``; from then on the connection keeps itself up. Cancelled, it leaves nothing.

        While the client waits to try again, it tries at once.

        Raises:
            Refused: the server will not have this connection, or the token is none.
            Unusable: there can be no service at the URL.
            ClientError: it could not be reached.
        """
        async with self._changing:
            begun = None if self.is_alive else self._keeper.begin()
            self._runner = begun or self._runner
            self._keeper.hurry()
        if self.state is ClientState.OPEN:
            return
        try:
            await self._subscriptions.wait_for("welcome")
        except asyncio.CancelledError:
            if begun is not None and begun is self._runner:
                await self._end(politely=False)
            raise

    async def disconnect(self) -> None:
        """Close with 1000 and come back no more; whatever is going on is ended, also a handler of somebody else."""
        await self._end(politely=True)

    async def _end(self, *, politely: bool) -> None:
        call = self._dispatcher.current  # a later one may have been told of this end
        async with self._changing:
            self._runner = None
            if self.state is not ClientState.CLOSED:
                await self._keeper.close(politely=politely)
            if self._kept:
                _, late = await asyncio.wait(self._kept, timeout=0)  # those that wait until the service wants them
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)
        await self._dispatcher.stop(call, self._pong_timeout_s)  # handlers may connect

    async def wait_closed(self) -> None:
        """Wait until the connection has ended for good. Raises Refused, Disconnected or ClientError."""
        if self._runner is not None:
            await asyncio.wait({self._runner})
            if self._keeper.end is not None:
                raise self._keeper.end

    async def send_message(self, type: str, data: object, *, id: str | None = None) -> Literal["sent", "queued"]:
        """Send one message; return ``queued`` where it waits for the connection, which is a `request` of its own.

        Raises:
            ClientError: the connection is down, and as many messages wait as `queue` allows; it may be coming back.
        """
        text = encode(_message(type, data, id))
        is_kept = self._queue > 0 and type not in FLEETING
        while (connection := self._keeper.connection) and (self.state is ClientState.OPEN or not is_kept):
            try:
                await connection.send(text)
            except ClientError:
                if not is_kept:
                    raise
                if connection is self._keeper.connection:
                    break  # it has ended, which is about to be noticed
            else:
                return "sent"
        if not is_kept or self.state is ClientState.CLOSED:
            raise ClientError("WebSocket not connected")
        if len(self._kept) >= self._queue:
            raise ClientError(f"{self._queue} messages wait for the connection already")
        self._keep(type, data, id or uuid.uuid4().hex)
        return "queued"

    def _keep(self, type: str, data: object, id: str) -> None:
        """Have a message sent with the next ``welcome``: it has its place among those that wait now, not in a turn."""
        text = encode(_message(type, data, id))
        self._keeper.requests.require_new(id)
        answer = self._keeper.requests.add(id, text)

        async def wait() -> None:
            try:
                await self._answer(id, text, answer)
            except ClientError as error:
                self._dispatcher.tell("dropped", type=type, data=data, error=error)
            except asyncio.CancelledError:
                self._dispatcher.tell("dropped", type=type, data=data, error=ClientError("disconnected"))
                raise
            finally:
                self._keeper.requests.remove(id)

        task = asyncio.get_running_loop().create_task(wait(), name=f"queued {type}")
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    async def request(
        self, type: str, data: object, *, timeout_s: float | None = None, id: str | None = None
    ) -> int | None:
        """Send one message and wait for its ``ack``: the seq of the event it caused, if any.

        Across reconnects, and where the server asks for it, it is sent again with the same id, and applied once.

        Raises:
            Rejected: the server answered with an ``error``.
            TimeoutError: no answer came within `timeout_s`; the message may have been applied all the same.
            TypeError: `data` is nothing that can be sent.
            ClientError: the connection ended for good before an answer came, or a request with this id waits already.
        """
        id = id or uuid.uuid4().hex
        text = encode(_message(type, data, id))
        self._keeper.requests.require_new(id)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._answer(id, text, await self._ask(id, text))
        finally:
            self._keeper.requests.remove(id)

    async def _ask(self, id: str, text: str) -> asyncio.Future[int | None]:
        """Send a message, or have it sent with the next ``welcome``; return the future of its answer."""
        self._keeper.require_not_closed()
        answer = self._keeper.requests.add(id, text)
        if self._keeper.connection is not None and self.state is ClientState.OPEN:
            with contextlib.suppress(ClientError):  # sent again after the reconnect
                await self._keeper.connection.send(text)
        return answer

    async def _answer(self, id: str, text: str, answer: asyncio.Future[int | None]) -> int | None:
        """Wait for an answer; as long as the server asks to be asked later, ask again."""
        while True:
            try:
                return await answer
            except Rejected as rejected:
                if rejected.retry_after_s is None:
                    raise
                await self._sleep(rejected.retry_after_s)
            answer = await self._ask(id, text)

    def on(self, type: str, handler: Handler) -> None:
        """Call `handler` with every message of a type, ``"*"`` for all; it may be a coroutine function.

        Of the client's own: ``state`` with ``{"state"}``, ``retry`` with ``{"delay_s", "attempt", "code", "reason",
        "detail"}``, ``end`` with ``{"code", "reason", "detail"}`` when it is over for good, ``fault`` with ``{"error",
        "type"}`` when a handler has raised, which ends nothing, ``dropped`` with ``{"type", "data", "error"}`` when a
        message that waited for the connection will not be sent, or was refused.
        """
        self._subscriptions.add_handler(type, handler)

    def once(self, type: str, handler: Handler) -> None:
        """Call `handler` with the next message of a type."""
        self._subscriptions.add_handler(type, handler, once=True)

    def off(self, type: str, handler: Handler) -> None:
        """Call `handler` no more."""
        self._subscriptions.remove_handler(type, handler)

    async def wait_for(self, type: str, *, since: int | None = None, timeout_s: float | None = None) -> JsonMessage:
        """Return the next message of a type; with `since`, also one of the last 100 events, later than that.

        Raises what ended the connection, if it ends before, or TimeoutError.
        """
        known = None if since is None else self._subscriptions.find(type, since)
        if known is not None:
            return known
        self._keeper.require_not_closed()
        async with asyncio.timeout(timeout_s):
            return await self._subscriptions.wait_for(type)

    async def handle_message(self, message: JsonMessage) -> None:
        """Hand a message to the registered handlers; override to do something else."""
        await self._dispatcher.call_handlers(str(message["type"]), message)
        await self._dispatcher.call_handlers("*", message)


def _message(type: str, data: object, id: str | None) -> JsonMessage:
    return {"type": type, "data": data} | ({} if id is None else {"id": id})


def _tell(debug: Debug, what: str, event: JsonMessage) -> None:
    debug(what, {name: value for name, value in event.items() if name != "data"})
