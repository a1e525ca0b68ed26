"""The close table: from it metrics, logs, documentation and clients are derived."""

from dataclasses import dataclass
from typing import Final

from app.vocabulary import DisconnectOrder, Initiator, Reconnect

_NO_RETRY: Final = frozenset({Reconnect.NO, Reconnect.NEW_TOKEN})


@dataclass(frozen=True, slots=True)
class CloseRow:
    """One row of the close table: wire code, reason, what the client does, who can initiate it, when.

    With `discards` the peer does not take what it is sent: what waits is discarded, so that ``disconnect`` comes soon.
    """

    code: int
    reason: str
    reconnect: Reconnect
    initiators: tuple[Initiator, ...]
    when: str
    discards: bool = False

    @property
    def disconnect(self) -> DisconnectOrder:
        """Where the ``disconnect`` message stands: before every close frame that the server sends first."""
        if Initiator.SERVER not in self.initiators:
            return DisconnectOrder.NONE
        return DisconnectOrder.ALONE if self.discards else DisconnectOrder.LAST

    @property
    def comes_back(self) -> bool:
        """Whether a client connects again with the token that it has."""
        return self.reconnect not in _NO_RETRY


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
    PING_TIMEOUT = CloseRow(1011, "ping_timeout", Reconnect.YES, (_S,), "a ping stayed unanswered", discards=True)
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
    SLOW_CONSUMER = CloseRow(
        4430, "slow_consumer", Reconnect.RESUME, (_S,), "the outbound queue was over its limit", discards=True
    )
    OTHER = CloseRow(0, "other", Reconnect.RESUME, (_C,), "a code of the client's own")


CLOSE_TABLE: Final[tuple[CloseRow, ...]] = tuple(row for row in vars(Close).values() if isinstance(row, CloseRow))
DISCONNECT_NOTE: Final = (
    "Whatever the server closes for, the last message before its close frame is `disconnect`: why, whether to come"
    " back, and after how many milliseconds (0: as the client's own backoff says). To a client that does not read it is"
    " sent instead of what waits; what the socket had taken stays before it. It arrives as little as the close frame"
    " where the connection is lost, or where the client reads nothing for another `CLOSE_TIMEOUT_S`: then the socket is"
    " cut, perhaps within a frame, and the client sees 1006. Whoever has sent a close frame is sent none."
)
"""What the column of the table does not say."""
_CLIENT_ROWS = {row.code: row for row in CLOSE_TABLE if Initiator.CLIENT in row.initiators}


def client_close(code: int) -> CloseRow:
    """Return the row of a close frame that the client sent; codes we do not list are `OTHER`."""
    return _CLIENT_ROWS.get(code, Close.OTHER)


def should_reconnect(code: int) -> bool:
    """Tell whether a client comes back after the close code `code` (RFC 6455 section 7.4); unknown codes: yes."""
    rows = [row for row in CLOSE_TABLE if row.code == code]
    return not rows or any(row.comes_back for row in rows)
