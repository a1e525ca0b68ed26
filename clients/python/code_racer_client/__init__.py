"""Code Racer: a game over one WebSocket, across reconnects, with asyncio and without."""

from code_racer_client.api import Api, SyncApi
from code_racer_client.batching import MessageBatcher
from code_racer_client.errors import ClientError, Disconnected, Refused, Rejected, Unusable
from code_racer_client.metrics import WebSocketMetrics
from code_racer_client.pool import WebSocketPool
from code_racer_client.presence import Presence, Present
from code_racer_client.protocol import VERSION
from code_racer_client.reconnection import full_jitter
from code_racer_client.state import ClientState
from code_racer_client.sync import SyncGameWebSocket
from code_racer_client.typed import TypedGameWebSocket, TypedSyncGameWebSocket
from code_racer_client.websocket import GameWebSocket

__version__ = VERSION
__all__ = [
    "Api",
    "ClientError",
    "ClientState",
    "Disconnected",
    "GameWebSocket",
    "MessageBatcher",
    "Presence",
    "Present",
    "Refused",
    "Rejected",
    "SyncApi",
    "SyncGameWebSocket",
    "TypedGameWebSocket",
    "TypedSyncGameWebSocket",
    "Unusable",
    "WebSocketMetrics",
    "WebSocketPool",
    "__version__",
    "full_jitter",
]
