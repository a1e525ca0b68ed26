"""One connection: decodes what comes in, answers in order, and knows why it ended.

Messages that need no waiting are answered in the transport's callback; the others queue, bounded, and are
handled one after the other by `run`. While the queue is full the peer is not read.
"""

import asyncio
import hashlib
import time
from collections import deque
from dataclasses import dataclass
from statistics import quantiles
from typing import Final, Protocol, cast

from app.eventlog import LogUnavailable
from app.game import Rejected
from app.protocol import (
    BATCH,
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
    frame,
)
from app.realtime.outbox import Outbox
from app.realtime.transport import Transport
from app.telemetry.observer import (
    Closed,
    MessageOutcome,
    Observer,
    Opened,
    PingOutcome,
)

INVALID_WINDOW_S: Final = 60.0
RTT_SAMPLES: Final = 64
UNAVAILABLE_RETRY_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Limits of one connection; see the settings of the same names."""

    max_pending_messages: int
    max_invalid_messages_per_minute: int
    outbox_max_bytes: int


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


@dataclass(slots=True)
class _Item:
    """One thing to answer: a message, the reason it is none, or (None) only the id to acknowledge."""

    what: Message | InvalidMessage | None
    arrived: float
    id: str | None = None
    index: int | None = None
    raw: str = ""


class Session:
    """See the module. `ended` is set once the connection is over, by whomever."""

    __slots__ = (
        "_bytes_in", "_bytes_out", "_errors", "_inbox", "_invalid", "_limits", "_messages_in", "_messages_out",
        "_observer", "_opened", "_rtts", "_seat", "_started", "_transport", "_wake",
        "connection_id", "ended", "outbox", "player_id", "retry_after_ms",
    )  # fmt: skip

    def __init__(
        self, opened: Opened, transport: Transport, seat: Seat, limits: SessionLimits, observer: Observer
    ) -> None:
        self.connection_id = opened.connection_id
        self.player_id = opened.player_id
        self.ended: tuple[CloseRow, Initiator, int] | None = None
        self.outbox = Outbox(transport, limits.outbox_max_bytes)
        self.retry_after_ms = 0
        self._opened = opened
        self._transport = transport
        self._seat = seat
        self._limits = limits
        self._observer = observer
        self._inbox: deque[_Item] = deque()
        self._wake = asyncio.Event()
        self._invalid: deque[float] = deque()
        self._rtts: deque[float] = deque(maxlen=RTT_SAMPLES)
        self._started = time.monotonic()
        self._messages_in = self._messages_out = self._bytes_in = self._bytes_out = self._errors = 0

    # ---------------------------------------------------------------- sending

    def send(self, type: str, data: object) -> None:
        """Send one message of this connection's own."""
        payload = frame(type, data)
        if self.put(payload):
            self._observer.sent(type, 1, len(payload))

    def put(self, payload: bytes) -> bool:
        """Send an encoded frame that must not be dropped; a peer that reads too slowly is closed with 4430."""
        if self.ended is not None:
            return False
        if not self.outbox.put(payload):
            self._transport.close(Close.SLOW_CONSUMER)
            return False
        self._messages_out += 1
        self._bytes_out += len(payload)
        return True

    def put_droppable(self, payload: bytes) -> bool:
        """Send an encoded frame now or never; whether it was sent."""
        if self.ended is not None or not self.outbox.put_droppable(payload):
            return False
        self._messages_out += 1
        self._bytes_out += len(payload)
        return True

    def close(self, row: CloseRow, message: str = "", retry_after_ms: int = 0) -> None:
        """End the connection: ``disconnect`` tells the client what to do, then the close frame follows."""
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
        self.send("disconnect", data)
        self._transport.close(row)

    # ---------------------------------------------------------------- what the transport calls

    def on_text(self, text: str) -> None:
        """Count and decode; answer at once what needs no waiting, queue the rest."""
        arrived = time.perf_counter()
        size = len(text) if text.isascii() else len(text.encode())
        self._messages_in += 1
        self._bytes_in += size
        try:
            message = decode(text)
        except InvalidMessage as error:
            self._observer.received(error.type, size)
            self._take(_Item(error, arrived, error.id, raw=text))
            return
        if isinstance(message, Batch):
            self._observer.received(BATCH, size)
            self._take_batch(message, arrived)
            return
        self._observer.received(message.type, size)
        self._take(_Item(message, arrived, message.id))

    def on_binary(self, size: int) -> None:
        """This protocol is text."""
        self._messages_in += 1
        self._bytes_in += size
        self._observer.received("other", size)
        self.close(Close.BINARY)

    def on_writable(self) -> None:
        """The socket takes frames again."""
        self.outbox.flush()

    def on_ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        """A protocol ping ended."""
        self._observer.ping(outcome, rtt_s)
        if outcome is PingOutcome.ANSWERED:
            self._rtts.append(rtt_s)

    def on_closed(self, row: CloseRow, initiator: Initiator, received_code: int) -> None:
        """The connection is over."""
        self.ended = (row, initiator, received_code)
        self.outbox.clear()
        self._wake.set()

    # ---------------------------------------------------------------- handling

    async def run(self) -> None:
        """Handle queued messages in order until the connection has ended and nothing waits."""
        while self._inbox or self.ended is None:
            if not self._inbox:
                self._wake.clear()
                await self._wake.wait()
                continue
            item = self._inbox[0]  # stays in front while it is handled: what comes in lines up behind it
            if not self._answer_now(item):
                await self._answer(item)
            self._inbox.popleft()
            if len(self._inbox) <= self._limits.max_pending_messages // 2:
                self._transport.resume_reading()

    def summary(self) -> Closed:
        """The record of the whole connection; only once it has ended."""
        row, initiator, received_code = self.ended or (Close.LOST, Initiator.NETWORK, 0)
        p50, p95 = self._rtt_quantiles()
        return Closed(
            connection_id=self.connection_id,
            game_id=self._opened.game_id,
            player_id=self.player_id,
            row=row,
            received_code=received_code,
            initiator=initiator,
            duration_s=time.monotonic() - self._started,
            messages_in=self._messages_in,
            messages_out=self._messages_out,
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            errors=self._errors,
            rtt_p50_s=p50,
            rtt_p95_s=p95,
            deepest_outbox_bytes=self.outbox.deepest,
            resume=self._opened.resume,
        )

    def _rtt_quantiles(self) -> tuple[float | None, float | None]:
        if not self._rtts:
            return None, None
        if len(self._rtts) == 1:
            return self._rtts[0], self._rtts[0]
        cuts = quantiles(self._rtts, n=20, method="inclusive")
        return cuts[9], cuts[18]

    def _take_batch(self, batch: Batch, arrived: float) -> None:
        for index, what in enumerate(batch.items):
            self._observer.received(what.type, 0)
            self._take(_Item(what, arrived, what.id, index))
        if batch.id is not None:
            self._take(_Item(None, arrived, batch.id))

    def _take(self, item: _Item) -> None:
        if not self._inbox and self._answer_now(item):
            return
        self._inbox.append(item)
        self._wake.set()
        if len(self._inbox) >= self._limits.max_pending_messages:
            self._transport.pause_reading()

    def _answer_now(self, item: _Item) -> bool:
        """Answer what needs no waiting; False where it does."""
        what = item.what
        if isinstance(what, InvalidMessage):
            self._refuse_invalid(what, item)
            return True
        if what is not None:
            if isinstance(what.data, Ping):
                self._pong(what.data)
            elif isinstance(what.data, Progress):
                self._seat.progress(what.data.percent, what.data.lines)
            else:
                return False
            self._observer.handled(what.type, MessageOutcome.OK, time.perf_counter() - item.arrived)
        if item.id is not None:
            self.send("ack", {"id": item.id})
        return True

    async def _answer(self, item: _Item) -> None:
        message = cast("Message", item.what)
        outcome = MessageOutcome.OK
        try:
            await self._apply(message)
        except Rejected as rejected:
            outcome = MessageOutcome.REJECTED
            self._error(ErrorCode(rejected.code), rejected.message, message.type, item)
        except LogUnavailable:
            outcome = MessageOutcome.ERROR
            text = "the event log is unavailable; nothing was stored, send the message again"
            self._error(ErrorCode.UNAVAILABLE, text, message.type, item, retry=UNAVAILABLE_RETRY_MS)
        except Exception as fault:  # noqa: BLE001 - a fault in one message ends one connection, not the server
            outcome = MessageOutcome.ERROR
            self._observer.fault(f"message {message.type}", fault)
            self._error(ErrorCode.INTERNAL, "a fault of the server", message.type, item)
            self.close(Close.INTERNAL)
        self._observer.handled(message.type, outcome, time.perf_counter() - item.arrived)

    async def _apply(self, message: Message) -> None:
        data = message.data
        if isinstance(data, Ready):
            self._ack(message.id, await self._seat.ready(data.status == "ready", message.id))
        elif isinstance(data, SubmitCode):
            self._ack(message.id, await self._seat.submit(data.code, data.language, message.id))
        elif isinstance(data, Leave):
            self._ack(message.id, await self._seat.leave(message.id))
            self.close(Close.NORMAL, "you left the game")

    def _ack(self, id: str | None, seq: int | None) -> None:
        if id is not None:
            self.send("ack", {"id": id} if seq is None else {"id": id, "seq": seq})

    def _pong(self, ping: Ping) -> None:
        if ping.rtt_ms is not None:
            self._observer.client_rtt(ping.rtt_ms / 1000)
        self.send("pong", {"timestamp": ping.timestamp, "server_time": int(time.time() * 1000)})

    def _refuse_invalid(self, error: InvalidMessage, item: _Item) -> None:
        self._error(error.code, error.message, error.type, item)
        self._observer.handled(error.type, MessageOutcome.REJECTED, time.perf_counter() - item.arrived)
        now = time.monotonic()
        self._invalid.append(now)
        while self._invalid[0] < now - INVALID_WINDOW_S:
            self._invalid.popleft()
        if len(self._invalid) > self._limits.max_invalid_messages_per_minute:
            self.close(Close.PROTOCOL_ERROR)

    def _error(self, code: ErrorCode, message: str, type: str, item: _Item, retry: int | None = None) -> None:
        self._errors += 1
        data = {"code": code, "message": message, "id": item.id, "index": item.index, "retry_after_ms": retry}
        self.send("error", {key: value for key, value in data.items() if value is not None})
        raw = item.raw.encode()
        digest = hashlib.sha256(raw).hexdigest()[:16] if raw else ""
        self._observer.rejected(code, type, self.connection_id, len(raw), digest)
