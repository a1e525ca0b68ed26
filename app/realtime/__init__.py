"""Connections, rooms and the hub: what this project exists for.

A `Session` is one connection, a `Room` one game on this replica. A room decides with the pure rules, appends to the
event log, and fans out what the log accepted. The `Hub` makes, starts and closes all parts; how they work
together stands at the top of `hub`, `room.room` and `connection.session`.
"""

from app.realtime.connection.session import Session, SessionConfig
from app.realtime.hub import Hub, HubConfig
from app.realtime.room.room import Room
from app.transport import Deflate, LeanConfig, LeanTransport, Transport, UvicornTransport

__all__ = [
    "Deflate", "Hub", "HubConfig", "LeanConfig", "LeanTransport", "Room", "Session", "SessionConfig", "Transport",
    "UvicornTransport",
]  # fmt: skip
