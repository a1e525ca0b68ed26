"""What a client may send: the data of each message, and the message around it.

From these types come the decoder (`codec`), the AsyncAPI document, the message types of the JavaScript declarations and
the labels of received messages.
"""

from typing import Annotated, ClassVar, Final, get_type_hints

import msgspec
from msgspec import Meta, Struct

from app import __version__
from app.vocabulary import ClientName, Language, ReadyStatus

SUBPROTOCOL: Final = "code-racer.v1"
TOKEN_SUBPROTOCOL_PREFIX: Final = "bearer."  # noqa: S105 - a prefix, not a token
MAX_BATCH: Final = 50
MAX_ID_LENGTH: Final = 64
MAX_TOKEN_LENGTH: Final = 8_192
MAX_HELLO_COUNT: Final = 1_000
MAX_HELLO_MS: Final = 600_000
MAX_OUTAGE_MS: Final = 86_400_000


OWN_RELEASES: Final = {name: f"{name}/{__version__}" for name in ClientName}
"""What our own clients of this version send as ``?client=``."""

MessageId = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]


class Ready(Struct, frozen=True):
    """``ready``: the player is, or is no longer, ready to start."""

    status: ReadyStatus = ReadyStatus.READY


class Ping(Struct, frozen=True):
    """``ping``: answered by ``pong``; `rtt_ms` is the round trip the client measured last."""

    timestamp: int | float
    rtt_ms: Annotated[float, Meta(ge=0, le=600_000)] | None = None


class SubmitCode(Struct, frozen=True):
    """``submit_code``: a solution to be judged."""

    code: Annotated[str, Meta(min_length=1)]
    language: Language = Language.PYTHON


class Progress(Struct, frozen=True):
    """``progress``: how far the player is; shown to the others, never stored."""

    percent: Annotated[float, Meta(ge=0, le=100)] | None = None
    lines: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class Leave(Struct, frozen=True):
    """``leave``: out of the game for good; answered by ``player_left`` and close 1000."""


class Hello(Struct, frozen=True):
    """``hello``: what the client met on its way, once a connection; nobody can verify it.

    `reconnects`: how often it came again; `failed_attempts`: to connect, since it was last in; `open_ms`: from its
    attempt to the open connection; `join_ms`: of its first, from wanting to connect to the first snapshot; `outage_ms`:
    of a later one, from the loss until it was back.
    """

    reconnects: Annotated[int, Meta(ge=0, le=MAX_HELLO_COUNT)] | None = None
    failed_attempts: Annotated[int, Meta(ge=0, le=MAX_HELLO_COUNT)] | None = None
    open_ms: Annotated[float, Meta(ge=0, le=MAX_HELLO_MS)] | None = None
    join_ms: Annotated[float, Meta(ge=0, le=MAX_HELLO_MS)] | None = None
    outage_ms: Annotated[float, Meta(ge=0, le=MAX_OUTAGE_MS)] | None = None


class Auth(Struct, frozen=True):
    """``auth``: the first message of a connection that came without a token, or a fresh token for a running one."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN_LENGTH)]


class Message(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all messages have: a type, the id the client wants acknowledged, the client's trace."""

    type: ClassVar[str]
    id: MessageId | None = None
    traceparent: str | None = None


class ClientMessage(Message, frozen=True, kw_only=True):
    """A decoded message of a client, by itself or in a batch: one of those below, each with its `data`."""


class ReadyMessage(ClientMessage, frozen=True, kw_only=True, tag="ready"):
    """The player says to be ready, or not to be ready any more."""

    type: ClassVar[str] = "ready"
    data: Ready = Ready()


class PingMessage(ClientMessage, frozen=True, kw_only=True, tag="ping"):
    """The client measures the round trip."""

    type: ClassVar[str] = "ping"
    data: Ping


class SubmitCodeMessage(ClientMessage, frozen=True, kw_only=True, tag="submit_code"):
    """The player hands in a solution."""

    type: ClassVar[str] = "submit_code"
    data: SubmitCode


class ProgressMessage(ClientMessage, frozen=True, kw_only=True, tag="progress"):
    """The player shows the others how far they are."""

    type: ClassVar[str] = "progress"
    data: Progress = Progress()


class LeaveMessage(ClientMessage, frozen=True, kw_only=True, tag="leave"):
    """The player leaves for good."""

    type: ClassVar[str] = "leave"
    data: Leave = Leave()


class HelloMessage(ClientMessage, frozen=True, kw_only=True, tag="hello"):
    """The client tells what it met on its way; allowed once a connection."""

    type: ClassVar[str] = "hello"
    data: Hello = Hello()


class AuthMessage(ClientMessage, frozen=True, kw_only=True, tag="auth"):
    """The client says who it is."""

    type: ClassVar[str] = "auth"
    data: Auth


BATCH: Final = "batch"
CLIENT_MESSAGES: Final = tuple(ClientMessage.__subclasses__())
"""Every message but a batch, as they stand above."""
CLIENT_TYPES: Final[dict[str, type[Struct]]] = {kind.type: get_type_hints(kind)["data"] for kind in CLIENT_MESSAGES}
"""The data of each, by type."""
RECEIVED_TYPES: Final = (*CLIENT_TYPES, BATCH, "other")
"""Label values of received messages; what the server does not know is `other`."""


class RawBatch(Message, frozen=True, kw_only=True, tag="batch"):
    """A ``batch`` whose messages have yet to be decoded, one by one."""

    type: ClassVar[str] = BATCH
    data: list[msgspec.Raw]
