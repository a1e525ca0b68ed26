"""From frames to messages and back: one JSON text frame is one message."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from app.protocol.client import BATCH, CLIENT_MESSAGES, CLIENT_TYPES, MAX_BATCH, ClientMessage, MessageId, RawBatch
from app.protocol.server import EventData, ServerData
from app.vocabulary import ErrorCode


class InvalidMessage(Exception):  # noqa: N818 - names what it is, as the protocol page does
    """A frame that is no valid message; the connection lives on.

    `type` is the message type as far as it is known and one of ours, else ``other``.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        id: str | None = None,
        type: str = "other",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.id = id
        self.type = type


class _Envelope(Struct, frozen=True):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"{}")
    id: MessageId | None = None
    traceparent: str | None = None


_QUOTED: Final = re.compile(r" '.*'", re.DOTALL)
MALFORMED: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding raises for whatever was sent: the last for what is nested without end."""
_decode_message: Callable[[bytes | str | msgspec.Raw], ClientMessage | RawBatch] = msgspec.json.Decoder(
    reduce(or_, CLIENT_MESSAGES, RawBatch)
).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_data = {name: msgspec.json.Decoder(kind).decode for name, kind in CLIENT_TYPES.items()}
encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Batch:
    """A decoded ``batch``: each item is a message or the reason it is none, in order."""

    type: ClassVar[str] = BATCH
    items: tuple[ClientMessage | InvalidMessage, ...]
    id: str | None = None


def decode(frame: bytes | str, max_batch: int = MAX_BATCH) -> ClientMessage | Batch:
    """Decode one text frame; a batch may hold `max_batch` messages.

    Raises:
        InvalidMessage: not JSON, an unknown type or a wrong shape.
    """
    try:
        message = _decode_message(frame)
    except MALFORMED:
        raise _mistake(frame) from None
    return _batch(message, max_batch) if isinstance(message, RawBatch) else message


def _mistake(frame: bytes | str | msgspec.Raw) -> InvalidMessage:
    """Say what is wrong with an invalid frame, decoded part by part, so that its type and id can be named."""
    try:
        envelope = _decode_envelope(frame)
    except msgspec.ValidationError as error:
        return InvalidMessage(ErrorCode.INVALID_DATA, f"not a message: {_shape(error)}")
    except MALFORMED:
        return InvalidMessage(ErrorCode.INVALID_JSON, "the frame is not valid JSON")
    type, id = envelope.type, envelope.id
    if type == BATCH:
        return InvalidMessage(ErrorCode.INVALID_DATA, "batch: data must be an array of messages", id=id, type=BATCH)
    decode_data = _decode_data.get(type)
    if decode_data is None:
        known = ", ".join((*CLIENT_TYPES, BATCH))
        return InvalidMessage(ErrorCode.UNKNOWN_TYPE, f"unknown message type; known are: {known}", id=id)
    try:
        decode_data(envelope.data)
    except msgspec.ValidationError as error:
        return InvalidMessage(ErrorCode.INVALID_DATA, f"{type}: {_shape(error)}", id=id, type=type)
    except MALFORMED:
        pass
    return InvalidMessage(ErrorCode.INVALID_JSON, "the frame is not valid JSON", id=id, type=type)


def _shape(error: msgspec.ValidationError) -> str:
    """Say what is wrong with the shape, without the value that was sent."""
    return _QUOTED.sub("", str(error))


def _batch(batch: RawBatch, max_batch: int) -> Batch:
    count = len(batch.data)
    if count > max_batch:
        text = f"batch: {count} messages, at most {max_batch} are allowed"
        raise InvalidMessage(ErrorCode.BATCH_TOO_LARGE, text, id=batch.id, type=BATCH)
    return Batch(tuple(_batch_item(raw) for raw in batch.data), batch.id)


def _batch_item(raw: msgspec.Raw) -> ClientMessage | InvalidMessage:
    try:
        message = _decode_message(raw)
    except MALFORMED:
        return _mistake(raw)
    if isinstance(message, RawBatch):
        text = "batch: a batch cannot hold a batch"
        return InvalidMessage(ErrorCode.INVALID_DATA, text, id=message.id, type=BATCH)
    return message


class _MessageEnvelope(Struct, frozen=True):
    type: str
    data: ServerData


class _EventEnvelope(Struct, frozen=True):
    type: str
    data: EventData
    seq: int


def encode_message(data: ServerData) -> bytes:
    """Encode a message about the moment."""
    return encode(_MessageEnvelope(data.type, data))


def pong(timestamp: int, server_time: int) -> bytes:
    """Encode a `PongData` of whole numbers, in half the time."""
    return b'{"type":"pong","data":{"timestamp":%d,"server_time":%d}}' % (timestamp, server_time)


def encode_event(data: EventData, seq: int) -> bytes:
    """Encode the message of the durable event that is number `seq` of its game."""
    return encode(_EventEnvelope(data.type, data, seq))
