"""What a session and its connection are to each other."""

from collections.abc import Callable
from typing import Final, Protocol

from app.protocol import Close, CloseRow
from app.transport.deflate import Deflate
from app.vocabulary import Initiator, PingOutcome

EXTENSION: Final = "code_racer.transport"
"""Where the ASGI scope holds the transport, in `extensions`."""

VIOLATIONS: Final = {1002: Close.WIRE_ERROR, 1007: Close.INVALID_UTF8, 1009: Close.TOO_BIG}
"""How a connection is closed whose peer broke RFC 6455, by the RFC's code."""


class Listener(Protocol):
    """What a transport calls, all on the event loop."""

    def on_text(self, payload: bytes) -> None:
        """Take a whole text message; it is UTF-8."""

    def on_binary(self, payload: bytes) -> None:
        """Take a whole binary message, which is nothing that this protocol has."""

    def on_control_frame(self) -> float:
        """Note a frame that completes no message; return for how many seconds the peer is not read, usually 0.0."""

    def on_blocked(self) -> None:
        """Write no more: the socket's buffer is over its high-water mark."""

    def on_writable(self) -> None:
        """Write on: the socket takes frames again."""

    def on_ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        """Note how a protocol ping ended."""

    def on_closing(self, row: CloseRow) -> None:
        """Write the last messages: the transport closes by itself, at the latest as soon as this returns.

        It is not called before a `close` that the listener asked for.
        """

    def on_closed(self, row: CloseRow, initiator: Initiator, received_code: int) -> None:
        """Note the end of the connection; nothing written from now on is sent. It is called exactly once.

        `received_code` is the wire's, 0 where there was none.
        """


class Transport(Protocol):
    """What a session needs of a connection. Nothing here blocks."""

    @property
    def is_writable(self) -> bool:
        """Whether the socket's buffer is below its high-water mark."""

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent."""

    @property
    def deflate(self) -> Deflate | None:
        """How frames are compressed on this connection; None: not at all."""

    @property
    def write(self) -> Callable[[bytes], object]:
        """Write the bytes of whole frames (`Frame.wire`); nothing once the connection has ended."""

    def cork(self) -> None:
        """Let what is written until this turn of the event loop ends leave the process in one write."""

    def attach(self, listener: Listener) -> None:
        """Tell `listener` what happens from now on; messages wait until `start`."""

    def start(self) -> None:
        """Deliver messages, those first that have come already."""

    def close(self, row: CloseRow) -> None:
        """Begin the closing handshake; the socket is cut if the peer does not answer in time."""

    def pause_reading(self) -> None:
        """Take no more messages from the peer."""

    def resume_reading(self) -> None:
        """Take messages again."""

    def abort(self) -> None:
        """Cut the socket now."""
