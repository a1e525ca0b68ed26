"""A bad network on wish: what developers of clients ask for by ``?chaos=…``, in ENVIRONMENT=development alone."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

from app.protocol import CLOSE_TABLE, CloseRow
from app.transport.port import Listener, Transport
from app.vocabulary import Initiator, PingOutcome

MAX_MS: Final = 600_000
_CLOSES: Final = {row.reason: row for row in CLOSE_TABLE if Initiator.SERVER in row.initiators}
_SYNTAX: Final = (
    "chaos is a list like latency_ms:200,loss_pct:5,cut_ms:10000,close:overloaded,close_ms:5000, and the reason of a"
    f" close one of {', '.join(_CLOSES)}"
)


@dataclass(frozen=True, slots=True)
class Chaos:
    """What becomes of a connection: how late and how many of the messages come, and after how long it ends, and how."""

    latency_ms: float = 0.0
    loss_pct: float = 0.0
    cut_ms: float | None = None
    close: CloseRow | None = None
    close_ms: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what a client asks for. Raises ValueError."""
        wishes: dict[str, Any] = {}
        for part in text.split(","):
            name, _, value = part.partition(":")
            if name in wishes or name not in _PARSERS:
                raise ValueError(_SYNTAX)
            try:
                wishes[name] = _PARSERS[name](value)
            except (KeyError, ValueError):
                raise ValueError(_SYNTAX) from None
        return cls(**wishes)


def _at_most(most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = float(text)
        if not 0 <= number <= most:
            raise ValueError
        return number

    return parse


_PARSERS: Final[dict[str, Callable[[str], object]]] = {
    "latency_ms": _at_most(MAX_MS),
    "loss_pct": _at_most(100),
    "cut_ms": _at_most(MAX_MS),
    "close": _CLOSES.__getitem__,
    "close_ms": _at_most(MAX_MS),
}


class UnsteadyTransport:
    """A transport between a session and its own one: messages come late, or not at all; it ends before its time.

    Both ways keep their order. What the transport itself says (pings, the closing handshake) is as quick as ever.
    """

    deflate = None  # a frame that is lost would break the state of what is compressed after it

    def __init__(self, transport: Transport, chaos: Chaos) -> None:
        self._transport = transport
        self._chaos = chaos
        self._listener: Listener | None = None
        self._late: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._ends: list[asyncio.TimerHandle] = []

    # ---------------------------------------------------------------- Transport

    @property
    def is_writable(self) -> bool:
        """Whether the socket's buffer is below its high-water mark."""
        return self._transport.is_writable

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent."""
        return self._transport.is_open

    def write(self, data: bytes) -> None:
        """Write the bytes of whole frames, later; or not at all."""
        if random.uniform(0, 100) >= self._chaos.loss_pct:  # noqa: S311 - chaos
            self._later(self._transport.write, data)

    def cork(self) -> None:
        """Let what is written until this turn of the event loop ends leave the process in one write."""
        self._transport.cork()

    def attach(self, listener: Listener) -> None:
        """Tell `listener` what happens from now on."""
        self._listener = listener
        self._transport.attach(self)

    def start(self) -> None:
        """Deliver messages, and begin to wait for the end."""
        loop, chaos = asyncio.get_running_loop(), self._chaos
        if chaos.cut_ms is not None:
            self._ends.append(loop.call_later(chaos.cut_ms / 1000, self.abort))
        if chaos.close is not None:
            self._ends.append(loop.call_later(chaos.close_ms / 1000, self.on_closing, chaos.close))
        self._transport.start()

    def close(self, row: CloseRow) -> None:
        """Begin the closing handshake, after what is late."""
        self._later(self._transport.close, row)

    def pause_reading(self) -> None:
        """Take no more messages from the peer."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take messages again."""
        self._transport.resume_reading()

    def abort(self) -> None:
        """Cut the socket now."""
        self._transport.abort()

    # ---------------------------------------------------------------- Listener

    def on_text(self, payload: bytes) -> None:
        """Hand a message on, later."""
        self._tell_later("on_text", payload)

    def on_binary(self, payload: bytes) -> None:
        """Hand a message on, later."""
        self._tell_later("on_binary", payload)

    def on_control_frame(self) -> float:
        """Hand on that there was one."""
        return 0.0 if self._listener is None else self._listener.on_control_frame()

    def on_blocked(self) -> None:
        """Hand on that the socket takes no more."""
        self._tell("on_blocked")

    def on_writable(self) -> None:
        """Hand on that the socket takes frames again."""
        self._tell("on_writable")

    def on_ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        """Hand on how a protocol ping ended."""
        self._tell("on_ping", outcome, rtt_s)

    def on_closing(self, row: CloseRow) -> None:
        """Have the last messages written."""
        self._tell("on_closing", row)

    def on_closed(self, row: CloseRow, initiator: Initiator, received_code: int) -> None:
        """Hand on the end, after the messages before it."""
        for end in self._ends:
            end.cancel()
        self._tell_later("on_closed", row, initiator, received_code)

    # ---------------------------------------------------------------- inside

    def _tell(self, method: str, *arguments: object) -> None:
        if self._listener is not None:
            getattr(self._listener, method)(*arguments)

    def _tell_later(self, method: str, *arguments: object) -> None:
        self._later(self._tell, method, *arguments)

    def _later(self, call: Callable[..., object], *arguments: object) -> None:
        """Call in the order in which this was called."""
        if not self._chaos.latency_ms:
            call(*arguments)
            return
        self._late.append((call, arguments))
        asyncio.get_running_loop().call_later(self._chaos.latency_ms / 1000, self._call_next)

    def _call_next(self) -> None:
        call, arguments = self._late.popleft()
        call(*arguments)
