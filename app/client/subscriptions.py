"""Subscriptions to messages: handlers of every message of a type, waiters for the next one."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from app.client.message import JsonMessage

Handler = Callable[[JsonMessage], Awaitable[None] | None]


class Subscriptions:
    """Handlers and waiters by message type; the type ``"*"`` stands for all."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[Handler]] = {}
        self._waiters: list[tuple[str, asyncio.Future[JsonMessage]]] = []

    def add_handler(self, type: str, handler: Handler) -> None:
        """Call `handler` with every message of a type."""
        self._handlers.setdefault(type, []).append(handler)

    def add_waiter(self, type: str) -> asyncio.Future[JsonMessage]:
        """Return the future of the next message of a type."""
        future: asyncio.Future[JsonMessage] = asyncio.get_running_loop().create_future()
        self._waiters.append((type, future))
        return future

    async def call_handlers(self, message: JsonMessage) -> None:
        """Call the handlers of a message's type, then those of all; each is awaited before the next is called."""
        for handler in (*self._handlers.get(str(message["type"]), ()), *self._handlers.get("*", ())):
            answer = handler(message)
            if inspect.isawaitable(answer):
                await answer

    def resolve_waiters(self, message: JsonMessage) -> None:
        """Give a message to those who waited for one of its type."""
        waiting = [future for type, future in self._waiters if type == message["type"]]
        self._waiters = [(type, future) for type, future in self._waiters if type != message["type"]]
        for future in waiting:
            if not future.done():
                future.set_result(message)
