"""What a row gives the Python client, or has of it: a client that tells what it hands on, and metrics that raise."""

from collections.abc import Callable
from typing import Any

from code_racer_client import GameWebSocket, WebSocketMetrics

Event = dict[str, Any]


class Counted(GameWebSocket):
    """Tells what is handed on before any handler: one that never returns hides nothing."""

    count: Callable[[Event], None]

    async def handle_message(self, message: Event) -> None:
        self.count(message)
        await super().handle_message(message)


class ThrowingMetrics(WebSocketMetrics):
    """Whatever is counted raises, but for what is counted by the message."""

    def _raise(self, *_: object) -> None:
        raise ValueError("the application's own")

    record_connection = record_error = record_reconnect = record_resume = _raise  # type: ignore[assignment] # whatever it is given
