"""Connections, rooms and the hub: what this project exists for.

A `Session` is one connection, a `Room` one game on this replica. A room decides with the pure rules, appends to the
event log, and fans out what the log accepted. The `Hub` makes, starts and closes all parts; how they work
together stands at the top of `hub`, `room.room` and `connection.session`.
"""

from app.realtime.connection.session import Session
from app.realtime.hub import Hub
from app.realtime.room.room import Room
from app.transport import Deflate, LeanContext, LeanTransport, Transport, UvicornTransport

__all__ = [
    "Deflate", "Hub", "LeanContext", "LeanTransport", "Room", "Session", "Transport",
    "UvicornTransport",
]  # fmt: skip
