"""What a connection is sent: decoded, measured, and answered in order.

Messages that need no waiting are answered in the transport's callback; the others queue, bounded, and are
handled one after the other by a task that lives while there are any. While the queue is full the peer is not read.
Until `begin` everything that needs waiting queues, until `join` everything.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from msgspec import Struct

from app.eventlog import LogUnavailable
from app.game import LeaveGame, Rejected, SetReady, Submit
from app.protocol import (
    BATCH,
    AckData,
    Batch,
    Close,
    ErrorData,
    InvalidMessage,
    PongData,
    decode,
    or_unset,
    pong,
)
from app.protocol import client as wire
from app.rate_limits import TooFast
from app.realtime.connection.context import ConnectionContext
from app.realtime.connection.expiry import Expiry
from app.realtime.connection.outbox import Outbox
from app.realtime.connection.port import CloseConnection, GameRoom
from app.realtime.connection.quota import Quota
from app.realtime.connection.stats import ConnectionStats
from app.realtime.identity import Identity, Unauthenticated, VerifierUnavailable
from app.refusals import ERROR_CODES, REJECTIONS
from app.telemetry.observer import MessageTrail, Opened
from app.transport import Transport
from app.vocabulary import ErrorCode, LimitScope, MessageOutcome, ReadyStatus, Rejection

UNAVAILABLE_RETRY_MS: Final = 1_000
LARGEST_TIMESTAMP: Final = 2**53  # the largest whole number that all languages write alike


class _OverRate(Struct, frozen=True, gc=False):
    """A message over the rate: its type, and when another one is welcome."""

    type: str
    wait_s: float


class _InboxItem(MessageTrail):
    """One thing to answer: a message, the reason it is none, or (None) only the id to acknowledge."""

    what: wire.ClientMessage | InvalidMessage | _OverRate | None = None
    id: str | None = None
    index: int | None = None


class Inbox:
    """Takes and answers the messages of one connection, or has `close` end it; `quota` is what it may send."""

    __slots__ = (
        "_close", "_context", "_expiry", "_has_ended", "_has_said_hello", "_is_handling", "_items", "_limits", "_now",
        "_observer", "_on_rest", "_opened", "_outbox", "_player_id", "_room", "_stats", "_trace", "_tracer",
        "_transport", "_wake", "quota",
    )  # fmt: skip

    def __init__(
        self,
        opened: Opened,
        transport: Transport,
        outbox: Outbox,
        expiry: Expiry,
        stats: ConnectionStats,
        close: CloseConnection,
        context: ConnectionContext,
    ) -> None:
        self._opened = opened
        self._player_id = opened.player_id or ""
        self._transport = transport
        self._outbox = outbox
        self._expiry = expiry
        self._stats = stats
        self._close = close
        self._limits = context.limits
        self.quota = Quota(context.limits, context.policy, opened)
        self._context = context
        self._observer = context.observer
        self._tracer = context.observer.tracer
        self._trace = self._tracer.message if self._tracer.can_watch else None
        self._now = context.now
        self._room: GameRoom | None = None
        self._items: deque[_InboxItem] | None = None
        self._wake: asyncio.Event | None = None
        self._on_rest: Callable[[], None] | None = None
        self._has_ended = False
        self._has_said_hello = False
        self._is_handling = False

    @property
    def is_at_rest(self) -> bool:
        """Whether it has begun and nothing is being handled."""
        return self._on_rest is not None and not self._is_handling

    def join(self, player_id: str, room: GameRoom) -> None:
        """Give the player and the room of their game: messages are answered from now on."""
        self._player_id = player_id
        self._room = room

    def begin(self, on_rest: Callable[[], None]) -> None:
        """Handle what waits, now and from now on: the player has joined, or will not.

        `on_rest` is called whenever all that had to wait is handled.
        """
        self._on_rest = on_rest
        if self._room is None:
            self._items = None
        if self._items:
            self._handle_items(on_rest)

    def end(self) -> None:
        """Wait for no first message any more: the connection has ended."""
        self._has_ended = True
        if self._wake is not None:
            self._wake.set()

    async def first_message(self, timeout_s: float) -> wire.ClientMessage | InvalidMessage | None:
        """Wait for the first message of a connection whose player is not known yet; None where it ended before.

        Raises:
            TimeoutError: there was none in time.
        """
        async with asyncio.timeout(timeout_s):
            while not self._items and not self._has_ended:
                self._wake = asyncio.Event()
                await self._wake.wait()
        if not self._items:
            return None
        item = self._items.popleft()
        what = item.what
        if what is None or isinstance(what, _OverRate):
            return InvalidMessage(ErrorCode.NOT_ALLOWED, "the first message must be auth")
        is_message = isinstance(what, wire.ClientMessage)
        self._answered(what.type, MessageOutcome.OK if is_message else MessageOutcome.REJECTED, item)
        return what

    async def verify(self, token: str) -> Identity:
        """Verify a token that a message brought: whose it is, who must be the player where that one is known.

        Raises Unauthenticated, VerifierUnavailable, Rejected.
        """
        identity = await self._context.verify(token)
        known = self._player_id
        if known and identity.player_id != known:
            raise Rejected(Rejection.NOT_ALLOWED, "the token is another player's")
        self._observer.authenticated(self._opened.connection_id, identity.player_id, refresh=bool(known))
        return identity

    # ---------------------------------------------------------------- what comes in

    def take(self, payload: bytes) -> None:
        """Take a message that came in: count and decode it; answer at once what needs no waiting, queue the rest."""
        arrived, size = time.perf_counter(), len(payload)
        try:
            stats = self._stats  # once a message: `ConnectionStats.received` without the call
            stats.last_message = arrived
            stats.messages_in += 1
            stats.bytes_in += size
            message: wire.ClientMessage | Batch | InvalidMessage
            try:
                message = decode(payload, self._limits.max_batch)
            except InvalidMessage as error:
                message = self._not_decoded(payload, error)
            wait_s = 0.0 if isinstance(message, Batch) else self.quota.take(arrived, size)
            if type(message) is wire.PingMessage and not wait_s and self._echo(message, arrived, size):
                return
            self._observer.received(message.type, size)
            if isinstance(message, Batch):
                self._take_batch(message, arrived, size)
            elif wait_s:
                raw = payload if isinstance(message, InvalidMessage) else b""
                self._take(_InboxItem(arrived, raw=raw, what=_OverRate(message.type, wait_s), id=message.id))
            elif isinstance(message, InvalidMessage):
                self._take(_InboxItem(arrived, raw=payload, what=message, id=message.id))
            else:
                self._take(_InboxItem(arrived, message.traceparent, what=message, id=message.id))
        except Exception as fault:  # noqa: BLE001 - the transport, which calls, answers for no fault of ours
            self._fail(fault)

    def _echo(self, message: wire.PingMessage, arrived: float, size: int) -> bool:
        """Answer a usual ping, which most of what comes in is, all in one step, at 0.6 times the cost.

        False, and nothing is done, where anything about it is unusual: an id, very many digits, others before it.
        """
        ping, outbox, timestamp = message.data, self._outbox, message.data.timestamp
        if (
            message.id is not None
            or type(timestamp) is not int
            or not -LARGEST_TIMESTAMP <= timestamp <= LARGEST_TIMESTAMP
            or self._items
            or self._room is None
            or not outbox.is_clear
        ):
            return False
        span = self._trace("ping", arrived, self._opened.link, message.traceparent) if self._trace is not None else None
        payload = pong(timestamp, self._now())
        outbox.write_small(payload)
        self._observer.echoed(size, len(payload), ping.rtt_ms, arrived, message.traceparent, span, self._opened)
        return True

    def take_control(self) -> float:
        """Count a frame that completes no message: for so many seconds no more is to be read."""
        pause_s = self.quota.take_control(time.perf_counter())
        if pause_s:
            self._warned()
        return pause_s

    def _not_decoded(self, payload: bytes, error: InvalidMessage) -> wire.ClientMessage | Batch | InvalidMessage:
        """Return the error; a batch that is too long passes only where that limit refuses nothing (dry run)."""
        if error.code is not ErrorCode.BATCH_TOO_LARGE or self.quota.refuses(LimitScope.BATCH_SIZE):
            return error
        try:
            return decode(payload, len(payload))  # no batch has more items than letters
        except InvalidMessage as again:
            return again

    def _take_batch(self, batch: Batch, arrived: float, size: int) -> None:
        if wait_s := self.quota.take_many(arrived, size, len(batch.items)):
            self._take(_InboxItem(arrived, what=_OverRate(BATCH, wait_s), id=batch.id))
            return
        if self._room is None:
            refusal = InvalidMessage(ErrorCode.NOT_ALLOWED, "no batch before auth", type=BATCH)
            self._take(_InboxItem(arrived, what=refusal))
            return
        self._observer.batch([what.type for what in batch.items])
        for index, what in enumerate(batch.items):
            traceparent = what.traceparent if isinstance(what, wire.ClientMessage) else None
            self._take(_InboxItem(arrived, traceparent, what=what, id=what.id, index=index))
        if batch.id is not None:
            self._take(_InboxItem(arrived, id=batch.id))

    def _take(self, item: _InboxItem) -> None:
        if item.what is not None:
            item.span = self._tracer.message(item.what.type, item.arrived, self._opened.link, item.traceparent)
        if not self._items and self._room is not None and self._answer_now(item, self._room):
            return
        if self._items is None:
            self._items = deque()
        self._items.append(item)
        if len(self._items) >= self._limits.max_pending_messages:
            self._transport.pause_reading()
        if self._on_rest is not None:
            self._handle_items(self._on_rest)
        elif self._wake is not None:
            self._wake.set()

    # ---------------------------------------------------------------- answers

    def _handle_items(self, on_rest: Callable[[], None]) -> None:
        if not self._is_handling:
            self._is_handling = True
            self._context.spawn(self._handle_all(on_rest), "messages")

    async def _handle_all(self, on_rest: Callable[[], None]) -> None:
        """Handle queued messages in order until nothing waits."""
        try:
            while self._items:
                item = self._items[0]  # stays in front while it is handled: what comes in lines up behind it
                room = cast("GameRoom", self._room)
                if not self._answer_now(item, room):
                    await self._answer(item, room)
                self._items.popleft()
                if len(self._items) <= self._limits.max_pending_messages // 2:
                    self._transport.resume_reading()
        except Exception as error:  # noqa: BLE001 - messages are lost, so the connection must not go on
            self._fail(error)
        finally:
            self._items = None
            self._is_handling = False
            on_rest()

    def _answer_now(self, item: _InboxItem, room: GameRoom) -> bool:
        """Answer what needs no waiting; False where it does."""
        what = item.what
        if isinstance(what, wire.PingMessage):
            self._pong(what.data)
        elif isinstance(what, wire.ProgressMessage):
            room.show_progress(self._player_id, what.data.percent, what.data.lines)
        elif isinstance(what, wire.HelloMessage):
            if self._has_said_hello:
                self._refuse(what.type, item, ErrorCode.NOT_ALLOWED, "hello is said once a connection")
                return True
            self._has_said_hello = True
            self._observer.hello(self._opened.release, what.data)
        elif isinstance(what, InvalidMessage):
            self._refuse_invalid(what, item)
            return True
        elif isinstance(what, _OverRate):
            self._refuse_too_fast(what.type, what.wait_s, item)
            return True
        elif what is not None:
            return False
        if what is not None:
            self._answered(what.type, MessageOutcome.OK, item)
        if item.id is not None:
            self._outbox.send(AckData(item.id))
        return True

    async def _answer(self, item: _InboxItem, room: GameRoom) -> None:
        message = cast("wire.ClientMessage", item.what)
        type = message.type
        with self._tracer.active(item.span):
            try:
                seq = await self._apply(message, room)
                if message.id is not None:
                    self._outbox.send(AckData(message.id, or_unset(seq)))
                if isinstance(message, wire.LeaveMessage):
                    self._close(Close.NORMAL, "you left the game")
            except Rejected as rejected:
                retry_ms = REJECTIONS[rejected.code].retry_after_ms() or None
                self._refuse(type, item, ERROR_CODES[rejected.code], rejected.message, retry_ms)
            except TooFast as too_fast:
                self._refuse_too_fast(type, too_fast.wait_s, item)
            except Unauthenticated as error:
                self._refuse(type, item, ErrorCode.AUTH_FAILED, str(error))
            except VerifierUnavailable as error:
                self._refuse(type, item, ErrorCode.UNAVAILABLE, str(error), UNAVAILABLE_RETRY_MS)
            except LogUnavailable:
                text = "the event log is unavailable; send the message again, with its id: then it is applied once"
                outcome = MessageOutcome.ERROR
                self._refuse(type, item, ErrorCode.UNAVAILABLE, text, UNAVAILABLE_RETRY_MS, outcome)
            except Exception as fault:  # noqa: BLE001 - a fault in one message ends one connection, not the server
                self._refuse(type, item, ErrorCode.INTERNAL, "a fault of the server", outcome=MessageOutcome.ERROR)
                self._fail(fault, f"message {type}")
            else:
                self._answered(type, MessageOutcome.OK, item)

    async def _apply(self, message: wire.ClientMessage, room: GameRoom) -> int | None:
        """Do what a message asks for; return the number of the event that it has caused, if any."""
        player_id, cause = self._player_id, message.id
        if isinstance(message, wire.ReadyMessage):
            return await room.act(SetReady(player_id, message.data.status is ReadyStatus.READY, cause))
        if isinstance(message, wire.SubmitCodeMessage):
            return await room.act(Submit(player_id, message.data.code, message.data.language, cause))
        if isinstance(message, wire.LeaveMessage):
            return await room.act(LeaveGame(player_id, cause))
        if isinstance(message, wire.AuthMessage):
            self._expiry.renew((await self.verify(message.data.token)).expires_at)
        return None

    def _answered(self, type: str, outcome: MessageOutcome, item: _InboxItem) -> None:
        self._observer.answered(type, outcome, item, self._opened)

    def _fail(self, fault: Exception, where: str = "connection") -> None:
        """Report a fault of ours and end the connection (1011): the client comes back, and resumes from the log."""
        self._context.report(where, fault)
        self._close(Close.INTERNAL)

    def _pong(self, ping: wire.Ping) -> None:
        if ping.rtt_ms is not None:
            self._observer.client_rtt(ping.rtt_ms / 1000)
        self._outbox.send(PongData(ping.timestamp, self._now()))

    def _refuse_invalid(self, error: InvalidMessage, item: _InboxItem) -> None:
        self._refuse(error.type, item, error.code, error.message)
        if self.quota.is_often_invalid(time.monotonic()):
            self._close(Close.PROTOCOL_ERROR)

    def _refuse_too_fast(self, type: str, wait_s: float, item: _InboxItem) -> None:
        wait_ms = math.ceil(wait_s * 1000)
        text = f"too fast: nothing was done, send it again in {wait_ms} ms"
        self._refuse(type, item, ErrorCode.RATE_LIMITED, text, wait_ms)
        self._warned()

    def _warned(self) -> None:
        """Note that the peer was too fast, and was answered so or slowed down: who goes on regardless is closed."""
        if self.quota.is_often_refused(time.monotonic()):
            retry_ms = round(self._limits.rate_limit_retry_s * 1000)
            self._close(Close.RATE_LIMITED, retry_after_ms=retry_ms)

    def _refuse(
        self,
        type: str,
        item: _InboxItem,
        code: ErrorCode,
        message: str,
        retry_ms: int | None = None,
        outcome: MessageOutcome = MessageOutcome.REJECTED,
    ) -> None:
        """Answer with an ``error``."""
        self._stats.refused(code)
        self._outbox.send(ErrorData(code, message, or_unset(item.id), or_unset(item.index), or_unset(retry_ms)))
        item.error = code
        item.trouble = self._stats.first_trouble(code)
        self._answered(type, outcome, item)
