"""Drives the Python client by JSON lines: commands in, everything it hears out. The twin of driver.mjs."""

import asyncio
import contextlib
import json
import sys
import threading
from typing import Any

from code_racer_client import (
    ClientError,
    GameWebSocket,
    MessageBatcher,
    Refused,
    Rejected,
    WebSocketMetrics,
    WebSocketPool,
)
from code_racer_client.errors import Disconnected


def say(**what: Any) -> None:
    """One line."""
    print(json.dumps(what), flush=True)  # noqa: T201 - how it talks to the test


def listen(ws: GameWebSocket) -> None:
    """Tell of every message."""
    ws.on("*", lambda message: say(message=message))


async def watch(ws: GameWebSocket) -> None:
    """Tell of the end."""
    try:
        await ws.wait_closed()
    except Refused as error:
        say(end={"code": error.status, "detail": error.detail})
    except Disconnected as error:
        say(end={"code": error.code, "detail": error.reason})
    except ClientError as error:
        say(end={"code": 0, "detail": str(error)})


class Driver:
    """Executes commands."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.tasks: set[asyncio.Task[None]] = set()
        options = config.get("options", {})
        fresh: list[str] = list(config.get("fresh_tokens", []))

        def refresh() -> str:
            say(refreshed=True)
            return fresh.pop(0)

        self.options: dict[str, Any] = {
            "max_reconnect_attempts": options.get("max_reconnect_attempts", 20),
            "ping_interval_s": options.get("ping_interval_s", 30),
            "open_timeout_s": options.get("open_timeout_s", 10),
            "pong_timeout_s": options.get("pong_timeout_s", 10),
            "refresh_token": refresh if fresh else None,
            "metrics": WebSocketMetrics(),
            "sleep": self.sleep,
        } | {name: options[name] for name in ("client",) if name in options}
        self.ws = GameWebSocket(config["game_id"], config["token"], config["url"], **self.options)
        self.batcher = MessageBatcher(self.ws)
        self.pool = WebSocketPool(config["url"], **self.options)
        listen(self.ws)

    async def sleep(self, seconds: float) -> None:
        """Waits are told, and shortened: a test need not sit through a backoff."""
        say(waits_s=seconds)
        await asyncio.sleep(min(seconds, 0.05))

    async def do(self, command: dict[str, Any]) -> bool:
        """Execute; False to stop."""
        what = command["do"]
        if what == "connect":
            self.start(self.connect(self.ws))
        elif what == "send":
            await self.ws.send_message(command["type"], command["data"])
        elif what == "request":
            self.start(self.request(command["type"], command["data"]))
        elif what == "batch":
            for message in command["messages"]:
                self.batcher.add_message(message["type"], message["data"])
        elif what == "pool":
            for game_id in command["games"]:
                ws = await self.pool.get_connection(game_id, self.config["token"])
                await ws.request("ready", {"status": "not_ready"})
            say(pool=list(self.pool.connections))
            await self.pool.close()
        elif what == "metrics":
            say(metrics=self.ws.metrics.get_metrics())
        elif what == "quit":
            await self.batcher.close()
            await self.ws.disconnect()
            return False
        return True

    def start(self, coroutine: Any) -> None:
        """In the background."""
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def connect(self, ws: GameWebSocket) -> None:
        """Connect and watch."""
        with contextlib.suppress(ClientError):  # told by the watcher
            await ws.connect()
        await watch(ws)

    async def request(self, type: str, data: Any) -> None:
        """Ask and tell the answer."""
        try:
            say(answer={"seq": await self.ws.request(type, data)})
        except Rejected as error:
            say(answer={"code": error.code})
        except ClientError as error:
            say(answer={"error": str(error)})


async def main() -> None:
    """Until told to quit."""
    driver = Driver(json.loads(sys.argv[1]))
    loop, commands = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(commands.put_nowait, line)

    threading.Thread(target=read, daemon=True).start()
    while await driver.do(json.loads(await commands.get())):
        pass


asyncio.run(main())
