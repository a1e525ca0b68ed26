"""The transport: frames in and out of one WebSocket, and an exact account of how it ended.

uvicorn listens and Litestar answers the handshake; after it the session gets messages by a callback and writes frames
straight to the socket. `LeanTransport` is ours, `UvicornTransport` (``WS_TRANSPORT=uvicorn``) uvicorn's own protocol;
both pass the same tests.
"""

from app.transport.deflate import Deflate
from app.transport.framing import TEXT_HEADS, Frame, text_frame
from app.transport.lean import LeanContext, LeanTransport
from app.transport.port import EXTENSION, Listener, Transport
from app.transport.unsteady import Chaos, UnsteadyTransport
from app.transport.uvicorn import UvicornTransport

__all__ = [
    "EXTENSION", "TEXT_HEADS", "Chaos", "Deflate", "Frame", "LeanContext", "LeanTransport", "Listener", "Transport",
    "UnsteadyTransport", "UvicornTransport", "text_frame",
]  # fmt: skip
