"""A player on a raw WebSocket: sends exactly what a test says and keeps every frame."""

import contextlib
import json
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tools.harness.server import STEP_TIMEOUT_S, ServerProcess

Message = dict[str, Any]
SOLUTION = (
    "def solve(numbers, limit):\n    total = 0\n    for count, number in enumerate(numbers, 1):\n"
    "        total += number\n        if total > limit:\n            return count\n    return -1\n"
)
WRONG = "def solve(numbers, limit):\n    return -1\n"


class Player:
    """See the module; `received` holds all messages so far.

    With 16 messages unread no close is heard, and leaving waits ten seconds: who reads little takes `max_queue=None`.
    """

    def __init__(self, server: ServerProcess, game_id: str, token: str, query: str = "", **options: Any) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{server.ws_url}/ws/{game_id}{query}"
        patient = {"open_timeout": STEP_TIMEOUT_S, "ping_interval": None}
        options = (
            {"additional_headers": headers, "compression": None, "proxy": None, "max_size": None} | patient | options
        )
        self._stack = contextlib.ExitStack()
        self.ws: ClientConnection = self._stack.enter_context(connect(url, **options))
        self.received: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def send(self, type: str, data: object = None, **more: object) -> None:
        """Send one message."""
        self.ws.send(json.dumps({"type": type, "data": {} if data is None else data, **more}))

    def receive(self) -> Message:
        """The next message.

        Raises AssertionError if none comes, with the last one there was: it may be the refusal that explains it.
        """
        try:
            message: Message = json.loads(self.ws.recv(STEP_TIMEOUT_S))
        except TimeoutError:
            last = self.received[-1] if self.received else "nothing"
            raise AssertionError(f"no message in {STEP_TIMEOUT_S} s; the last one was {last}") from None
        self.received.append(message)
        return message

    def until(self, type: str, **data: object) -> Message:
        """The next message of a type with these data; what comes before is kept too."""
        while True:
            message = self.receive()
            if message["type"] == type and all(message["data"].get(key) == value for key, value in data.items()):
                return message

    def until_closed(self) -> tuple[int, str]:
        """Receive to the end: close code and reason."""
        try:
            while True:
                self.receive()
        except ConnectionClosed as closed:
            frame = closed.rcvd
            return (frame.code, frame.reason) if frame is not None else (1006, "")

    @property
    def events(self) -> list[Message]:
        """The durable events so far."""
        return [message for message in self.received if "seq" in message]

    def drop(self) -> None:
        """Vanish without a close frame."""
        self.ws.socket.shutdown(2)
        self.ws.socket.close()
