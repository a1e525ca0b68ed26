"""Code Racer realtime: live programming races over WebSocket, observability first."""

__version__ = "0.1.0"
