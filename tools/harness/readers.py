"""Members that read when the test wants it, and one that does not."""

import asyncio
import contextlib
import json
import socket
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tools.harness.server import ServerProcess
from tools.harness.tokens import token

CHATTER = json.dumps({"type": "ping", "data": {"timestamp": 1}, "id": "x" * 64})


def small_socket(server: ServerProcess) -> socket.socket:
    """A socket with the smallest receive buffer: the kernel takes little for a reader that does not read."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", int(server.settings["PORT"])))
    return one


async def member(server: ServerProcess, game_id: str, name: str, query: str = "", **options: Any) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token(name)}"}
    url = f"{server.ws_url}/ws/{game_id}{query}"
    options = {"proxy": None, "compression": None, "max_queue": None, "ping_interval": None} | options
    return await connect(url, additional_headers=headers, **options)


async def until(ws: ClientConnection, type: str, **data: object) -> list[dict[str, Any]]:
    """All messages up to the one looked for."""
    seen = []
    while True:
        seen.append(json.loads(await ws.recv()))
        if seen[-1]["type"] == type and all(seen[-1]["data"].get(key) == value for key, value in data.items()):
            return seen


async def talk(ws: ClientConnection) -> None:
    """Ask without ever reading the answers, which fill the kernel's buffers and then the outbox."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await ws.send(CHATTER)
            await asyncio.sleep(0)  # the others' turn
