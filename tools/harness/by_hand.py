"""A client that does exactly what a test says, pongs included."""

import socket
from typing import Self

from tools.harness.server import STEP_TIMEOUT_S, ServerProcess
from tools.harness.wire import CLOSE, PONG, close_frame, frame, frames, upgrade


class ByHand:
    """A connection whose pings are answered as the test says, and not by a library."""

    def __init__(self, server: ServerProcess, game_id: str, token: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), STEP_TIMEOUT_S)
        self.socket.sendall(upgrade(f"/ws/{game_id}", f"Authorization: Bearer {token}"))
        self._stream = self.socket.makefile("rb")
        self._frames = frames(self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self.socket.close()

    def next(self, opcode: int) -> bytes:
        """The payload of the next frame of a kind."""
        return next(payload for kind, payload in self._frames if kind == opcode)

    def pong(self, payload: bytes) -> None:
        """Answer a ping, or send a pong of none."""
        self.socket.sendall(frame(PONG, payload))

    def close(self) -> None:
        """Say goodbye and wait for the answer."""
        self.socket.sendall(close_frame(1000))
        self.next(CLOSE)
