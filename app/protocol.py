"""The wire: messages, codec and the close table.

One JSON text frame is one message, ``{"type": string, "data": object, ...}``. This module is the single
source of the message types, the error codes and the close codes: the server, the Python client, the
metric labels and the documentation derive from it. Times are epoch milliseconds.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta, Struct

SUBPROTOCOL: Final = "code-racer.v1"
TOKEN_SUBPROTOCOL_PREFIX: Final = "bearer."  # noqa: S105 - a prefix, not a token
MAX_BATCH: Final = 50
MAX_ID_LENGTH: Final = 64
MAX_TOKEN_LENGTH: Final = 8_192

# ------------------------------------------------------------------------------------ client → server

MessageId = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
Language = Literal["python"]


class Ready(Struct, frozen=True):
    """``ready``: the player is, or is no longer, ready to start."""

    status: Literal["ready", "not_ready"] = "ready"


class Ping(Struct, frozen=True):
    """``ping``: answered by ``pong``; `rtt_ms` is the round trip the client measured last."""

    timestamp: int | float
    rtt_ms: Annotated[float, Meta(ge=0, le=600_000)] | None = None


class SubmitCode(Struct, frozen=True):
    """``submit_code``: a solution to be judged."""

    code: Annotated[str, Meta(min_length=1)]
    language: Language = "python"


class Progress(Struct, frozen=True):
    """``progress``: how far the player is; shown to the others, never stored."""

    percent: Annotated[float, Meta(ge=0, le=100)] | None = None
    lines: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class Leave(Struct, frozen=True):
    """``leave``: out of the game for good; answered by ``player_left`` and close 1000."""


class Auth(Struct, frozen=True):
    """``auth``: the first message of a connection that came without a token, or a fresh token for a running one."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN_LENGTH)]


BATCH: Final = "batch"

ClientData = Ready | Ping | SubmitCode | Progress | Leave | Auth

CLIENT_TYPES: Final[dict[str, type[ClientData]]] = {
    "ready": Ready,
    "ping": Ping,
    "submit_code": SubmitCode,
    "progress": Progress,
    "leave": Leave,
    "auth": Auth,
}
RECEIVED_TYPES: Final = (*CLIENT_TYPES, BATCH, "other")
"""Label values of received messages; what the server does not know is `other`."""


class ErrorCode(StrEnum):
    """Codes of ``error`` messages, a closed set."""

    INVALID_JSON = "invalid_json"
    INVALID_DATA = "invalid_data"
    UNKNOWN_TYPE = "unknown_type"
    NOT_ALLOWED = "not_allowed"
    BATCH_TOO_LARGE = "batch_too_large"
    GAME_FULL = "game_full"
    GAME_RUNNING = "game_running"
    GAME_OVER = "game_over"
    AUTH_FAILED = "auth_failed"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class Message(Struct, frozen=True, kw_only=True, tag_field="type"):
    """A decoded client message: its type, the id the client wants acknowledged, the client's trace; `data` by type."""

    type: ClassVar[str]
    id: MessageId | None = None
    traceparent: str | None = None


class ReadyMessage(Message, frozen=True, kw_only=True, tag="ready"):
    """See `Ready`."""

    type: ClassVar[str] = "ready"
    data: Ready = Ready()


class PingMessage(Message, frozen=True, kw_only=True, tag="ping"):
    """See `Ping`."""

    type: ClassVar[str] = "ping"
    data: Ping


class SubmitCodeMessage(Message, frozen=True, kw_only=True, tag="submit_code"):
    """See `SubmitCode`."""

    type: ClassVar[str] = "submit_code"
    data: SubmitCode


class ProgressMessage(Message, frozen=True, kw_only=True, tag="progress"):
    """See `Progress`."""

    type: ClassVar[str] = "progress"
    data: Progress = Progress()


class LeaveMessage(Message, frozen=True, kw_only=True, tag="leave"):
    """See `Leave`."""

    type: ClassVar[str] = "leave"
    data: Leave = Leave()


class AuthMessage(Message, frozen=True, kw_only=True, tag="auth"):
    """See `Auth`."""

    type: ClassVar[str] = "auth"
    data: Auth


ClientMessage = ReadyMessage | PingMessage | SubmitCodeMessage | ProgressMessage | LeaveMessage | AuthMessage


class _RawBatch(Message, frozen=True, kw_only=True, tag="batch"):
    type: ClassVar[str] = BATCH
    data: list[msgspec.Raw]


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
_decode_message: Callable[[bytes | str | msgspec.Raw], ClientMessage | _RawBatch] = msgspec.json.Decoder(
    ClientMessage | _RawBatch
).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_data = {name: msgspec.json.Decoder(kind).decode for name, kind in CLIENT_TYPES.items()}
_decode_any = msgspec.json.Decoder().decode
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
    return _batch(message, max_batch) if isinstance(message, _RawBatch) else message


def _mistake(frame: bytes | str | msgspec.Raw) -> InvalidMessage:
    """What is wrong with a frame that is no message: found part by part, so that its type and id can be told."""
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
    """What is wrong with the shape, without the value that was sent."""
    return _QUOTED.sub("", str(error))


def _batch(batch: _RawBatch, max_batch: int) -> Batch:
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
    if isinstance(message, _RawBatch):
        text = "batch: a batch cannot hold a batch"
        return InvalidMessage(ErrorCode.INVALID_DATA, text, id=message.id, type=BATCH)
    return message


def decode_server_message(frame: bytes | str) -> dict[str, Any]:
    """Decode a message of the server for a client that takes it as a plain dictionary.

    Raises:
        InvalidMessage: the frame is not a JSON object.
    """
    try:
        message = _decode_any(frame)
    except MALFORMED:
        raise InvalidMessage(ErrorCode.INVALID_JSON, "the frame is not valid JSON") from None
    if not isinstance(message, dict):
        raise InvalidMessage(ErrorCode.INVALID_DATA, "the frame is not a JSON object")
    return message


# ------------------------------------------------------------------------------------ server → client

DURABLE_TYPES: Final = (
    "game_created",
    "player_joined",
    "player_ready",
    "countdown_started",
    "countdown_cancelled",
    "game_started",
    "code_submitted",
    "submission_judged",
    "player_disconnected",
    "player_reconnected",
    "player_left",
    "game_finished",
)
TRANSIENT_TYPES: Final = (
    "welcome",
    "player_progress",
    "submission_result",
    "pong",
    "ack",
    "error",
    "token_expiring",
    "disconnect",
)
SENT_TYPES: Final = (*DURABLE_TYPES, *TRANSIENT_TYPES)


# ------------------------------------------------------------------------------------ problems


def problem(status: HTTPStatus, detail: str, reason: str, retry_after_ms: int | None = None) -> dict[str, Any]:
    """A problem document (RFC 9457): `detail` says what is wrong and what to do, `reason` is a closed word."""
    document = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail, "reason": reason}
    return document if retry_after_ms is None else {**document, "retry_after_ms": retry_after_ms}


# ------------------------------------------------------------------------------------ close table


class Reconnect(StrEnum):
    """What a client does after a close."""

    NO = "no"
    YES = "yes"
    RESUME = "resume"
    NEW_TOKEN = "new_token"  # noqa: S105 - an instruction, not a token


class Initiator(StrEnum):
    """Who ended the connection: `network` where the peer vanished without a close frame."""

    CLIENT = "client"
    SERVER = "server"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class CloseRow:
    """One row of the close table: wire code, reason, what the client does, who can initiate it, when."""

    code: int
    reason: str
    reconnect: Reconnect
    initiators: tuple[Initiator, ...]
    when: str


_C, _S, _N = Initiator.CLIENT, Initiator.SERVER, Initiator.NETWORK


class Close:
    """The rows, by name."""

    NORMAL = CloseRow(1000, "normal", Reconnect.NO, (_S, _C), "the player left or the game is over")
    GOING_AWAY = CloseRow(1001, "client_going_away", Reconnect.RESUME, (_C,), "page closed or navigated away")
    WIRE_ERROR = CloseRow(1002, "wire_protocol_error", Reconnect.NO, (_S, _C), "RFC 6455 broken")
    BINARY = CloseRow(1003, "binary_unsupported", Reconnect.NO, (_S,), "a binary frame was sent")
    NO_CODE = CloseRow(1005, "client_no_code", Reconnect.RESUME, (_C,), "close frame without a code")
    LOST = CloseRow(1006, "connection_lost", Reconnect.RESUME, (_N,), "the peer vanished without a close frame")
    INVALID_UTF8 = CloseRow(1007, "invalid_utf8", Reconnect.NO, (_S,), "a text frame was not UTF-8")
    TOO_BIG = CloseRow(1009, "message_too_big", Reconnect.NO, (_S,), "a message was over MAX_MESSAGE_BYTES")
    INTERNAL = CloseRow(1011, "internal_error", Reconnect.YES, (_S,), "a fault of the server")
    PING_TIMEOUT = CloseRow(1011, "ping_timeout", Reconnect.YES, (_S,), "a ping stayed unanswered")
    DRAINING = CloseRow(1012, "draining", Reconnect.YES, (_S,), "deploy or scale-down")
    AGE = CloseRow(1012, "connection_age", Reconnect.YES, (_S,), "open for MAX_CONNECTION_AGE_S")
    OVERLOADED = CloseRow(1013, "overloaded", Reconnect.YES, (_S,), "shedding load")
    PROTOCOL_ERROR = CloseRow(4400, "protocol_error", Reconnect.NO, (_S,), "too many invalid messages")
    AUTH_FAILED = CloseRow(4401, "auth_failed", Reconnect.NEW_TOKEN, (_S,), "the token was refused")
    TOKEN_EXPIRED = CloseRow(4401, "token_expired", Reconnect.NEW_TOKEN, (_S,), "the token ran out")
    FORBIDDEN = CloseRow(4403, "forbidden", Reconnect.NO, (_S,), "removed by the host or an operator")
    NO_SUCH_GAME = CloseRow(4404, "no_such_game", Reconnect.NO, (_S,), "found after the upgrade")
    AUTH_TIMEOUT = CloseRow(4408, "auth_timeout", Reconnect.YES, (_S,), "no auth message in time")
    IDLE = CloseRow(4408, "idle", Reconnect.YES, (_S,), "no message for IDLE_TIMEOUT_S")
    REPLACED = CloseRow(4409, "replaced", Reconnect.NO, (_S,), "the same player connected again")
    GAME_FULL = CloseRow(4411, "game_full", Reconnect.NO, (_S,), "found after the upgrade")
    GAME_OVER = CloseRow(4412, "game_over", Reconnect.NO, (_S,), "found after the upgrade")
    RATE_LIMITED = CloseRow(4429, "rate_limited", Reconnect.YES, (_S,), "kept sending after warnings")
    SLOW_CONSUMER = CloseRow(4430, "slow_consumer", Reconnect.RESUME, (_S,), "the outbound queue was over its limit")
    OTHER = CloseRow(0, "other", Reconnect.RESUME, (_C,), "a code of the client's own")


CLOSE_TABLE: Final[tuple[CloseRow, ...]] = tuple(row for row in vars(Close).values() if isinstance(row, CloseRow))
_CLIENT_ROWS = {row.code: row for row in CLOSE_TABLE if Initiator.CLIENT in row.initiators}


def client_close(code: int) -> CloseRow:
    """The row of a close frame that the client sent; codes we do not list are `OTHER`."""
    return _CLIENT_ROWS.get(code, Close.OTHER)


_NO_RETRY = frozenset({Reconnect.NO, Reconnect.NEW_TOKEN})


def should_reconnect(code: int) -> bool:
    """Whether a client comes back after the close code `code` (RFC 6455 section 7.4); unknown codes: yes."""
    rows = [row for row in CLOSE_TABLE if row.code == code]
    return not rows or any(row.reconnect not in _NO_RETRY for row in rows)
