"""One connection: how long it lives, and why it ended. What it says is the `Inbox`'s, what it is sent the `Outbox`'s.

Theory of operation. A session lives on the event loop alone; nothing here waits but the task that handles queued
messages. The transport calls `on_...`, the room `put_event` and the outbox, the clock `close`; all return at once.

States: open (until `join` everything that comes in queues; until `begin` what needs waiting); closing (`close` was
called, or `on_closing` by the transport: nothing is sent after its ``disconnect``); ended (`on_closed`: `ended` is set,
nothing can be sent). Once it has ended and its inbox is at rest `on_end` is called, once, and `forget` lets its parts
go: they hold each other (a timer or a task calls back into the session), and thousands must be freed without waiting
for a collection.

A fault while something is sent ends the connection (`fail`): a frame may be missing, and the client resumes from the
log. Faults of one connection reach no other: whoever sends to many catches what one raises.
"""

import asyncio
from collections.abc import Callable

from app.protocol import Close, CloseRow, DisconnectData
from app.rate_limits import BUSY_RETRY_S, spread_ms
from app.realtime.connection.context import ConnectionContext
from app.realtime.connection.expiry import Expiry
from app.realtime.connection.inbox import Inbox
from app.realtime.connection.outbox import Outbox, Put
from app.realtime.connection.port import GameRoom
from app.realtime.connection.stats import ConnectionStats
from app.realtime.identity import Identity
from app.telemetry.observer import Closed, Opened
from app.telemetry.tracer import Link, Span
from app.transport import Frame, Transport
from app.vocabulary import Initiator, LimitScope, PingOutcome


class Session:
    """Holds one connection; `ended` is set once it is over, by whomever, `has_joined` once the log says so."""

    __slots__ = (
        "_context",
        "_on_end",
        "connection_id",
        "ended",
        "expiry",
        "has_joined",
        "inbox",
        "on_text",
        "opened",
        "outbox",
        "player_id",
        "retry_after_ms",
        "said",
        "stats",
        "transport",
    )  # fmt: skip

    def __init__(
        self,
        opened: Opened,
        transport: Transport,
        context: ConnectionContext,
        on_end: Callable[["Session"], None],
    ) -> None:
        self.connection_id = opened.connection_id
        self.player_id = opened.player_id or ""
        self.ended: tuple[CloseRow, Initiator, int] | None = None
        close = self.close  # one for both: each one made takes room, in every connection
        self.outbox = Outbox(transport, context.outboxes, close)
        self.stats = ConnectionStats()
        self.expiry = Expiry(self.outbox, self.stats, close, context.connection, context.auth, context.wheel)
        self.has_joined = False
        self.retry_after_ms = 0
        self.said = ""
        self.opened = opened
        self.transport = transport
        self._context = context
        self._on_end = on_end
        self.inbox = Inbox(opened, transport, self.outbox, self.expiry, self.stats, close, context)
        self.on_text: Callable[[bytes], None] = self.inbox.take

    @property
    def is_open(self) -> bool:
        """Whether it is neither over nor about to be."""
        return self.ended is None and self.transport.is_open

    @property
    def link(self) -> Link | None:
        """The handshake that its traces point at."""
        return self.opened.link

    # ---------------------------------------------------------------- sending

    def put_event(self, seq: int, type: str, frame: Frame, fan_out: Span | None) -> Put:
        """Put a durable event into the outbox; where its fan-out is traced, the way to the socket is too."""
        if fan_out is None:
            return self.outbox.put(type, frame, event=True)
        span = fan_out.delivery(self.link, {"event.seq": seq, "event.type": type})
        put = self.outbox.put(type, frame, event=True, span=span)
        if put is Put.WAITS:
            span.note({"waited": True})
        else:
            span.end("" if put is Put.WRITTEN else put.name.lower())
        return put

    def close(self, row: CloseRow, message: str = "", retry_after_ms: int = 0) -> None:
        """End the connection: what waits (unless the row discards it), ``disconnect`` and the close frame are sent."""
        if self.ended is not None:
            return
        if row.discards:
            self.outbox.discard()
            retry_after_ms = spread_ms(*BUSY_RETRY_S)  # one cause may have slowed down many
        data = DisconnectData(row.code, row.reason, message or row.when, row.comes_back, retry_after_ms)
        try:
            if self.outbox.send(data, last=True):
                self.retry_after_ms = retry_after_ms
                self.said = data.message
            self.transport.close(row)
        except Exception as error:  # noqa: BLE001 - where nothing can be said any more, the socket is cut
            self._context.report("connection", error)
            self.transport.abort()

    def fail(self, error: Exception, where: str = "connection") -> None:
        """End the connection (1011), to be resumed: something of it raised, and the peer may lack a frame."""
        self._context.report(where, error)
        self.close(Close.INTERNAL)

    # ---------------------------------------------------------------- the player

    def join(self, identity: Identity, room: GameRoom) -> None:
        """Give the player and the room of their game: from now on messages are handled."""
        self.player_id = identity.player_id
        self.inbox.join(identity.player_id, room)
        self.expiry.renew(identity.expires_at)

    def cork(self) -> None:
        """Write what follows in this turn of the event loop together."""
        self.transport.cork()

    def attach(self) -> None:
        """Have the transport report what becomes of the connection."""
        self.transport.attach(self)

    def start(self) -> None:
        """Take what the transport brings; what came before first."""
        self.transport.start()

    def begin(self) -> None:
        """Handle what waits, now and from now on: the player has joined, or will not."""
        self.inbox.begin(self._finish)
        self._finish_if_over()

    def summary(self) -> Closed:
        """Make the record of the whole connection; only once it has ended."""
        ended = self.ended or (Close.LOST, Initiator.NETWORK, 0)
        trace_id = self.link.trace_id if self.link is not None else None
        return self.stats.closed(self.opened, self.player_id or None, ended, self.said, self.outbox, trace_id)

    def forget(self) -> None:
        """Let go of the parts, which hold each other, so that they are freed without a collection."""
        del self.inbox, self.on_text, self.expiry

    def _finish(self) -> None:
        """Report the end of a connection, if it has ended; its inbox is at rest."""
        if self.ended is not None:
            self._on_end(self)

    def _finish_if_over(self) -> None:
        if self.ended is not None and self.inbox.is_at_rest:
            asyncio.get_running_loop().call_soon(self._on_end, self)

    # ---------------------------------------------------------------- what the transport calls

    def on_binary(self, payload: bytes) -> None:
        """Close the connection: this protocol is text."""
        self.stats.received(len(payload))
        self._context.observer.received("other", len(payload))
        self.close(Close.BINARY)

    def on_control_frame(self) -> float:
        """Count a frame that completes no message."""
        return self.inbox.take_control()

    def on_blocked(self) -> None:
        """Hold frames back: the socket takes no more."""
        self.outbox.block()

    def on_writable(self) -> None:
        """Send what waits: the socket takes frames again."""
        try:
            self.outbox.flush()
        except Exception as error:  # noqa: BLE001 - a frame that was taken from the outbox is lost: see `fail`
            self.fail(error)

    def on_ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        """Measure a protocol ping that ended."""
        self._context.observer.ping(outcome, rtt_s)
        if outcome is PingOutcome.ANSWERED:
            self.stats.measured(rtt_s)

    def on_closing(self, row: CloseRow) -> None:
        """Send ``disconnect`` before the transport closes by itself."""
        self.close(row)

    def on_closed(self, row: CloseRow, initiator: Initiator, received_code: int) -> None:
        """End: the connection is over."""
        self.ended = (row, initiator, received_code)
        with self._context.bulkhead:  # whatever is left undone here, the connection is over, and its slot free
            if row is Close.TOO_BIG:
                self.inbox.quota.refuses(LimitScope.MESSAGE_SIZE)
            self.outbox.end()
            self.expiry.stop()
        self.inbox.end()
        self._finish_if_over()
