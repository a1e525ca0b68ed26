"""A few games at once."""

from typing import Any

from code_racer_client.state import ClientState
from code_racer_client.websocket import GameWebSocket


class WebSocketPool:
    """Keeps at most `max_connections` games connected; for one more, the oldest is disconnected.

    `options` go to every `GameWebSocket`.
    """

    def __init__(self, backend_url: str, max_connections: int = 5, **options: Any) -> None:  # noqa: ANN401 - GameWebSocket's own
        self.max_connections = max_connections
        self.connections: dict[str, GameWebSocket] = {}
        self._backend_url = backend_url
        self._options = options

    async def get_connection(self, game_id: str, token: str) -> GameWebSocket:
        """Return the connection of a game, new if there is none. Raises as `GameWebSocket.connect` does.

        Whoever asks while it is being made gets the same.
        """
        ws = self.connections.get(game_id)
        if ws is None or ws.state is ClientState.CLOSED:
            self.connections.pop(game_id, None)
            ws = self.connections[game_id] = GameWebSocket(game_id, token, self._backend_url, **self._options)
            while len(self.connections) > self.max_connections:
                oldest = next(iter(self.connections))
                await self.connections.pop(oldest).disconnect()
        if ws.state in {ClientState.IDLE, ClientState.CONNECTING}:
            await ws.connect()
        return ws

    async def close(self) -> None:
        """Disconnect all."""
        while self.connections:
            await self.connections.popitem()[1].disconnect()
