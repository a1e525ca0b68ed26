"""Several small messages in one frame."""

import asyncio
from typing import Any, Final

from code_racer_client.errors import ClientError
from code_racer_client.message import encode
from code_racer_client.protocol import MAX_BATCH
from code_racer_client.state import ClientState
from code_racer_client.websocket import GameWebSocket

MAX_QUEUED: Final = 1_000


class MessageBatcher:
    """Collects messages and sends them as one ``batch``: when `batch_size` wait, or after `batch_delay` ms.

    While the connection is down they wait for it, at most 1,000 of them.
    """

    def __init__(self, ws: GameWebSocket, batch_size: int = 10, batch_delay: float = 100) -> None:
        if not 1 <= batch_size <= MAX_BATCH:
            raise ValueError(f"batch_size must be 1 to {MAX_BATCH}")
        self._ws = ws
        self._batch_size = batch_size
        self._delay_s = batch_delay / 1000
        self._messages: list[dict[str, Any]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        ws.on("state", self._on_state)

    def __len__(self) -> int:
        return len(self._messages)

    def add_message(self, type: str, data: object) -> None:
        """Send a message with the next batch.

        Raises:
            ClientError: 1,000 messages wait already.
            TypeError: `data` is nothing that can be sent.
        """
        encode({"data": data})  # not when it is sent with others
        if len(self._messages) >= MAX_QUEUED:
            raise ClientError(f"{MAX_QUEUED} messages wait for the connection already")
        self._messages.append({"type": type, "data": data})
        if len(self._messages) >= self._batch_size:
            self._start()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay_s, self._start)

    async def flush(self) -> None:
        """Send what waits now; what cannot be sent now goes on waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._messages and self._ws.is_connected:
            batch = self._messages[: self._batch_size]
            del self._messages[: self._batch_size]
            try:
                await self._ws.send_message("batch", batch)
            except ClientError:
                self._messages[:0] = batch
                break

    async def close(self) -> None:
        """Send what waits and end."""
        self._ws.off("state", self._on_state)
        if self._flushing is not None:
            await self._flushing
        await self.flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_state(self, told: dict[str, Any]) -> None:
        if told["state"] == ClientState.OPEN and self._messages:
            self._start()

    def _start(self) -> None:
        self._timer = None
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self.flush(), name="batch")
