"""The data of the server's messages, as types: what the AsyncAPI document is made from.

A test holds every frame of real races to them. Times are epoch milliseconds.
"""

from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from app.game import FinishReason, LeaveReason, Phase, Problem, RankingEntry, StartedPlayer, TestReport, Verdict
from app.vocabulary import ErrorCode


class _Data(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all of them have: no field that is not listed."""


class _EventData(_Data, frozen=True, kw_only=True):
    """Of a durable event: when it happened."""

    at: int


class GameCreatedData(_EventData, frozen=True, kw_only=True):
    """The game was made."""

    game_id: str
    host_id: str


class PlayerJoinedData(_EventData, frozen=True, kw_only=True):
    """A player came in, for the first time or again after having left."""

    player_id: str
    name: str


class PlayerReadyData(_EventData, frozen=True, kw_only=True):
    """A player said to be ready, or not to be ready any more."""

    player_id: str
    status: Literal["ready", "not_ready"]


class CountdownStartedData(_EventData, frozen=True, kw_only=True):
    """Enough players are in and all are ready."""

    starts_at: int


class CountdownCancelledData(_EventData, frozen=True, kw_only=True):
    """A player left or is no longer ready: back to waiting."""


class GameStartedData(_EventData, frozen=True, kw_only=True):
    """The race runs: the problem is revealed."""

    problem: Problem
    starts_at: int
    ends_at: int
    players: list[StartedPlayer]


class CodeSubmittedData(_EventData, frozen=True, kw_only=True):
    """A player handed in `size` bytes of code, which nobody else is shown."""

    player_id: str
    attempt: int
    language: str
    size: int


class SubmissionJudgedData(_EventData, frozen=True, kw_only=True):
    """The judge's verdict."""

    player_id: str
    attempt: int
    verdict: Verdict
    tests_passed: int
    tests_total: int
    duration_ms: int


class PlayerDisconnectedData(_EventData, frozen=True, kw_only=True):
    """A player's connection is gone; the player stays in the game until `grace_until`."""

    player_id: str
    grace_until: int


class PlayerReconnectedData(_EventData, frozen=True, kw_only=True):
    """A player is connected again."""

    player_id: str


class PlayerLeftData(_EventData, frozen=True, kw_only=True):
    """A player is out of the game."""

    player_id: str
    reason: LeaveReason


class GameFinishedData(_EventData, frozen=True, kw_only=True):
    """The game is over."""

    reason: FinishReason
    winner: str | None
    ranking: list[RankingEntry]


class PlayerCard(_Data, frozen=True, kw_only=True):
    """Who you are."""

    player_id: str
    name: str


class PlayerState(_Data, frozen=True, kw_only=True):
    """A player in a snapshot."""

    player_id: str
    name: str
    status: Literal["active", "left"]
    ready: bool
    connected: bool
    attempts: int
    tests_passed: int
    accepted: bool
    judging: bool


class GameSnapshot(_Data, frozen=True, kw_only=True):
    """The whole public state of a game; the problem is a card until the race starts."""

    game_id: str
    state: Phase
    host_id: str
    created_at: int
    min_players: int
    max_players: int
    time_limit_s: float
    finish: Literal["first_accepted", "all_done"]
    problem: dict[str, Any]
    players: list[PlayerState]
    starts_at: int | None
    ends_at: int | None
    reason: FinishReason | None
    winner: str | None
    ranking: list[RankingEntry]


class WelcomeData(_Data, frozen=True, kw_only=True):
    """The first message of every connection that is let in."""

    connection_id: str
    player: PlayerCard
    game: GameSnapshot
    last_seq: int
    resumed: bool
    heartbeat_s: float
    limits: dict[str, float]
    server_time: int
    replica: str


class PlayerProgressData(_Data, frozen=True, kw_only=True):
    """How far another player is; may be dropped or replaced by a newer one."""

    player_id: str
    percent: float | UnsetType = UNSET
    lines: int | UnsetType = UNSET


class SubmissionResultData(_Data, frozen=True, kw_only=True):
    """The visible tests, to the submitter alone."""

    attempt: int
    verdict: Verdict
    detail: str
    tests: list[TestReport]


class PongData(_Data, frozen=True, kw_only=True):
    """The answer to a ping."""

    timestamp: float
    server_time: int


class AckData(_Data, frozen=True, kw_only=True):
    """The message with this id was taken; `seq` is that of the event it caused."""

    id: str
    seq: int | UnsetType = UNSET


class ErrorData(_Data, frozen=True, kw_only=True):
    """A message was refused; the connection lives on."""

    code: ErrorCode
    message: str
    id: str | UnsetType = UNSET
    index: int | UnsetType = UNSET
    retry_after_ms: int | UnsetType = UNSET


class TokenExpiringData(_Data, frozen=True, kw_only=True):
    """Send a fresh token in an auth message before this."""

    expires_at: int


class DisconnectData(_Data, frozen=True, kw_only=True):
    """The server is about to close; what to do then."""

    code: int
    reason: str
    message: str
    reconnect: bool
    retry_after_ms: int


SERVER_DATA: Final[dict[str, type[Struct]]] = {
    "game_created": GameCreatedData,
    "player_joined": PlayerJoinedData,
    "player_ready": PlayerReadyData,
    "countdown_started": CountdownStartedData,
    "countdown_cancelled": CountdownCancelledData,
    "game_started": GameStartedData,
    "code_submitted": CodeSubmittedData,
    "submission_judged": SubmissionJudgedData,
    "player_disconnected": PlayerDisconnectedData,
    "player_reconnected": PlayerReconnectedData,
    "player_left": PlayerLeftData,
    "game_finished": GameFinishedData,
    "welcome": WelcomeData,
    "player_progress": PlayerProgressData,
    "submission_result": SubmissionResultData,
    "pong": PongData,
    "ack": AckData,
    "error": ErrorData,
    "token_expiring": TokenExpiringData,
    "disconnect": DisconnectData,
}
