"""The Python client's main module under the name it had: what imports it goes on."""

from code_racer_client import ClientError, GameWebSocket

__all__ = ["ClientError", "GameWebSocket"]
