"""The Python client (asyncio): a game over one WebSocket, across reconnects."""

from app.client.batching import MessageBatcher
from app.client.errors import ClientError, Disconnected, Refused, Rejected, Unusable
from app.client.metrics import WebSocketMetrics
from app.client.pool import WebSocketPool
from app.client.reconnection import full_jitter
from app.client.state import ClientState
from app.client.websocket import GameWebSocket

__all__ = [
    "ClientError",
    "ClientState",
    "Disconnected",
    "GameWebSocket",
    "MessageBatcher",
    "Refused",
    "Rejected",
    "Unusable",
    "WebSocketMetrics",
    "WebSocketPool",
    "full_jitter",
]
