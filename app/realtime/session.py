"""One connection: decodes what comes in, answers in order, and knows why it ended.

Messages that need no waiting are answered in the transport's callback; the others queue, bounded, and are
handled one after the other by a task that lives while there are any. While the queue is full the peer is not read.
Until `begin` everything that needs waiting queues, until `sit` everything.
"""

import asyncio
import hashlib
import math
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from app.eventlog import LogUnavailable
from app.game import Rejected
from app.protocol import (
    BATCH,
    Auth,
    Batch,
    Close,
    CloseRow,
    ErrorCode,
    Initiator,
    InvalidMessage,
    Leave,
    Message,
    Ping,
    Progress,
    Ready,
    Reconnect,
    SubmitCode,
    decode,
)
from app.realtime.account import Account
from app.realtime.allowance import Allowance, AllowanceConfig
from app.realtime.frames import message_frame
from app.realtime.identity import Identity, TokenRefused, VerifierUnavailable, Verify
from app.realtime.lifetime import Lifetime, LifetimeConfig, later
from app.realtime.limits import LimitPolicy
from app.realtime.outbox import Outbox, Outboxes, Put
from app.realtime.transport import Frame, Transport
from app.realtime.wheel import Wheel
from app.telemetry.observer import (
    Closed,
    LimitScope,
    MessageOutcome,
    Observer,
    Opened,
    PingOutcome,
)
from app.telemetry.tracer import LateCause, Link, Span

UNAVAILABLE_RETRY_MS: Final = 1_000
_FAULTS: Final = {ErrorCode.UNAVAILABLE, ErrorCode.INTERNAL}


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What one connection may do, and for how long; see the settings of the same names."""

    allowance: AllowanceConfig
    lifetime: LifetimeConfig
    max_pending_messages: int
    rate_limit_retry_s: float
    outbox_max_bytes: int
    outbox_max_age_s: float


class Seat(Protocol):
    """The session's place in its game, given by the room."""

    async def ready(self, ready: bool, cause: str | None) -> int | None:
        """Say to be ready or not; the seq of the event it caused, if any."""

    async def submit(self, code: str, language: str, cause: str | None) -> int | None:
        """Hand in code; the seq of the event it caused."""

    async def leave(self, cause: str | None) -> int | None:
        """Go for good; the seq of the event it caused."""

    def progress(self, percent: float | None, lines: int | None) -> None:
        """Show the others how far the player is."""


@dataclass(frozen=True, slots=True)
class _TooFast:
    """A message over the rate: its type, and when another one is welcome."""

    type: str
    wait_s: float


@dataclass(slots=True)
class _Item:
    """One thing to answer: a message, the reason it is none, or (None) only the id to acknowledge."""

    what: Message | InvalidMessage | _TooFast | None
    arrived: float
    id: str | None = None
    index: int | None = None
    raw: bytes = b""
    traceparent: str | None = None
    span: Span | None = None


class SessionOwner(Protocol):
    """Whose connections these are, and what all of them share."""

    observer: Observer
    outboxes: Outboxes
    policy: LimitPolicy
    verify: Verify
    wheel: Wheel

    def handle(self, messages: Coroutine[Any, Any, None]) -> None:
        """Run what handles a session's messages, to its end."""

    def finished(self, session: "Session") -> None:
        """The session is over and its messages are handled; told once."""


class Session:
    """See the module. `ended` is set once the connection is over, by whomever."""

    __slots__ = (
        "_allowance", "_config", "_has_begun", "_inbox", "_is_handling", "_observer", "_opened", "_outbox_timer",
        "_owner", "_seat", "_tracer", "_transport", "_wake", "account", "connection_id", "ended", "lifetime", "link",
        "outbox", "player_id", "retry_after_ms",
    )  # fmt: skip

    def __init__(
        self,
        opened: Opened,
        transport: Transport,
        config: SessionConfig,
        owner: SessionOwner,
    ) -> None:
        self.connection_id = opened.connection_id
        self.player_id = opened.player_id or ""
        self.ended: tuple[CloseRow, Initiator, int] | None = None
        self.outbox = Outbox(transport, config.outbox_max_bytes, owner.outboxes)
        self.lifetime = Lifetime(self, config.lifetime, owner.wheel)
        self.account = Account()
        self.retry_after_ms = 0
        self.link: Link | None = None
        self._opened = opened
        self._transport = transport
        self._seat: Seat | None = None
        self._config = config
        self._owner = owner
        self._allowance = Allowance(config.allowance, owner.policy, opened)
        self._observer = owner.observer
        self._tracer = owner.observer.tracer
        self._inbox: deque[_Item] | None = None
        self._wake: asyncio.Event | None = None
        self._has_begun = False
        self._is_handling = False
        self._outbox_timer: asyncio.TimerHandle | None = None

    # ---------------------------------------------------------------- sending

    def send(self, type: str, data: object) -> None:
        """Send one message of this connection's own."""
        frame = message_frame(type, data)
        if self.put(frame) is not Put.FULL:
            self._observer.sent(type, 1, frame.size)

    def put_event(self, seq: int, type: str, frame: Frame, fan_out: Span | None) -> Put:
        """`put` a durable event; where its fan-out is traced, the way to this connection's socket is too."""
        if fan_out is None:
            return self.put(frame, event=True)
        span = self._tracer.delivery(fan_out, self.link, {"event.seq": seq, "event.type": type})
        put = self.put(frame, event=True, span=span)
        if put is Put.WAITS:
            span.note({"waited": True})
        else:
            span.end("" if put is Put.WRITTEN else put.name.lower())
        return put

    def put(self, frame: Frame, event: bool = False, span: Span | None = None) -> Put:
        """Send an encoded frame that must not be dropped; a peer that reads too slowly is closed with 4430."""
        if self.ended is not None:
            return Put.FULL
        put = self.outbox.put(frame, event, span)
        if put is Put.FULL:
            self._transport.close(Close.SLOW_CONSUMER)
            return put
        if put is Put.WAITS and self._outbox_timer is None:
            self._outbox_timer = later(self._config.outbox_max_age_s, self._on_outbox_age)
        return put

    def close(self, row: CloseRow, message: str = "", retry_after_ms: int = 0) -> None:
        """End the connection: what waits and ``disconnect`` are sent, then the close frame follows."""
        if self.ended is not None:
            return
        self.retry_after_ms = retry_after_ms
        data = {
            "code": row.code,
            "reason": row.reason,
            "message": message or row.when,
            "reconnect": row.reconnect not in {Reconnect.NO, Reconnect.NEW_TOKEN},
            "retry_after_ms": retry_after_ms,
        }
        frame = message_frame("disconnect", data)
        if self.outbox.put_last(frame):
            self._observer.sent("disconnect", 1, frame.size)
        self._transport.close(row)

    # ---------------------------------------------------------------- the player

    def sit(self, identity: Identity, seat: Seat) -> None:
        """The player is known and has a place: from now on messages are handled."""
        self.player_id = identity.player_id
        self._seat = seat
        self.lifetime.renew(identity.expires_at)

    def attach(self) -> None:
        """Be told what becomes of the connection."""
        self._transport.attach(self)

    def start(self) -> None:
        """Take what the transport brings; what came before first."""
        self._transport.start()

    def begin(self) -> None:
        """The player has joined, or will not: handle what waits, now and from now on."""
        self._has_begun = True
        if self._seat is None:
            self._inbox = None
        if self._inbox:
            self._handle_inbox()
        elif self.ended is not None and not self._is_handling:
            asyncio.get_running_loop().call_soon(self._owner.finished, self)

    async def first_message(self, timeout_s: float) -> Message | InvalidMessage | None:
        """The first message of a connection whose player is not known yet; None where it ended before.

        Raises:
            TimeoutError: there was none in time.
        """
        async with asyncio.timeout(timeout_s):
            while not self._inbox and self.ended is None:
                self._wake = asyncio.Event()
                await self._wake.wait()
        if not self._inbox:
            return None
        item = self._inbox.popleft()
        if isinstance(item.what, (Message, InvalidMessage)):
            outcome = MessageOutcome.OK if isinstance(item.what, Message) else MessageOutcome.REJECTED
            self._handled(item.what.type, outcome, item)
            return item.what
        return InvalidMessage(ErrorCode.NOT_ALLOWED, "the first message must be auth")

    async def _refresh(self, message: Message, token: str) -> None:
        """Take a fresh token of the same player."""
        try:
            identity = await self._owner.verify(token)
        except TokenRefused as refused:
            raise _Refused(ErrorCode.AUTH_FAILED, str(refused)) from None
        except VerifierUnavailable as error:
            raise _Refused(ErrorCode.UNAVAILABLE, str(error), UNAVAILABLE_RETRY_MS) from None
        if identity.player_id != self.player_id:
            raise _Refused(ErrorCode.NOT_ALLOWED, "the token is another player's")
        self.lifetime.renew(identity.expires_at)
        self._observer.authenticated(self.connection_id, self.player_id, refresh=True)
        self._ack(message.id, None)

    def _on_outbox_age(self) -> None:
        """A durable frame may have waited too long; if not, look again when the oldest one would have."""
        self._outbox_timer = None
        oldest = self.outbox.oldest
        if oldest is None or self.ended is not None:
            return
        left_s = oldest + self._config.outbox_max_age_s - time.monotonic()
        if left_s <= 0:
            self._transport.close(Close.SLOW_CONSUMER)
        else:
            self._outbox_timer = later(left_s, self._on_outbox_age)

    # ---------------------------------------------------------------- what the transport calls

    def on_text(self, payload: bytes) -> None:
        """Count and decode; answer at once what needs no waiting, queue the rest."""
        arrived = self.lifetime.last_message = time.perf_counter()
        size = len(payload)
        self.account.received(size)
        try:
            message = self._decode(payload)
        except InvalidMessage as error:
            self._observer.received(error.type, size)
            wait_s = self._allowance.take(arrived, size, 1)
            self._take(_Item(_TooFast(error.type, wait_s) if wait_s else error, arrived, error.id, raw=payload))
            return
        batch = message if isinstance(message, Batch) else None
        type = BATCH if batch is not None else cast("Message", message).type
        self._observer.received(type, size)
        wait_s = self._allowance.take(arrived, size, len(batch.items) if batch is not None else 1)
        if wait_s:
            self._take(_Item(_TooFast(type, wait_s), arrived, message.id))
        elif batch is not None and self._seat is not None:
            self._take_batch(batch, arrived)
        elif batch is not None:
            self._take(_Item(InvalidMessage(ErrorCode.NOT_ALLOWED, "no batch before auth", type=BATCH), arrived))
        else:
            single = cast("Message", message)
            self._take(_Item(single, arrived, single.id, traceparent=single.traceparent))

    def _decode(self, payload: bytes) -> Message | Batch:
        """Decode; a batch that is too long only passes where that limit refuses nothing (dry run)."""
        try:
            return decode(payload, self._config.allowance.max_batch)
        except InvalidMessage as error:
            if error.code is not ErrorCode.BATCH_TOO_LARGE or self._allowance.refuses(LimitScope.BATCH_SIZE):
                raise
        return decode(payload, len(payload))  # no batch has more items than letters

    def on_binary(self, size: int) -> None:
        """This protocol is text."""
        self.account.received(size)
        self._observer.received("other", size)
        self.close(Close.BINARY)

    def on_blocked(self) -> None:
        """The socket takes no more."""
        self.outbox.block()

    def on_writable(self) -> None:
        """The socket takes frames again."""
        self.outbox.flush()

    def on_ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        """A protocol ping ended."""
        self._observer.ping(outcome, rtt_s)
        if outcome is PingOutcome.ANSWERED:
            self.account.measured(rtt_s)

    def on_closed(self, row: CloseRow, initiator: Initiator, received_code: int) -> None:
        """The connection is over."""
        self.ended = (row, initiator, received_code)
        if row is Close.TOO_BIG:
            self._allowance.refuses(LimitScope.MESSAGE_SIZE)
        self.outbox.end()
        self.lifetime.stop()
        if self._outbox_timer is not None:
            self._outbox_timer.cancel()
        if self._wake is not None:
            self._wake.set()
        if self._has_begun and not self._is_handling:
            asyncio.get_running_loop().call_soon(self._owner.finished, self)

    # ---------------------------------------------------------------- handling

    def _handle_inbox(self) -> None:
        if not self._is_handling:
            self._is_handling = True
            self._owner.handle(self._handle_all())

    async def _handle_all(self) -> None:
        """Handle queued messages in order until nothing waits."""
        try:
            while self._inbox:
                item = self._inbox[0]  # stays in front while it is handled: what comes in lines up behind it
                seat = cast("Seat", self._seat)
                if not self._answer_now(item, seat):
                    await self._answer(item, seat)
                self._inbox.popleft()
                if len(self._inbox) <= self._config.max_pending_messages // 2:
                    self._transport.resume_reading()
        finally:
            self._inbox = None
            self._is_handling = False
            if self.ended is not None:
                self._owner.finished(self)

    def summary(self) -> Closed:
        """The record of the whole connection; only once it has ended."""
        ended = self.ended or (Close.LOST, Initiator.NETWORK, 0)
        return self.account.closed(self._opened, self.player_id or None, ended, self.outbox)

    def _take_batch(self, batch: Batch, arrived: float) -> None:
        self._observer.batch(len(batch.items))
        for index, what in enumerate(batch.items):
            self._observer.received(what.type, None)
            traceparent = what.traceparent if isinstance(what, Message) else None
            self._take(_Item(what, arrived, what.id, index, traceparent=traceparent))
        if batch.id is not None:
            self._take(_Item(None, arrived, batch.id))

    def _take(self, item: _Item) -> None:
        if item.what is not None:
            item.span = self._tracer.message(item.what.type, item.arrived, self.link, item.traceparent)
        if not self._inbox and self._seat is not None and self._answer_now(item, self._seat):
            return
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(item)
        if len(self._inbox) >= self._config.max_pending_messages:
            self._transport.pause_reading()
        if self._has_begun:
            self._handle_inbox()
        elif self._wake is not None:
            self._wake.set()

    def _answer_now(self, item: _Item, seat: Seat) -> bool:
        """Answer what needs no waiting; False where it does."""
        what = item.what
        if isinstance(what, InvalidMessage):
            self._refuse_invalid(what, item)
            return True
        if isinstance(what, _TooFast):
            self._refuse_too_fast(what, item)
            return True
        if what is not None:
            if isinstance(what.data, Ping):
                self._pong(what.data)
            elif isinstance(what.data, Progress):
                seat.progress(what.data.percent, what.data.lines)
            else:
                return False
            self._handled(what.type, MessageOutcome.OK, item)
        if item.id is not None:
            self.send("ack", {"id": item.id})
        return True

    async def _answer(self, item: _Item, seat: Seat) -> None:
        with self._tracer.active(item.span):
            outcome = await self._outcome(item, seat)
        self._handled(cast("Message", item.what).type, outcome, item)

    async def _outcome(self, item: _Item, seat: Seat) -> MessageOutcome:
        message = cast("Message", item.what)
        try:
            await self._apply(message, seat)
        except _Refused as refused:
            self._error(refused.code, refused.message, message.type, item, retry=refused.retry_after_ms)
            return MessageOutcome.REJECTED
        except Rejected as rejected:
            self._error(ErrorCode(rejected.code), rejected.message, message.type, item)
            return MessageOutcome.REJECTED
        except LogUnavailable:
            text = "the event log is unavailable; nothing was stored, send the message again"
            self._error(ErrorCode.UNAVAILABLE, text, message.type, item, retry=UNAVAILABLE_RETRY_MS)
            return MessageOutcome.ERROR
        except Exception as fault:  # noqa: BLE001 - a fault in one message ends one connection, not the server
            self._observer.fault(f"message {message.type}", fault)
            self._error(ErrorCode.INTERNAL, "a fault of the server", message.type, item)
            self.close(Close.INTERNAL)
            return MessageOutcome.ERROR
        return MessageOutcome.OK

    def _handled(self, type: str, outcome: MessageOutcome, item: _Item) -> None:
        """Measure a message that has been answered; a slow one is traced after all."""
        ended = time.perf_counter()
        duration_s = ended - item.arrived
        span = item.span
        if span is None and outcome is MessageOutcome.OK and duration_s > self._tracer.slow_s:
            span = self._tracer.late(type, item.arrived, self.link, item.traceparent, LateCause.SLOW)
        if span is None:
            self._observer.handled(type, outcome, duration_s)
            return
        span.note({"message.outcome": outcome})
        span.end(outcome if outcome is MessageOutcome.ERROR else "", ended)
        self._observer.handled(type, outcome, duration_s, span.trace_id)

    async def _apply(self, message: Message, seat: Seat) -> None:
        data = message.data
        if isinstance(data, Ready):
            self._ack(message.id, await seat.ready(data.status == "ready", message.id))
        elif isinstance(data, SubmitCode):
            self._ack(message.id, await seat.submit(data.code, data.language, message.id))
        elif isinstance(data, Leave):
            self._ack(message.id, await seat.leave(message.id))
            self.close(Close.NORMAL, "you left the game")
        elif isinstance(data, Auth):
            await self._refresh(message, data.token)

    def _ack(self, id: str | None, seq: int | None) -> None:
        if id is not None:
            self.send("ack", {"id": id} if seq is None else {"id": id, "seq": seq})

    def _pong(self, ping: Ping) -> None:
        if ping.rtt_ms is not None:
            self._observer.client_rtt(ping.rtt_ms / 1000)
        self.send("pong", {"timestamp": ping.timestamp, "server_time": int(time.time() * 1000)})

    def _refuse_invalid(self, error: InvalidMessage, item: _Item) -> None:
        self._error(error.code, error.message, error.type, item)
        self._handled(error.type, MessageOutcome.REJECTED, item)
        if self._allowance.is_often_invalid(time.monotonic()):
            self.close(Close.PROTOCOL_ERROR)

    def _refuse_too_fast(self, too_fast: _TooFast, item: _Item) -> None:
        wait_ms = math.ceil(too_fast.wait_s * 1000)
        text = f"too fast: nothing was done, send it again in {wait_ms} ms"
        self._error(ErrorCode.RATE_LIMITED, text, too_fast.type, item, retry=wait_ms)
        self._handled(too_fast.type, MessageOutcome.REJECTED, item)
        if self._allowance.is_often_refused(time.monotonic()):
            self.close(Close.RATE_LIMITED, retry_after_ms=round(self._config.rate_limit_retry_s * 1000))

    def _error(self, code: ErrorCode, message: str, type: str, item: _Item, retry: int | None = None) -> None:
        self.account.errors += 1
        data = {"code": code, "message": message, "id": item.id, "index": item.index, "retry_after_ms": retry}
        self.send("error", {key: value for key, value in data.items() if value is not None})
        raw = item.raw
        digest = hashlib.sha256(raw).hexdigest()[:16] if raw else ""
        if item.span is None:
            cause = LateCause.ERROR if code in _FAULTS else LateCause.REJECTED
            item.span = self._tracer.late(type, item.arrived, self.link, item.traceparent, cause)
        if item.span is not None:
            item.span.note({"error.code": code})
        with self._tracer.active(item.span):
            self._observer.rejected(code, type, self.connection_id, len(raw), digest)


class _Refused(Exception):  # noqa: N818 - an answer
    """A message that is answered with an error."""

    def __init__(self, code: ErrorCode, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms
