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
        """A whole text message; it is UTF-8."""

    def on_binary(self, payload: bytes) -> None:
        """A whole binary message, which this protocol does not take."""

    def on_control_frame(self) -> float:
        """A frame came that completes no message; for so many seconds no more of the peer is read, usually 0.0."""

    def on_blocked(self) -> None:
        """The socket's buffer is over its high-water mark: nothing more should be written."""

    def on_writable(self) -> None:
        """The socket takes frames again."""

    def on_ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        """A protocol ping ended."""

    def on_closed(self, row: CloseRow, initiator: Initiator, received_code: int) -> None:
        """The connection has ended, nothing that is written from now on is sent; called exactly once.

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
        """Write the bytes of whole frames (`wire.Frame`); nothing once the connection has ended."""

    def cork(self) -> None:
        """What is written until this turn of the event loop ends may leave the process in one write."""

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
