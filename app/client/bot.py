"""Bots that race: an example of the client, and something to look at a server with."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from app.client.errors import ClientError, Refused, Rejected
from app.client.message import JsonMessage
from app.client.websocket import GameWebSocket

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


@dataclass(frozen=True, slots=True)
class Api:
    """The HTTP side of a service at `url`, like ``http://localhost:8080``; a request fails after `timeout_s`."""

    url: str
    timeout_s: float = 30.0

    @property
    def ws_url(self) -> str:
        """The WebSocket side."""
        return self.url.replace("http", "ws", 1)

    async def guest(self, name: str) -> str:
        """Get a guest's token. Raises ClientError."""
        return await self._post("/api/guests", {"name": name}, None, "token")

    async def new_game(self, token: str, **wishes: object) -> str:
        """Create a game and return its id. Raises ClientError."""
        return await self._post("/api/games", wishes, token, "game_id")

    async def _post(self, path: str, body: object, token: str | None, wanted: str) -> str:
        """Send a request and return what its answer has under the name `wanted`. Raises ClientError."""
        headers = {"content-type": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)  # noqa: S310 - the URL is the caller's

        def send() -> str:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310 - as above
                return str(json.load(answer)[wanted])

        try:
            return await asyncio.to_thread(send)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, f"{path}: {_detail(error)}") from None
        except (ValueError, KeyError, TypeError):
            raise ClientError(f"{self.url}{path} was answered by something that is no Code Racer") from None
        except OSError as error:
            raise ClientError(f"cannot reach {self.url}: {error}") from None


def _detail(error: urllib.error.HTTPError) -> str:
    """Return the service's own words; those of HTTP where a proxy on the way has answered."""
    try:
        return str(json.loads(error.read())["detail"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


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
