"""The peer that is nearest to the metal in Python: picows on uvloop, no framework, nothing measured."""

import json
import sys
import time
from collections import defaultdict

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

ROOMS: dict[str, dict["Member", None]] = defaultdict(dict)


class Member(WSListener):
    """One connection of a room."""

    def __init__(self, room: str, player_id: str) -> None:
        self.members = ROOMS[room]
        self.player_id = player_id
        self.seq = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.members[self] = None

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - as picows calls it
        self.members.pop(self, None)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        if frame.msg_type != WSMsgType.TEXT:
            return
        message = json.loads(frame.get_payload_as_bytes())
        type, data = message["type"], message["data"]
        if type == "ping":
            answer = {"timestamp": data["timestamp"], "server_time": int(time.time() * 1000)}
            transport.send(WSMsgType.TEXT, encode("pong", answer))
        elif type == "progress":
            payload = encode("player_progress", {"player_id": self.player_id, **data})
            for member in self.members:
                if member is not self:
                    member.transport.send(WSMsgType.TEXT, payload)
        elif type == "ready":
            self.seq += 1
            payload = encode(
                "player_ready", {"player_id": self.player_id, **data, "at": int(time.time() * 1000)}, self.seq
            )
            for member in self.members:
                member.transport.send(WSMsgType.TEXT, payload)


def encode(type: str, data: object, seq: int | None = None) -> bytes:
    message = {"type": type, "data": data} if seq is None else {"type": type, "data": data, "seq": seq}
    return json.dumps(message, separators=(",", ":")).encode()


def accept(request: WSUpgradeRequest) -> Member:
    return Member(request.path.decode(), request.headers.get("player", ""))


async def main() -> None:
    server = await ws_create_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
