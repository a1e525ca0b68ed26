"""The upkeep of a connection: connects, receives, and connects again, until it has ended for good.

One task does so for each `begin`. A task that is no longer the current one stops itself and closes what it opened:
it looks after each call of the application's code. All that belongs to the connection is settled before anything is
handed on: state, numbers, requests and waiters.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from code_racer_client.arrival import Arrival
from code_racer_client.connection import Connection, Timing, socket_url
from code_racer_client.dispatcher import RETRY, Dispatcher
from code_racer_client.errors import ClientError, Disconnected, Refused
from code_racer_client.message import JsonMessage, decode, encode, retry_after_s, whole
from code_racer_client.metrics import Counting, WebSocketMetrics
from code_racer_client.protocol import CLOSE_GOING_AWAY, CLOSE_NORMAL
from code_racer_client.reconnection import Reconnection
from code_racer_client.requests import Requests
from code_racer_client.round_trip import RoundTrip
from code_racer_client.sleep import machine_slept
from code_racer_client.state import ClientState
from code_racer_client.subscriptions import Subscriptions
from code_racer_client.token import NotRenewed, Token

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a game is, and how it is asked for."""

    backend_url: str
    game_id: str
    client: str
    timing: Timing
    sleep: Sleep


class Keeper:
    """Keeps the connection to a game up; what is heard is for the subscribers, and counted."""

    def __init__(
        self,
        place: Place,
        token: Token,
        reconnection: Reconnection,
        subscriptions: Subscriptions,
        dispatcher: Dispatcher,
        count: Counting,
    ) -> None:
        self.state = ClientState.IDLE
        self.last_seq: int | None = None
        self.welcome: JsonMessage | None = None
        self.end: ClientError | None = None
        self.connection: Connection | None = None
        self.requests = Requests()
        self.round_trip = RoundTrip()
        self._place = place
        self._token = token
        self._reconnection = reconnection
        self._subscriptions = subscriptions
        self._dispatcher = dispatcher
        dispatcher.ask_again = self._ask_again
        self._count = count
        self._arrival = Arrival()
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._slept: asyncio.Future[None] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the connection is up or coming back."""
        return self.state not in {ClientState.IDLE, ClientState.CLOSED}

    def require_not_closed(self) -> None:
        """Require that something may still come. Raises what ended the connection."""
        if self.state is ClientState.CLOSED:
            raise self.end or ClientError("disconnected")

    def begin(self) -> asyncio.Task[None]:
        """Start afresh; return the task that ends with the connection, and raises nothing."""
        self.end = None
        self._reconnection.begin()
        self._arrival.begin()
        self._token.begin()
        self._dispatcher.begin()
        self._note_attempt()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"game {self._place.game_id}")
        return self._task

    def hurry(self) -> None:
        """End the wait for the next attempt."""
        self._hurry.set()

    def set_last_seq(self, seq: int | None) -> None:
        """Note from outside which event has come last: those after it are new, also to who waits for one."""
        self.last_seq = seq
        self._subscriptions.forget_after(seq or 0)

    async def close(self, *, politely: bool) -> None:
        """Come back no more; with a close frame, or at once.

        What has come and no handler has seen is asked for again after the next `begin`.
        """
        us = asyncio.current_task()  # where the application, asked for a token, disconnects
        tasks = {task for task in (self._task, self._refreshing) if task not in {None, us} and not task.done()}
        connection = self.connection
        self._settle(None)
        rewound = self._dispatcher.drop()
        if rewound is not None:
            (self.last_seq,) = rewound
        try:
            if connection is not None and politely:
                await connection.close(CLOSE_NORMAL, "User requested")
        finally:
            for task in tasks:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._place.timing.pong_timeout_s)

    # ---------------------------------------------------------------- the connection

    def _set_state(self, state: ClientState) -> None:
        if state is not self.state:
            self.state = state
            self._dispatcher.tell("state", state=state)

    def _note_attempt(self) -> None:
        self._set_state(ClientState.RECONNECTING if self._arrival.is_return else ClientState.CONNECTING)

    def _settle(self, error: ClientError | None) -> None:
        """Note that the connection has ended for good, and tell all who wait for something of it."""
        self._task = self._refreshing = self.connection = None
        self._forget_sleep()
        self.end = error
        self._set_state(ClientState.CLOSED)
        self.requests.fail(error or ClientError("disconnected"))
        self._subscriptions.fail(error or ClientError("disconnected"))

    def _require_wanted(self) -> None:
        """Stop the task where another, or none, is wanted now."""
        if asyncio.current_task() is not self._task:
            raise asyncio.CancelledError

    async def _run(self) -> None:
        end = ClientError("the connection has ended")
        try:
            while True:
                try:
                    await self._serve_once()
                except ClientError as error:
                    self._require_wanted()
                    self._count(WebSocketMetrics.record_error)
                    self._arrival.ended()
                    await self._wait_to_retry(error)
                    self._count(WebSocketMetrics.record_reconnect)
        except ClientError as error:
            end = error
        finally:
            if asyncio.current_task() is self._task:
                if self._refreshing is not None:
                    self._refreshing.cancel()
                self._settle(end)
                self._dispatcher.tell("end", **_why(end))

    async def _serve_once(self) -> None:
        """Keep one connection from open to close; raises what ended it."""
        self._note_attempt()
        self._watch_sleep()
        self._arrival.tried()
        token = await self._current_token()
        place = self._place
        url = socket_url(place.backend_url, place.game_id, place.client, self.last_seq)
        connection = await Connection.open(url, token, place.timing, self.round_trip)
        late = asyncio.get_running_loop().call_later(place.timing.open_timeout_s, self._require_welcome, connection)
        try:
            self._require_wanted()
            self.connection = connection
            self._arrival.opened()
            self._count(WebSocketMetrics.record_connection, connection.certificate_end_s)
            code, reason = await connection.receive(self._take)
        finally:
            late.cancel()
            if self.connection is connection:
                self.connection = None
            connection.abort()
        raise Disconnected(code, reason, final=self._reconnection.is_final(code))

    def _require_welcome(self, connection: Connection) -> None:
        """Give up a connection that came up and over which nothing has come: it leads nowhere."""
        if self.state is not ClientState.OPEN:
            connection.abort()

    async def _current_token(self) -> str:
        try:
            async with asyncio.timeout(self._place.timing.open_timeout_s):
                token = await self._token.current()
        except (TimeoutError, NotRenewed) as failed:
            self._require_wanted()
            error = failed.error if isinstance(failed, NotRenewed) else TimeoutError("no answer")
            self._dispatcher.fault(error, "refresh_token")
            raise NotRenewed(error) from None
        self._require_wanted()
        return token

    async def _wait_to_retry(self, error: ClientError) -> None:
        """Wait until it is time to connect again; raises `error` when that is no use."""
        if self._token.may_be_replaced(error):
            if not isinstance(error, Disconnected):
                return
            self._reconnection.soon()
            error = Disconnected(error.code, error.reason)  # final no more
        elif isinstance(error, Refused) and error.retry_after_s is not None:
            self._reconnection.retry_after_refusal(error.retry_after_s)
        delay_s = self._reconnection.delay_s(error)
        self._set_state(ClientState.WAITING)
        self._dispatcher.tell(RETRY, delay_s=delay_s, attempt=self._reconnection.attempts, **_why(error))
        await self._wait(delay_s)

    async def _wait(self, delay_s: float) -> None:
        """Wait so long, or until there is a hurry, or the machine has slept, where the server has not asked to wait."""
        self._hurry.clear()
        slept = self._slept or self._watch_sleep()
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(one) for one in (self._place.sleep(delay_s), self._hurry.wait())
        ]
        ends = waits if self._reconnection.is_asked else [*waits, slept]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        self._require_wanted()

    def _watch_sleep(self) -> asyncio.Future[None]:
        """Watch from now on for the machine's sleep; return what ends with it.

        From an attempt on until `welcome`, or else until the next attempt: an attempt that is cut short by sleep fails
        late, and the network may be back by then.
        """
        self._forget_sleep()
        self._slept = asyncio.ensure_future(machine_slept())
        return self._slept

    def _forget_sleep(self) -> None:
        if self._slept is not None:
            self._slept.cancel()
            self._slept = None

    async def _renew_token(self) -> None:
        """Tell the server a fresh token before the old one runs out."""
        connection = self.connection
        try:
            await self._token.refresh()
            token = await self._token.current()
        except NotRenewed as failed:  # asked again when the old one has ended
            self._dispatcher.fault(failed.error, "refresh_token")
        except ClientError:
            return  # told when the old one has ended
        else:
            if connection is not None and connection is self.connection:
                await _send(connection, encode({"type": "auth", "data": {"token": token}}))

    # ---------------------------------------------------------------- messages

    async def _take(self, frame: str | bytes) -> None:
        if asyncio.current_task() is not self._task:
            return
        message = decode(frame)
        if message is None:
            return  # nothing of the server's; the next durable event shows whether something was missed
        self._count(WebSocketMetrics.record_message)
        before, seq = self.last_seq, whole(message.get("seq"))
        if seq is not None and not await self._is_next(seq):
            return
        await self._note(message)
        if asyncio.current_task() is self._task:
            self._dispatcher.add(message, before)
            self._subscriptions.resolve_waiters(message)

    async def _is_next(self, seq: int) -> bool:
        """Return whether the event is the next one: an old one is passed over, after a gap we reconnect."""
        last = self.last_seq or 0
        if seq <= last:
            return False
        if seq > last + 1:
            await self._ask_again(self.last_seq)
            return False
        self.last_seq = seq
        return True

    async def _ask_again(self, last_seq: int | None) -> None:
        """Have the events after one sent again: by this connection's end, or by the next attempt."""
        self.last_seq = last_seq
        if self.connection is not None:
            self._reconnection.gap()
            await self.connection.close(CLOSE_GOING_AWAY, "gap")

    async def _note(self, message: JsonMessage) -> None:
        """Do what the client itself has to do about a message."""
        said = message.get("data")
        data = said if isinstance(said, dict) else {}
        match message["type"]:
            case "welcome":
                await self._note_welcome(message, data)
            case "pong" if (rtt_s := self.round_trip.pong(data)) is not None:
                self._count(WebSocketMetrics.record_rtt, rtt_s)
            case "ack":
                self.requests.on_ack(data)
            case "error":
                self._count(WebSocketMetrics.record_error)
                self.requests.on_error(data)
            case "token_expiring":
                if self._token.can_refresh and (self._refreshing is None or self._refreshing.done()):
                    self._refreshing = asyncio.create_task(self._renew_token(), name="token refresh")
            case "disconnect":
                comes_back = data.get("reconnect") is not False
                self._reconnection.announced(reconnect=comes_back, retry_after_s=retry_after_s(data))

    async def _note_welcome(self, message: JsonMessage, data: JsonMessage) -> None:
        self.welcome = message
        self._forget_sleep()
        self._reconnection.welcomed()
        self._token.accepted()
        if data.get("resumed"):
            self._count(WebSocketMetrics.record_resume)
        else:
            self.set_last_seq(whole(data.get("last_seq")) or 0)
        self._set_state(ClientState.OPEN)
        hello, texts = encode({"type": "hello", "data": self._arrival.joined()}), self.requests.unanswered
        accepts = data.get("accepts")  # a release before it has none
        if isinstance(accepts, list) and "hello" in accepts:
            texts = (hello, *texts)
        if self.connection is not None:
            await _send(self.connection, *texts)  # what is asked from now on is sent by whoever asks, after these


def _why(error: ClientError) -> dict[str, Any]:
    """Say what ended a connection, in the words of an event."""
    code = error.status if isinstance(error, Refused) else error.code if isinstance(error, Disconnected) else 0
    reason = error.reason if isinstance(error, (Disconnected, Refused)) else ""
    return {"code": code, "reason": reason, "detail": error.detail if isinstance(error, Refused) else str(error)}


async def _send(connection: Connection, *texts: str) -> None:
    with contextlib.suppress(ClientError):  # the next connection says its own
        await connection.send(*texts)
