"""Bots that race: an example of the client, and something to look at a server with."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from code_racer_client import ClientError, GameWebSocket, Rejected
from code_racer_client.message import JsonMessage

PROBLEM: Final = "running-total"
SOLUTION: Final = """def solve(numbers, limit):
    total = 0
    for count, number in enumerate(numbers, 1):
        total += number
        if total > limit:
            return count
    return -1
"""
"""A solution of `PROBLEM`."""

RECONNECTS: Final = 5
"""Tries of a bot in a row: whoever has started it would rather be told that the service is gone."""

Show = Callable[[str], None]


class Bot:
    """One player: gets ready, hands in `code` when the race starts, stays to the end. `show` gets a line an event."""

    def __init__(self, name: str, ws: GameWebSocket, code: str, show: Show) -> None:
        self.name = name
        self.ws = ws
        self._code = code
        self._show = show
        self._finished: asyncio.Future[JsonMessage] = asyncio.get_running_loop().create_future()
        self._submitting: asyncio.Task[None] | None = None
        ws.on("*", self._on_message)

    async def race(self) -> JsonMessage:
        """Race to the end: the ``game_finished`` message. Raises ClientError."""
        async with self.ws:
            await self.ws.request("ready", {"status": "ready"})
            ended = asyncio.create_task(self.ws.wait_closed())
            watched: set[asyncio.Future[Any]] = {ended, self._finished}
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if not self._finished.done():
                await ended
                raise ClientError("the connection ended before the race did")
            ended.cancel()
            return self._finished.result()

    def _on_message(self, message: JsonMessage) -> None:
        type, data = str(message["type"]), message["data"]
        if "seq" in message:
            self._show(f"{self.name}: {message['seq']:3} {type} {_digest(data)}".rstrip())
        if type == "game_started" or (type == "welcome" and data["game"]["state"] == "running"):
            if self._submitting is None:
                self._submitting = asyncio.get_running_loop().create_task(self._submit(), name="submit")
        elif type == "game_finished" and not self._finished.done():
            self._finished.set_result(message)

    async def _submit(self) -> None:
        try:
            await self.ws.request("submit_code", {"code": self._code})
        except Rejected as rejected:
            self._show(f"{self.name}: {rejected}")


def _digest(data: dict[str, Any]) -> str:
    shown = ("player_id", "status", "verdict", "tests_passed", "reason", "winner")
    return " ".join(f"{key}={data[key]}" for key in shown if data.get(key) is not None)
