"""The Python client (asyncio): a game over one WebSocket, across reconnects."""

from app.client.batching import MessageBatcher
from app.client.metrics import WebSocketMetrics
from app.client.pool import WebSocketPool
from app.client.websocket import (
    ClientError,
    Disconnected,
    GameWebSocket,
    Refused,
    Rejected,
    full_jitter,
)

__all__ = [
    "ClientError",
    "Disconnected",
    "GameWebSocket",
    "MessageBatcher",
    "Refused",
    "Rejected",
    "WebSocketMetrics",
    "WebSocketPool",
    "full_jitter",
]
