"""The Python client: asyncio, reconnecting, resuming.

async with GameWebSocket(game_id, token, "wss://race.example.org") as game:
    game.on("game_started", lambda message: print(message["data"]["problem"]["title"]))
    await game.send_message("ready", {"status": "ready"})
    await game.wait_for("game_finished")
"""

from app.client.websocket import ClientError, Disconnected, GameWebSocket, Refused, Sleep, full_jitter

__all__ = ["ClientError", "Disconnected", "GameWebSocket", "Refused", "Sleep", "full_jitter"]
