"""What both transports have in common: a fair way in, one end, and a way out that nothing is written to after it.

A connection is read in turns: so much in one turn of the event loop, then the others have theirs. It is not read
while the session has enough, nor while the peer sends too many frames that are no messages. Once the connection has
ended it is read on until the peer is gone: a socket closed with bytes unread resets the connection, and the peer
might never see the close code.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from app.protocol import Close, CloseRow
from app.telemetry.observer import Observer
from app.transport.port import Listener
from app.vocabulary import Initiator

BYTES_PER_TURN: Final = 65_536
"""What one connection may have handled in a turn: as long as a message may be by default."""
FRAME_COST: Final = 2_048
"""A frame counts as so many bytes more: 32 in a turn, a millisecond or two were all of them messages to be refused."""
MAX_FRAMES_AFTER_END: Final = 1_000
"""The peer's close frame is looked for behind so many others, far more than an honest peer has on the way."""
MAX_DISCARDED_BYTES: Final = 16 * 2**20
"""What the buffers of both ends and of a proxy may hold: whoever sends more than that does not listen, and is cut."""


class Connection:
    """See the module. `_socket` is set by the subclass, and `_step` handles the next frame of what has come."""

    __slots__ = (
        "_cut_timer", "_discarded", "_ended", "_is_deaf", "_is_lost", "_is_paused", "_later", "_listener", "_observer",
        "_socket",
    )  # fmt: skip

    _socket: asyncio.Transport

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._listener: Listener | None = None
        self._ended: tuple[CloseRow, Initiator, int] | None = None
        self._cut_timer: asyncio.TimerHandle | None = None
        self._later: asyncio.Handle | None = None
        self._is_paused = False
        self._is_deaf = False
        self._is_lost = False
        self._discarded = 0

    @property
    def _close_timeout_s(self) -> float:
        """The peer has so long to end the closing handshake."""
        raise NotImplementedError

    # ---------------------------------------------------------------- Transport

    def attach(self, listener: Listener) -> None:
        """See `Transport.attach`."""
        self._listener = listener
        if self._ended is not None:
            self._tell(listener.on_closed, *self._ended)

    def pause_reading(self) -> None:
        """See `Transport.pause_reading`."""
        self._is_paused = True
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        """See `Transport.resume_reading`; in the next turn, as this may be called while a frame is handled."""
        if self._is_paused:
            self._is_paused = False
            self._rest(0.0)

    def abort(self) -> None:
        """See `Transport.abort`."""
        self._socket.abort()

    # ---------------------------------------------------------------- the way in

    def _step(self) -> int:
        """Handle the next frame; what it counts for (bytes), 0 where none is whole."""
        raise NotImplementedError

    def _forget(self) -> None:
        """What has come and is not handled is of no use any more."""
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
        """Read no more for so long, at least until the next turn of the event loop."""
        if self._later is not None:
            return
        self._socket.pause_reading()
        loop = asyncio.get_running_loop()
        self._later = loop.call_later(pause_s, self._wake) if pause_s else loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._later = None
        self._read()

    def _spend(self) -> None:
        """A frame came that completes no message: too many of them, and the peer is not read for a while."""
        if self._is_deaf:
            return
        if self._ended is not None:
            self._discarded += 1
            if self._discarded > MAX_FRAMES_AFTER_END:
                self._deafen()
        elif self._listener is not None and (pause_s := self._listener.on_control_frame()):
            self._rest(pause_s)

    def _deafen(self) -> None:
        """Nothing of the peer counts any more: the way out is shut behind the close frame, the way in drained."""
        self._is_deaf = True
        self._is_paused = False
        self._discarded = 0
        self._forget()
        if self._socket.is_closing():
            return
        if self._socket.can_write_eof():
            self._socket.write_eof()
            self._rest(0.0)
        else:  # TLS says that it ends, and drains by itself
            self._socket.close()

    def _discard(self, size: int) -> None:
        """So many bytes came that nobody understands."""
        self._discarded += size
        if self._discarded > MAX_DISCARDED_BYTES:
            self._socket.abort()
        else:
            self._rest(0.0)

    # ---------------------------------------------------------------- the end

    def close(self, row: CloseRow) -> None:
        """See `Transport.close`."""
        if self._ended is not None:
            return
        if self._socket.is_closing():  # it has failed, and nobody can be told any more
            self._end(Close.LOST, Initiator.NETWORK)
        else:
            self._end(row, Initiator.SERVER, last=self._close_frame(row))
            self.resume_reading()  # the peer's close frame is behind what it has sent

    def _close_frame(self, row: CloseRow) -> bytes:
        """The bytes of it."""
        raise NotImplementedError

    def _end(self, row: CloseRow, initiator: Initiator, received_code: int = 0, last: bytes = b"") -> None:
        """The connection is over, if it was not: `last` is written, nothing after it, and the socket cut in time."""
        if self._ended is not None:
            return
        self._ended = (row, initiator, received_code)
        self._shut_up(last)
        if not self._is_lost:
            self._cut_timer = asyncio.get_running_loop().call_later(self._close_timeout_s, self._socket.abort)
        if self._listener is not None:
            self._tell(self._listener.on_closed, row, initiator, received_code)

    def _shut_up(self, last: bytes) -> None:
        """Write `last`, and see to it that `write` does nothing from now on."""
        raise NotImplementedError

    def _lost(self) -> None:
        """The socket is gone; 1006 if nobody had said goodbye. Nothing will happen any more."""
        self._is_lost = True
        self._end(Close.LOST, Initiator.NETWORK)
        for timer in (self._cut_timer, self._later):
            if timer is not None:
                timer.cancel()
        self._listener = None

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        """Tell the listener; a fault of its own ends this connection, and nothing else."""
        try:
            call(*arguments)
        except Exception as fault:  # noqa: BLE001 - as it says
            self._failed(fault)

    def _failed(self, fault: Exception) -> None:
        self._observer.fault("transport", fault)
        self.close(Close.INTERNAL)


def nowhere(_data: bytes) -> None:
    """`Transport.write` of a connection that has ended."""
