"""What the server sends: each message once, as the type that is encoded.

From these types come the bytes on the wire (`codec`), the AsyncAPI document, the message types of the JavaScript
declarations and the labels of sent messages. A message is ``{"type", "data"}``, that of a durable event also has
``seq``; the classes here are its `data`, and each knows its type. Fields are encoded in the order in which they stand
here, `at` last. Times are epoch milliseconds.
"""

from typing import ClassVar, Final, TypeVar

from msgspec import UNSET, Struct, UnsetType

from app.protocol.values import Problem, RankingEntry, StartedPlayer, TestReport, VisibleTest
from app.vocabulary import (
    ErrorCode,
    FinishReason,
    FinishRule,
    LeaveReason,
    MemberStatus,
    Phase,
    ReadyStatus,
    Verdict,
)

_T = TypeVar("_T")


def or_unset(value: _T | None) -> _T | UnsetType:
    """Have a field left out of its message where there is nothing to say."""
    return UNSET if value is None else value


class ServerData(Struct, frozen=True, forbid_unknown_fields=True):
    """The data of a message of the server. `type` is the message's; a field that is `UNSET` is left out."""

    type: ClassVar[str]


class TransientData(ServerData, frozen=True):
    """The data of a message about the moment: it has no `seq`, and nobody asks for it again."""


class EventData(ServerData, frozen=True, kw_only=True):
    """The data of a durable event, the same for all members; it happened `at`."""

    at: int


# ------------------------------------------------------------------------------------ durable events


class GameCreatedData(EventData, frozen=True):
    """The game was made."""

    type: ClassVar[str] = "game_created"
    game_id: str
    host_id: str


class PlayerJoinedData(EventData, frozen=True):
    """A player came in, for the first time or again after having left."""

    type: ClassVar[str] = "player_joined"
    player_id: str
    name: str


class PlayerReadyData(EventData, frozen=True):
    """A player said to be ready, or not to be ready any more."""

    type: ClassVar[str] = "player_ready"
    player_id: str
    status: ReadyStatus


class CountdownStartedData(EventData, frozen=True):
    """Enough players are in and all are ready."""

    type: ClassVar[str] = "countdown_started"
    starts_at: int


class CountdownCancelledData(EventData, frozen=True):
    """A player left or is no longer ready: back to waiting."""

    type: ClassVar[str] = "countdown_cancelled"


class GameStartedData(EventData, frozen=True):
    """The race runs: the problem is revealed."""

    type: ClassVar[str] = "game_started"
    problem: Problem
    starts_at: int
    ends_at: int
    players: list[StartedPlayer]


class CodeSubmittedData(EventData, frozen=True):
    """A player handed in `size` bytes of code, which nobody else is shown."""

    type: ClassVar[str] = "code_submitted"
    player_id: str
    attempt: int
    language: str
    size: int


class SubmissionJudgedData(EventData, frozen=True):
    """The judge's verdict.

    `attempts`: the player's tries so far, as a snapshot counts them: some verdicts cost none. None where an earlier
    release has judged.
    """

    type: ClassVar[str] = "submission_judged"
    player_id: str
    attempt: int
    verdict: Verdict
    tests_passed: int
    tests_total: int
    duration_ms: int
    attempts: int | None = None


class PlayerDisconnectedData(EventData, frozen=True):
    """A player's connection is gone; the player stays in the game until `grace_until`."""

    type: ClassVar[str] = "player_disconnected"
    player_id: str
    grace_until: int


class PlayerReconnectedData(EventData, frozen=True):
    """A player is connected again."""

    type: ClassVar[str] = "player_reconnected"
    player_id: str


class PlayerLeftData(EventData, frozen=True):
    """A player is out of the game."""

    type: ClassVar[str] = "player_left"
    player_id: str
    reason: LeaveReason


class GameFinishedData(EventData, frozen=True):
    """The game is over."""

    type: ClassVar[str] = "game_finished"
    reason: FinishReason
    winner: str | None
    ranking: list[RankingEntry]


# ------------------------------------------------------------------------------------ parts of a welcome


class PlayerCard(Struct, frozen=True, forbid_unknown_fields=True):
    """Who you are."""

    player_id: str
    name: str


class PlayerState(Struct, frozen=True, forbid_unknown_fields=True):
    """A player in a snapshot. `tests_total`: how many tests there are, 0 until the judge has said so."""

    player_id: str
    name: str
    status: MemberStatus
    ready: bool
    connected: bool
    attempts: int
    tests_passed: int
    accepted: bool
    judging: bool
    tests_total: int = 0


class ProblemCard(Struct, frozen=True, forbid_unknown_fields=True):
    """The problem in a snapshot: statement, starter and tests only once the race has started."""

    id: str
    title: str
    difficulty: str
    statement: str | UnsetType = UNSET
    starter: str | UnsetType = UNSET
    tests: list[VisibleTest] | UnsetType = UNSET


class GameSnapshot(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole public state of a game; the problem is a card until the race starts."""

    game_id: str
    state: Phase
    host_id: str
    created_at: int
    min_players: int
    max_players: int
    time_limit_s: float
    finish: FinishRule
    problem: ProblemCard
    players: list[PlayerState]
    starts_at: int | None
    ends_at: int | None
    reason: FinishReason | None
    winner: str | None
    ranking: list[RankingEntry]


# ------------------------------------------------------------------------------------ messages about the moment


class WelcomeData(TransientData, frozen=True):
    """The first message of every connection that is let in.

    `accepts`: the types of messages that this replica understands. In a rolling deploy one of the previous release may
    be met, so a client sends a type that came later only where it stands here.
    """

    type: ClassVar[str] = "welcome"
    connection_id: str
    player: PlayerCard
    game: GameSnapshot
    last_seq: int
    resumed: bool
    heartbeat_s: float
    limits: dict[str, float]
    server_time: int
    replica: str
    accepts: list[str]


class PlayerProgressData(TransientData, frozen=True):
    """How far another player is; may be dropped or replaced by a newer one."""

    type: ClassVar[str] = "player_progress"
    player_id: str
    percent: float | UnsetType = UNSET
    lines: int | UnsetType = UNSET


class SubmissionResultData(TransientData, frozen=True):
    """The visible tests, to the submitter alone."""

    type: ClassVar[str] = "submission_result"
    attempt: int
    verdict: Verdict
    detail: str
    tests: list[TestReport]


class PongData(TransientData, frozen=True):
    """The answer to a ping."""

    type: ClassVar[str] = "pong"
    timestamp: float
    server_time: int


class AckData(TransientData, frozen=True):
    """The message with this id was taken; `seq` is that of the event it caused."""

    type: ClassVar[str] = "ack"
    id: str
    seq: int | UnsetType = UNSET


class ErrorData(TransientData, frozen=True):
    """A message was refused; the connection lives on."""

    type: ClassVar[str] = "error"
    code: ErrorCode
    message: str
    id: str | UnsetType = UNSET
    index: int | UnsetType = UNSET
    retry_after_ms: int | UnsetType = UNSET


class TokenExpiringData(TransientData, frozen=True):
    """Send a fresh token in an auth message before this."""

    type: ClassVar[str] = "token_expiring"
    expires_at: int


class DisconnectData(TransientData, frozen=True):
    """The server is about to close, and this is the last message; what to do then.

    `retry_after_ms` is 0 where the client's own backoff decides, and where it is not to come back.
    """

    type: ClassVar[str] = "disconnect"
    code: int
    reason: str
    message: str
    reconnect: bool
    retry_after_ms: int


# ------------------------------------------------------------------------------------ all of them

EVENT_DATA: Final[dict[str, type[EventData]]] = {kind.type: kind for kind in EventData.__subclasses__()}
"""The durable events, by type, as they stand above."""
SERVER_DATA: Final[dict[str, type[ServerData]]] = EVENT_DATA | {
    kind.type: kind for kind in TransientData.__subclasses__()
}
"""Every message, by type."""
DURABLE_TYPES: Final = tuple(EVENT_DATA)
SENT_TYPES: Final = tuple(SERVER_DATA)
