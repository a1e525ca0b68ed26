"""What most Python services are: FastAPI on uvicorn as it comes, without deflate."""

import json
import socket
import time
from collections import defaultdict

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

ROOMS: dict[str, set[WebSocket]] = defaultdict(set)
app = FastAPI()


def encode(type: str, data: object, seq: int | None = None) -> str:
    message = {"type": type, "data": data} if seq is None else {"type": type, "data": data, "seq": seq}
    return json.dumps(message, separators=(",", ":"))


@app.websocket("/ws/{room}")
async def play(ws: WebSocket, room: str) -> None:
    await ws.accept()
    members, player_id, seq = ROOMS[room], ws.headers.get("player", ""), 0
    members.add(ws)
    try:
        while True:
            message = json.loads(await ws.receive_text())
            type, data = message["type"], message["data"]
            if type == "ping":
                answer = {"timestamp": data["timestamp"], "server_time": int(time.time() * 1000)}
                await ws.send_text(encode("pong", answer))
            elif type == "progress":
                text = encode("player_progress", {"player_id": player_id, **data})
                for one in tuple(members):
                    if one is not ws:
                        await one.send_text(text)
            elif type == "ready":
                seq += 1
                stamped = {"player_id": player_id, **data, "at": int(time.time() * 1000)}
                text = encode("player_ready", stamped, seq)
                for one in tuple(members):
                    await one.send_text(text)
    except WebSocketDisconnect:
        pass
    finally:
        members.discard(ws)


class Server(uvicorn.Server):
    """Says its port."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)


if __name__ == "__main__":
    config = uvicorn.Config(app, port=0, ws_per_message_deflate=False, log_level="error", ws_ping_interval=None)
    Server(config).run()
