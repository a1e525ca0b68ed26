"""Bots that race; and the Python client, which is `code_racer_client`, under the name it had."""

from code_racer_client import (
    ClientError,
    ClientState,
    Disconnected,
    GameWebSocket,
    MessageBatcher,
    Refused,
    Rejected,
    Unusable,
    WebSocketMetrics,
    WebSocketPool,
    full_jitter,
)

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
