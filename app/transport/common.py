"""What both transports have in common: a fair way in, one end, and a way out that nothing is written to after it.

How it works. All of it runs on the event loop: the socket's callbacks, the listener's, and the timers; none of them
waits. A listener that raises ends its connection and no other.

- The way in. Bytes that have come are handled frame by frame (`_step`), in turns: so much in one turn of the event
  loop, then the other connections have theirs (`_rest`). While there is something left the socket is not read. Nor is
  it while the session has enough (`pause_reading`), nor while the peer sends too many frames that are no messages.
- The way out. `write` goes straight to the socket. When its buffer is over the mark, the listener is told
  (`on_blocked`), writes no more and waits for `on_writable`; a ping that comes meanwhile is answered after that, and
  only the last one.
- The end. There is one, whoever begins it (`_end`). Where it is the transport, and neither the listener nor the peer,
  the listener may write its last messages first (`on_closing`). The last frame is written, `write` does nothing
  from then on, the listener is told who ended it and why, and the socket is cut after `close_timeout_s`. Until then it
  is read on, for the peer's close frame or its end: a socket closed with bytes unread resets the connection, and the
  peer might never see the close code. Of a peer that broke the protocol, or sends too much after the end, nothing is
  understood any more (`_stop_reading`): what comes is counted and forgotten. `_lost` is the last that happens.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from app.protocol import Close, CloseRow
from app.telemetry.observer import Observer
from app.transport.deflate import Deflate
from app.transport.framing import PONG, frame_bytes
from app.transport.lingering_close import LingeringClose
from app.transport.port import Listener
from app.vocabulary import Initiator, PingOutcome

BYTES_PER_TURN: Final = 65_536
"""What one connection may have handled in a turn: as long as a message may be by default."""
FRAME_COST: Final = 2_048
"""A frame counts as so many bytes more: 32 in a turn, a millisecond or two were all of them messages to be refused."""
MAX_FRAMES_AFTER_END: Final = 1_000
"""The peer's close frame is looked for behind so many others, far more than an honest peer has on the way."""
MAX_DISCARDED_BYTES: Final = 16 * 2**20
"""What the buffers of both ends and of a proxy may hold: whoever sends more than that does not listen, and is cut."""


class CommonTransport:
    """The common part of a `Transport`. A subclass sets `_socket` and `write`, and handles frames in `_step`."""

    __slots__ = (
        "_close_timeout_s", "_cut_timer", "_draining", "_ended", "_frames_after_end", "_is_paused", "_later",
        "_listener", "_observer", "_socket", "_unanswered_ping", "deflate", "is_lost", "is_writable", "write",
    )  # fmt: skip

    _socket: asyncio.Transport
    write: Callable[[bytes], object]

    def __init__(self, observer: Observer, close_timeout_s: float) -> None:
        self._observer = observer
        self._close_timeout_s = close_timeout_s
        self._listener: Listener | None = None
        self._ended: tuple[CloseRow, Initiator, int] | None = None
        self._cut_timer: asyncio.TimerHandle | None = None
        self._later: asyncio.Handle | None = None
        self._draining: LingeringClose | None = None
        self._unanswered_ping: bytes | None = None
        self._frames_after_end = 0
        self._is_paused = False
        self.deflate: Deflate | None = None
        self.is_lost = False
        self.is_writable = True

    # ---------------------------------------------------------------- Transport

    def attach(self, listener: Listener) -> None:
        """Tell `listener` what happens from now on, first of all if the connection has ended already."""
        self._listener = listener
        if self._ended is not None:
            self._notify(listener.on_closed, *self._ended)

    def pause_reading(self) -> None:
        """Take no more messages from the peer."""
        self._is_paused = True
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Take messages again, in the next turn, as this may be called while a frame is handled."""
        if self._is_paused:
            self._is_paused = False
            self._rest(0.0)

    def abort(self) -> None:
        """Cut the socket now."""
        self._socket.abort()

    # ---------------------------------------------------------------- the way in

    def _step(self) -> int:
        """Handle the next frame; return what it counts for (bytes), 0 where none is whole."""
        raise NotImplementedError

    def _forget(self) -> None:
        """Forget what has come and is not handled."""
        raise NotImplementedError

    def _read(self) -> None:
        """Handle what has come, as much as one turn allows; then the socket is read on."""
        left = BYTES_PER_TURN
        try:
            while left > 0 and not self._is_paused and self._later is None:
                cost = self._step()
                if not cost:
                    break
                left -= cost
        except Exception as fault:  # noqa: BLE001 - a fault in handling one connection's frame ends that connection
            self._failed(fault)
        if self._is_paused or self._later is not None:
            return
        if left > 0:
            self._socket.resume_reading()
        else:
            self._rest(0.0)

    def _rest(self, pause_s: float) -> None:
        """Stop reading for `pause_s`, at least until the next turn of the event loop."""
        if self._later is not None:
            return
        self._socket.pause_reading()
        loop = asyncio.get_running_loop()
        self._later = loop.call_later(pause_s, self._wake) if pause_s else loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._later = None
        self._read()

    def _spend(self) -> None:
        """Count a frame that completes no message: after too many of them the peer is not read for a while."""
        if self._draining is not None:
            return
        if self._ended is not None:
            self._frames_after_end += 1
            if self._frames_after_end > MAX_FRAMES_AFTER_END:
                self._stop_reading()
        elif self._listener is not None and (pause_s := self._listener.on_control_frame()):
            self._rest(pause_s)

    def _stop_reading(self) -> None:
        """Understand nothing of the peer any more: the way out is shut behind the close frame, the way in drained."""
        self._draining = LingeringClose(self._socket, MAX_DISCARDED_BYTES)
        self._is_paused = False
        self._forget()
        if self._draining.begin():
            self._rest(0.0)

    def _discard(self, draining: LingeringClose, size: int) -> None:
        """Count bytes that nobody understands; the next ones have to wait for their turn."""
        if draining.discard(size):
            self._rest(0.0)

    # ---------------------------------------------------------------- the way out

    def pause_writing(self) -> None:
        """Tell the listener that the socket's buffer is over its high-water mark."""
        self.is_writable = False
        if self._listener is not None:
            self._notify(self._listener.on_blocked)

    def resume_writing(self) -> None:
        """Answer the last ping that came meanwhile, and tell the listener that the buffer has drained."""
        self.is_writable = True
        ping, self._unanswered_ping = self._unanswered_ping, None
        if ping is not None:
            self.write(frame_bytes(PONG, ping))
        if self._listener is not None and self._ended is None:
            self._notify(self._listener.on_writable)

    # ---------------------------------------------------------------- the end

    def close(self, row: CloseRow, *, is_asked: bool = True) -> None:
        """Begin the closing handshake; the socket is cut if the peer does not answer in time.

        Unless it is the listener that asks for it, it has the last word before.
        """
        if self._ended is None and not self._socket.is_closing() and not is_asked and self._listener is not None:
            try:
                self._listener.on_closing(row)
            except Exception as fault:  # noqa: BLE001 - a fault of the listener keeps no connection open
                self._failed(fault, is_notified=False)
        if self._ended is not None:
            return
        if self._socket.is_closing():  # it has failed, and nobody can be told any more
            self._end(Close.LOST, Initiator.NETWORK)
        else:
            self._end(row, Initiator.SERVER, last=self._close_frame(row))
            self.resume_reading()  # the peer's close frame is behind what it has sent

    def _close_frame(self, row: CloseRow) -> bytes:
        """Return the bytes of it."""
        raise NotImplementedError

    def _end(self, row: CloseRow, initiator: Initiator, received_code: int = 0, last: bytes = b"") -> None:
        """End the connection, unless it has ended: `last` is written, nothing after it, and the socket cut in time."""
        if self._ended is not None:
            return
        self._ended = (row, initiator, received_code)
        self._write_last(last)
        self.write = _discarded
        self._cut_later()
        if self._listener is not None:
            self._notify(self._listener.on_closed, row, initiator, received_code)

    def _write_last(self, last: bytes) -> None:
        """Write the last bytes, unless the socket is lost, and stop what else would write."""
        raise NotImplementedError

    def _cut_later(self) -> None:
        if not self.is_lost:
            self._cut_timer = asyncio.get_running_loop().call_later(self._close_timeout_s, self._socket.abort)

    def eof_received(self) -> None:
        """End: the peer will say no more. The event loop closes the socket, once it has sent what is to be sent."""
        self._end(Close.LOST, Initiator.NETWORK)

    def _lost(self) -> None:
        """End without a socket, with 1006 if nobody had said goodbye; nothing will happen any more."""
        self.is_lost = True
        self._end(Close.LOST, Initiator.NETWORK)
        for timer in (self._cut_timer, self._later):
            if timer is not None:
                timer.cancel()
        self._listener = None

    # ---------------------------------------------------------------- the listener

    def _notify(self, call: Callable[..., None], *arguments: object) -> None:
        """Tell the listener; a fault of its own ends this connection, and nothing else."""
        try:
            call(*arguments)
        except Exception as fault:  # noqa: BLE001 - as it says
            self._failed(fault)

    def _notify_ping(self, outcome: PingOutcome, rtt_s: float = 0.0) -> None:
        if self._listener is not None:
            self._notify(self._listener.on_ping, outcome, rtt_s)

    def _failed(self, fault: Exception, *, is_notified: bool = True) -> None:
        """Count a fault and close; the listener is told before, unless that is what failed."""
        self._observer.fault("transport", fault)
        self.close(Close.INTERNAL, is_asked=not is_notified)


def _discarded(_data: bytes) -> None:
    """Write nothing: the connection has ended."""
