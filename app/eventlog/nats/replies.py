"""What JetStream answers: its JSON API, as far as it is asked here (NATS documentation, "JetStream wire API")."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from app.eventlog.port import LogUnavailable
from app.vocabulary import LogTrouble


class ApiError(Struct, frozen=True):
    """Why a request was refused."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class PubAck(Struct, frozen=True):
    """What was published was stored at `seq`, the last of a batch of `count`; or `error` says why not."""

    seq: int = 0
    count: int = 0
    error: ApiError | None = None


class StreamState(Struct, frozen=True):
    """How full a stream is."""

    bytes: int = 0
    last_seq: int = 0


class StreamCluster(Struct, frozen=True):
    """Who leads a stream; nobody where there is no quorum."""

    leader: str = ""


class StreamInfo(Struct, frozen=True):
    """A stream as the servers know it."""

    config: dict[str, Any] = {}
    state: StreamState = StreamState()
    cluster: StreamCluster | None = None
    error: ApiError | None = None


class StoredMessage(Struct, frozen=True):
    """One message of a stream; `data` and `hdrs` are decoded from base64, `time` is the server's (RFC 3339)."""

    seq: int
    time: str
    data: bytes = b""
    hdrs: bytes = b""


class MessageReply(Struct, frozen=True):
    """The answer of STREAM.MSG.GET."""

    message: StoredMessage | None = None
    error: ApiError | None = None


class Done(Struct, frozen=True):
    """The answer of what only succeeds or fails."""

    success: bool = False
    error: ApiError | None = None


CONFLICT: Final = 10071
"""The subject has moved on (committed)."""
CONFLICT_IN_FLIGHT: Final = 10164
"""Another append to the subject is under way; it may yet fail."""
FIRST_TRY_UNDECIDED: Final = 10158
"""An earlier try with the same id is under way."""
NO_MESSAGE: Final = 10037
NO_STREAM: Final = 10059
STREAM_EXISTS: Final = 10058

_TROUBLES: Final = {
    CONFLICT_IN_FLIGHT: LogTrouble.TIMEOUT,
    FIRST_TRY_UNDECIDED: LogTrouble.TIMEOUT,
    NO_STREAM: LogTrouble.NO_STREAM,
    10008: LogTrouble.NO_LEADER,  # JetStream system temporarily unavailable
    10009: LogTrouble.NO_LEADER,  # no leader
    10023: LogTrouble.FULL,  # insufficient resources
    10028: LogTrouble.FULL,  # JetStream resource limits exceeded for server
    10047: LogTrouble.FULL,  # insufficient storage resources
    10077: LogTrouble.FULL,  # the stream's own limits
    10122: LogTrouble.FULL,
}


def refusal(what: str, error: ApiError) -> LogUnavailable:
    """Make the exception that says what was refused, and why."""
    return LogUnavailable(f"{what}: {error.description} ({error.err_code})", _trouble_of(error))


def _trouble_of(error: ApiError) -> LogTrouble:
    if error.code == 503 and error.err_code not in _TROUBLES:  # noqa: PLR2004 - as HTTP: unavailable
        return LogTrouble.NO_LEADER
    return _TROUBLES.get(error.err_code, LogTrouble.OTHER)


pub_ack: Final = msgspec.json.Decoder(PubAck).decode
stream_info: Final = msgspec.json.Decoder(StreamInfo).decode
message_reply: Final = msgspec.json.Decoder(MessageReply).decode
done: Final = msgspec.json.Decoder(Done).decode
