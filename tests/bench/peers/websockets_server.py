"""The `websockets` library's own server."""

import json
import logging
import sys
import time
from collections import defaultdict

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

ROOMS: dict[str, set[ServerConnection]] = defaultdict(set)


def encode(type: str, data: object, seq: int | None = None) -> str:
    message = {"type": type, "data": data} if seq is None else {"type": type, "data": data, "seq": seq}
    return json.dumps(message, separators=(",", ":"))


async def play(socket: ServerConnection) -> None:
    assert socket.request is not None
    members, player_id, seq = ROOMS[socket.request.path], socket.request.headers.get("player", ""), 0
    members.add(socket)
    try:
        async for raw in socket:
            message = json.loads(raw)
            type, data = message["type"], message["data"]
            if type == "ping":
                answer = {"timestamp": data["timestamp"], "server_time": int(time.time() * 1000)}
                await socket.send(encode("pong", answer))
            elif type == "progress":
                broadcast(members - {socket}, encode("player_progress", {"player_id": player_id, **data}))
            elif type == "ready":
                seq += 1
                stamped = {"player_id": player_id, **data, "at": int(time.time() * 1000)}
                broadcast(members, encode("player_ready", stamped, seq))
    finally:
        members.discard(socket)


async def main() -> None:
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # clients that end without a word are no news here
    async with serve(play, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
