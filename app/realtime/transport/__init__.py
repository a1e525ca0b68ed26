"""The transport: frames in and out of one WebSocket, and an exact account of how it ended.

uvicorn listens and Litestar answers the handshake; after it the session gets messages by a callback and writes frames
straight to the socket. `LeanTransport` is ours, `UvicornTransport` (``WS_TRANSPORT=uvicorn``) uvicorn's own protocol;
both pass the same tests.
"""

from app.realtime.transport.deflate import Deflate
from app.realtime.transport.lean import LeanConfig, LeanTransport
from app.realtime.transport.port import EXTENSION, Listener, Transport
from app.realtime.transport.upgrade import PROBLEM_HEADERS, http_answer
from app.realtime.transport.uvicorn import UvicornTransport
from app.realtime.transport.wire import Frame, text_frame

__all__ = [
    "EXTENSION", "PROBLEM_HEADERS", "Deflate", "Frame", "LeanConfig", "LeanTransport", "Listener", "Transport",
    "UvicornTransport", "http_answer", "text_frame",
]  # fmt: skip
