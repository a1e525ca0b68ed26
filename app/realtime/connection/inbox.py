"""What a connection is sent: decoded, measured, and answered in order.

Messages that need no waiting are answered in the transport's callback; the others queue, bounded, and are
handled one after the other by a task that lives while there are any. While the queue is full the peer is not read.
Until `begin` everything that needs waiting queues, until `sit` everything.
"""

import asyncio
import hashlib
import math
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, cast

from msgspec import Struct

from app.eventlog import LogUnavailable
from app.game import Rejected
from app.limits import TooFast
from app.protocol import (
    BATCH,
    AckData,
    AuthMessage,
    Batch,
    ClientMessage,
    Close,
    ErrorData,
    InvalidMessage,
    LeaveMessage,
    Message,
    Ping,
    PingMessage,
    PongData,
    ProgressMessage,
    ReadyMessage,
    SubmitCodeMessage,
    decode,
    or_unset,
)
from app.realtime.connection.context import ConnectionContext
from app.realtime.connection.port import Connection, Seat
from app.realtime.connection.quota import Quota, QuotaConfig
from app.realtime.identity import Identity, TokenRefused, VerifierUnavailable, Verify
from app.realtime.refusals import REFUSED
from app.telemetry.observer import Opened
from app.telemetry.tracer import Span
from app.vocabulary import ErrorCode, LateCause, LimitScope, MessageOutcome

UNAVAILABLE_RETRY_MS: Final = 1_000
_FAULTS: Final = {ErrorCode.UNAVAILABLE, ErrorCode.INTERNAL}


@dataclass(frozen=True, slots=True)
class InboxConfig:
    """What one connection may send; see the settings of the same names."""

    quota: QuotaConfig
    max_pending_messages: int
    rate_limit_retry_s: float


class _TooFast(Struct, frozen=True, gc=False):
    """A message over the rate: its type, and when another one is welcome."""

    type: str
    wait_s: float


class _Item(Struct):
    """One thing to answer: a message, the reason it is none, or (None) only the id to acknowledge."""

    what: ClientMessage | InvalidMessage | _TooFast | None
    arrived: float
    id: str | None = None
    traceparent: str | None = None
    index: int | None = None
    raw: bytes = b""
    span: Span | None = None


class Inbox:
    """Takes and answers the messages of one connection; `quota` is what it may send."""

    __slots__ = (
        "_config",
        "_connection",
        "_context",
        "_has_begun",
        "_is_handling",
        "_items",
        "_observer",
        "_seat",
        "_tracer",
        "_wake",
        "quota",
    )  # fmt: skip

    def __init__(self, connection: Connection, opened: Opened, config: InboxConfig, context: ConnectionContext) -> None:
        self._connection = connection
        self._config = config
        self.quota = Quota(config.quota, context.policy, opened)
        self._context = context
        self._observer = context.observer
        self._tracer = context.observer.tracer
        self._seat: Seat | None = None
        self._items: deque[_Item] | None = None
        self._wake: asyncio.Event | None = None
        self._has_begun = False
        self._is_handling = False

    @property
    def is_at_rest(self) -> bool:
        """Whether it has begun and nothing is being handled."""
        return self._has_begun and not self._is_handling

    def sit(self, seat: Seat) -> None:
        """The player has a seat: messages are answered from now on."""
        self._seat = seat

    def begin(self) -> None:
        """The player has joined, or will not: handle what waits, now and from now on."""
        self._has_begun = True
        if self._seat is None:
            self._items = None
        if self._items:
            self._handle_items()

    def wake(self) -> None:
        """The connection has ended: nobody need wait for a first message."""
        if self._wake is not None:
            self._wake.set()

    async def first_message(self, timeout_s: float) -> ClientMessage | InvalidMessage | None:
        """The first message of a connection whose player is not known yet; None where it ended before.

        Raises:
            TimeoutError: there was none in time.
        """
        async with asyncio.timeout(timeout_s):
            while not self._items and self._connection.ended is None:
                self._wake = asyncio.Event()
                await self._wake.wait()
        if not self._items:
            return None
        item = self._items.popleft()
        what = item.what
        if what is None or isinstance(what, _TooFast):
            return InvalidMessage(ErrorCode.NOT_ALLOWED, "the first message must be auth")
        self._handled(what.type, MessageOutcome.OK if isinstance(what, Message) else MessageOutcome.REJECTED, item)
        return what

    # ---------------------------------------------------------------- what comes in

    def take(self, payload: bytes) -> None:
        """A message came in: count and decode it; answer at once what needs no waiting, queue the rest."""
        connection = self._connection
        arrived = connection.expiry.last_message = time.perf_counter()
        size = len(payload)
        try:
            connection.stats.received(size)
            message = self._decode(payload)
            self._observer.received(message.type, size)
            if isinstance(message, InvalidMessage):
                wait_s = self.quota.take(arrived, size, 1)
                what = _TooFast(message.type, wait_s) if wait_s else message
                self._take(_Item(what, arrived, message.id, raw=payload))
            elif isinstance(message, Batch):
                self._take_batch(message, arrived, size)
            elif wait_s := self.quota.take(arrived, size, 1):
                self._take(_Item(_TooFast(message.type, wait_s), arrived, message.id))
            else:
                self._take(_Item(message, arrived, message.id, message.traceparent))
        except Exception as fault:  # noqa: BLE001 - the transport, which calls, answers for no fault of ours
            connection.fail(fault)

    def take_control(self) -> float:
        """A frame came in that completes no message: for so many seconds no more is to be read."""
        pause_s = self.quota.take_control(time.perf_counter())
        if pause_s:
            self._warned()
        return pause_s

    def _decode(self, payload: bytes) -> ClientMessage | Batch | InvalidMessage:
        """Decode; a batch that is too long only passes where that limit refuses nothing (dry run)."""
        try:
            return decode(payload, self._config.quota.max_batch)
        except InvalidMessage as error:
            if error.code is not ErrorCode.BATCH_TOO_LARGE or self.quota.refuses(LimitScope.BATCH_SIZE):
                return error
        try:
            return decode(payload, len(payload))  # no batch has more items than letters
        except InvalidMessage as error:
            return error

    def _take_batch(self, batch: Batch, arrived: float, size: int) -> None:
        if wait_s := self.quota.take(arrived, size, len(batch.items)):
            self._take(_Item(_TooFast(BATCH, wait_s), arrived, batch.id))
            return
        if self._seat is None:
            self._take(_Item(InvalidMessage(ErrorCode.NOT_ALLOWED, "no batch before auth", type=BATCH), arrived))
            return
        self._observer.batch([what.type for what in batch.items])
        for index, what in enumerate(batch.items):
            traceparent = what.traceparent if isinstance(what, Message) else None
            self._take(_Item(what, arrived, what.id, traceparent, index))
        if batch.id is not None:
            self._take(_Item(None, arrived, batch.id))

    def _take(self, item: _Item) -> None:
        if item.what is not None:
            item.span = self._tracer.message(item.what.type, item.arrived, self._connection.link, item.traceparent)
        if not self._items and self._seat is not None and self._answer_now(item, self._seat):
            return
        if self._items is None:
            self._items = deque()
        self._items.append(item)
        if len(self._items) >= self._config.max_pending_messages:
            self._connection.transport.pause_reading()
        if self._has_begun:
            self._handle_items()
        else:
            self.wake()

    # ---------------------------------------------------------------- answers

    def _handle_items(self) -> None:
        if not self._is_handling:
            self._is_handling = True
            self._context.spawn(self._handle_all(), "messages")

    async def _handle_all(self) -> None:
        """Handle queued messages in order until nothing waits."""
        try:
            while self._items:
                item = self._items[0]  # stays in front while it is handled: what comes in lines up behind it
                seat = cast("Seat", self._seat)
                if not self._answer_now(item, seat):
                    await self._answer(item, seat)
                self._items.popleft()
                if len(self._items) <= self._config.max_pending_messages // 2:
                    self._connection.transport.resume_reading()
        except Exception as error:  # noqa: BLE001 - messages are lost, so the connection must not go on
            self._connection.fail(error)
        finally:
            self._items = None
            self._is_handling = False
            self._connection.handled_all()

    def _answer_now(self, item: _Item, seat: Seat) -> bool:
        """Answer what needs no waiting; False where it does."""
        what = item.what
        if isinstance(what, PingMessage):
            self._pong(what.data)
        elif isinstance(what, ProgressMessage):
            seat.progress(what.data.percent, what.data.lines)
        elif isinstance(what, InvalidMessage):
            self._refuse_invalid(what, item)
            return True
        elif isinstance(what, _TooFast):
            self._tell_too_fast(what.type, what.wait_s, item)
            self._handled(what.type, MessageOutcome.REJECTED, item)
            return True
        elif what is not None:
            return False
        if what is not None:
            self._handled(what.type, MessageOutcome.OK, item)
        if item.id is not None:
            self._connection.send(AckData(item.id))
        return True

    async def _answer(self, item: _Item, seat: Seat) -> None:
        message = cast("ClientMessage", item.what)
        with self._tracer.active(item.span):
            outcome = await self._outcome(message, item, seat)
        self._handled(message.type, outcome, item)

    async def _outcome(self, message: ClientMessage, item: _Item, seat: Seat) -> MessageOutcome:
        try:
            await self._apply(message, seat)
        except _Refused as refused:
            self._error(refused.code, refused.message, message.type, item, retry=refused.retry_after_ms)
            return MessageOutcome.REJECTED
        except Rejected as rejected:
            retry_ms = REFUSED[rejected.code].retry_after_ms or None
            self._error(ErrorCode(rejected.code), rejected.message, message.type, item, retry=retry_ms)
            return MessageOutcome.REJECTED
        except TooFast as too_fast:
            self._tell_too_fast(message.type, too_fast.wait_s, item)
            return MessageOutcome.REJECTED
        except LogUnavailable:
            text = "the event log is unavailable; send the message again, with its id: then it is applied once"
            self._error(ErrorCode.UNAVAILABLE, text, message.type, item, retry=UNAVAILABLE_RETRY_MS)
            return MessageOutcome.ERROR
        except Exception as fault:  # noqa: BLE001 - a fault in one message ends one connection, not the server
            self._error(ErrorCode.INTERNAL, "a fault of the server", message.type, item)
            self._connection.fail(fault, f"message {message.type}")
            return MessageOutcome.ERROR
        return MessageOutcome.OK

    async def _apply(self, message: ClientMessage, seat: Seat) -> None:
        if isinstance(message, ReadyMessage):
            self._ack(message.id, await seat.ready(message.data.status == "ready", message.id))
        elif isinstance(message, SubmitCodeMessage):
            self._ack(message.id, await seat.submit(message.data.code, message.data.language, message.id))
        elif isinstance(message, LeaveMessage):
            self._ack(message.id, await seat.leave(message.id))
            self._connection.close(Close.NORMAL, "you left the game")
        elif isinstance(message, AuthMessage):
            token = await _identify(self._context.verify, message.data.token, self._connection.player_id)
            self._connection.expiry.renew(token.expires_at)
            self._observer.authenticated(self._connection.connection_id, self._connection.player_id, refresh=True)
            self._ack(message.id, None)

    def _handled(self, type: str, outcome: MessageOutcome, item: _Item) -> None:
        """Measure a message that has been answered; a slow one is traced after all."""
        ended = time.perf_counter()
        duration_s = ended - item.arrived
        span = item.span
        if span is None and outcome is MessageOutcome.OK and duration_s > self._tracer.slow_s:
            span = self._late_span(type, item, LateCause.SLOW)
        trace_id = None
        if span is not None:
            trace_id = span.trace_id
            span.note({"message.outcome": outcome})
            span.end(outcome if outcome is MessageOutcome.ERROR else "", ended)
        self._observer.handled(type, outcome, duration_s, trace_id)

    def _late_span(self, type: str, item: _Item, cause: LateCause) -> Span | None:
        return self._tracer.late(type, item.arrived, self._connection.link, item.traceparent, cause)

    def _ack(self, id: str | None, seq: int | None) -> None:
        if id is not None:
            self._connection.send(AckData(id, or_unset(seq)))

    def _pong(self, ping: Ping) -> None:
        if ping.rtt_ms is not None:
            self._observer.client_rtt(ping.rtt_ms / 1000)
        self._connection.send(PongData(ping.timestamp, self._context.now()))

    def _refuse_invalid(self, error: InvalidMessage, item: _Item) -> None:
        self._error(error.code, error.message, error.type, item)
        self._handled(error.type, MessageOutcome.REJECTED, item)
        if self.quota.is_often_invalid(time.monotonic()):
            self._connection.close(Close.PROTOCOL_ERROR)

    def _tell_too_fast(self, type: str, wait_s: float, item: _Item) -> None:
        wait_ms = math.ceil(wait_s * 1000)
        text = f"too fast: nothing was done, send it again in {wait_ms} ms"
        self._error(ErrorCode.RATE_LIMITED, text, type, item, retry=wait_ms)
        self._warned()

    def _warned(self) -> None:
        """The peer was too fast, and was answered so or slowed down: who goes on regardless is closed."""
        if self.quota.is_often_refused(time.monotonic()):
            retry_ms = round(self._config.rate_limit_retry_s * 1000)
            self._connection.close(Close.RATE_LIMITED, retry_after_ms=retry_ms)

    def _error(self, code: ErrorCode, message: str, type: str, item: _Item, retry: int | None = None) -> None:
        self._connection.stats.errors += 1
        self._connection.send(ErrorData(code, message, or_unset(item.id), or_unset(item.index), or_unset(retry)))
        raw = item.raw
        digest = hashlib.sha256(raw).hexdigest()[:16] if raw else ""
        if item.span is None:
            item.span = self._late_span(type, item, LateCause.ERROR if code in _FAULTS else LateCause.REJECTED)
        if item.span is not None:
            item.span.note({"error.code": code})
        with self._tracer.active(item.span):
            self._observer.rejected(code, type, self._connection.connection_id, len(raw), digest)


class _Refused(Exception):  # noqa: N818 - an answer
    """A message that is answered with an error."""

    def __init__(self, code: ErrorCode, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms


async def _identify(verify: Verify, token: str, player_id: str) -> Identity:
    """Who a fresh token is of: it must be the same player. Raises _Refused."""
    try:
        identity = await verify(token)
    except TokenRefused as refused:
        raise _Refused(ErrorCode.AUTH_FAILED, str(refused)) from None
    except VerifierUnavailable as error:
        raise _Refused(ErrorCode.UNAVAILABLE, str(error), UNAVAILABLE_RETRY_MS) from None
    if identity.player_id != player_id:
        raise _Refused(ErrorCode.NOT_ALLOWED, "the token is another player's")
    return identity
