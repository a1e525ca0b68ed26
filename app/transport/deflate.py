"""Compression of messages (RFC 7692, permessage-deflate) without context takeover.

So a connection holds no window between messages, and a frame is compressed once for all who are sent it. Messages under
a size stay as they are: what is saved would not pay. Offers are judged by `websockets`.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import Final

from websockets.exceptions import InvalidHeaderFormat, NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.headers import build_extension, parse_extension
from websockets.typing import ExtensionParameter

from app.transport.framing import PROTOCOL_ERROR, TOO_BIG, Frame, Violation, deflated_frame

_NAME: Final = "permessage-deflate"
_WINDOW_BITS: Final = 12
_MEMORY_LEVEL: Final = 5
_END: Final = b"\x00\x00\xff\xff"
"""An empty block, which every message would end with and so none does (section 7.2.1)."""


class _Factory(ServerPerMessageDeflateFactory):
    """Accepts what all clients can be sent the same frames under."""

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        answer, extension = super().process_request_params(params, accepted_extensions)
        if extension.local_max_window_bits != _WINDOW_BITS:
            raise NegotiationError("frames are compressed once for all, with one window")
        return answer, extension


class Deflate:
    """What all connections of a server share; `min_bytes` is the smallest payload that is compressed."""

    def __init__(self, min_bytes: int) -> None:
        self._min_bytes = min_bytes
        self.factory: Final = _Factory(
            server_no_context_takeover=True, client_no_context_takeover=True, server_max_window_bits=_WINDOW_BITS
        )

    def negotiate(self, offers: Iterable[bytes]) -> bytes | None:
        """Return the value of Sec-WebSocket-Extensions to answer with; None: no offer can be accepted.

        Raises:
            ValueError: an offer is no list of extensions.
        """
        for offer in offers:
            try:
                parsed = parse_extension(offer.decode("latin-1"))
            except InvalidHeaderFormat as error:
                raise ValueError(str(error)) from None
            for name, params in parsed:
                if name == _NAME and (answer := self._answer(params)) is not None:
                    return answer
        return None

    def _answer(self, params: Sequence[ExtensionParameter]) -> bytes | None:
        try:
            answer, _ = self.factory.process_request_params(params, [])
        except NegotiationError:
            return None
        return build_extension([(self.factory.name, answer)]).encode()

    def wire(self, frame: Frame) -> bytes:
        """Return the bytes of a frame for a connection that takes compressed ones; compressed the first time only."""
        if frame.size < self._min_bytes:
            return frame.wire
        if not frame.deflated:
            frame.deflated = self._deflated(frame)
        return frame.deflated

    def _deflated(self, frame: Frame) -> bytes:
        codec = zlib.compressobj(wbits=-_WINDOW_BITS, memLevel=_MEMORY_LEVEL)
        payload = codec.compress(frame.payload) + codec.flush(zlib.Z_SYNC_FLUSH)
        wire = deflated_frame(payload.removesuffix(_END))
        return min(wire, frame.wire, key=len)


def inflate(payload: bytes, max_size: int) -> bytes:
    """Return the message that was compressed; never more than `max_size` bytes are held. Raises Violation."""
    codec = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        message = codec.decompress(payload + _END, max_size + 1)
    except zlib.error:
        raise Violation(PROTOCOL_ERROR) from None
    if len(message) > max_size:
        raise Violation(TOO_BIG)
    return message
