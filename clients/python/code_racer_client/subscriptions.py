"""Subscriptions to messages: handlers of every message of a type, waiters for the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from code_racer_client.errors import ClientError
from code_racer_client.message import JsonMessage, whole

Handler = Callable[[JsonMessage], Awaitable[None] | None]

KEPT: Final = 100
"""So many events can be asked for after they have come."""


class Subscriptions:
    """Handlers and waiters by message type; the type ``"*"`` stands for all."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[tuple[Handler, bool]]] = {}
        self._waiters: list[tuple[str, asyncio.Future[JsonMessage]]] = []
        self._recent: deque[JsonMessage] = deque(maxlen=KEPT)

    def add_handler(self, type: str, handler: Handler, *, once: bool = False) -> None:
        """Call `handler` with every message of a type, or with the next one."""
        self._handlers.setdefault(type, []).append((handler, once))

    def remove_handler(self, type: str, handler: Handler) -> None:
        """Call `handler` no more; one that is not there is none."""
        self._handlers[type] = [entry for entry in self._handlers.get(type, ()) if entry[0] != handler]

    def has_handlers(self, type: str) -> bool:
        """Return whether somebody listens."""
        return bool(self._handlers.get(type))

    def take_handlers(self, type: str) -> tuple[Handler, ...]:
        """Return the handlers to be called now; those of one message are gone with it."""
        entries = self._handlers.get(type, ())
        if any(once for _, once in entries):
            self._handlers[type] = [entry for entry in entries if not entry[1]]
        return tuple(handler for handler, _ in entries)

    def find(self, type: str, since: int) -> JsonMessage | None:
        """Return the first of the last events that has the type and is later than `since`."""
        return next((event for event in self._recent if event["type"] == type and event["seq"] > since), None)

    async def wait_for(self, type: str) -> JsonMessage:
        """Return the next message of a type. Raises what `fail` is told."""
        future: asyncio.Future[JsonMessage] = asyncio.get_running_loop().create_future()
        waiter = (type, future)
        self._waiters.append(waiter)
        try:
            return await future
        finally:
            self._waiters.remove(waiter)

    def forget_after(self, seq: int) -> None:
        """Forget the events after one: what comes after it from now on is new."""
        while self._recent and self._recent[-1]["seq"] > seq:
            self._recent.pop()

    def resolve_waiters(self, message: JsonMessage) -> None:
        """Give a message to those who wait for one of its type; an event also to those who come later.

        An event that comes again, as handlers have not had it, is given to nobody a second time.
        """
        seq = whole(message.get("seq"))
        if seq is not None:
            if self._recent and seq <= self._recent[-1]["seq"]:
                return
            self._recent.append(message)
        for type, future in self._waiters:
            if type == message["type"] and not future.done():
                future.set_result(message)

    def fail(self, error: ClientError) -> None:
        """Tell all who wait that nothing more will come."""
        for _, future in self._waiters:
            if not future.done():
                future.set_exception(error)
