"""What happened in a game: the events of its log.

`seq` counts 1, 2, 3 … within the game without gaps; `at` is epoch milliseconds. An event is a fact: it
holds everything that folding it needs, so that a replay never asks the present. `cause` is the id of the
client message that caused the event, if it had one.
"""

from typing import Final

from msgspec import Struct

from app.protocol import Problem, RankingEntry, StartedPlayer, TestReport
from app.vocabulary import FinishReason, FinishRule, LeaveReason, Verdict

FREE_VERDICTS = frozenset({Verdict.UNSUPPORTED, Verdict.JUDGE_ERROR})
"""Verdicts that cost the player no try, for the first few times: the fault is not the solution's."""


class Rules(Struct, frozen=True, kw_only=True):
    """The rules a game was created under; times in milliseconds.

    `judge_grace_ms` bounds how long the end waits for submissions still being judged. `free_verdicts`: so many verdicts
    of `FREE_VERDICTS` cost a player nothing, the next ones cost a try each; None where none ever does, as in all games
    from before there was this rule. What a game may come to (0: anything, as in all games from before there were
    bounds): `max_events` of its log, `max_code_bytes` of each player, `max_comers` different players over its life.
    """

    min_players: int = 2
    max_players: int = 8
    time_limit_ms: int = 900_000
    finish: FinishRule = FinishRule.FIRST_ACCEPTED
    countdown_ms: int = 3_000
    grace_ms: int = 30_000
    waiting_ttl_ms: int = 3_600_000
    judge_grace_ms: int = 30_000
    max_attempts: int = 100
    free_verdicts: int | None = None
    max_events: int = 0
    max_code_bytes: int = 0
    max_comers: int = 0


class GameEvent(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What all events have. `traceparent` is the trace they came about in, if it is recorded (W3C Trace Context)."""

    seq: int
    at: int
    cause: str | None = None
    traceparent: str | None = None


class GameCreated(GameEvent, frozen=True, kw_only=True, tag="game_created"):
    """The first event of every log."""

    game_id: str
    host_id: str
    problem: Problem
    rules: Rules


class PlayerJoined(GameEvent, frozen=True, kw_only=True, tag="player_joined"):
    """A player came in, for the `first` time in this game or again after having left."""

    player_id: str
    name: str
    connection_id: str
    first: bool = False


class PlayerReady(GameEvent, frozen=True, kw_only=True, tag="player_ready"):
    """A player said to be ready, for the `first` time in this game or again, or not to be ready any more."""

    player_id: str
    ready: bool
    first: bool = False


class CountdownStarted(GameEvent, frozen=True, kw_only=True, tag="countdown_started"):
    """Enough players are in and all are ready."""

    starts_at: int


class CountdownCancelled(GameEvent, frozen=True, kw_only=True, tag="countdown_cancelled"):
    """A player left or is no longer ready: back to waiting."""


class GameStarted(GameEvent, frozen=True, kw_only=True, tag="game_started"):
    """The race runs: the problem is revealed."""

    starts_at: int
    ends_at: int
    problem: Problem
    players: list[StartedPlayer]


class CodeSubmitted(GameEvent, frozen=True, kw_only=True, tag="code_submitted"):
    """A solution was handed in; `attempt` counts 1, 2, 3 … for the player."""

    player_id: str
    attempt: int
    language: str
    code: str


class SubmissionJudged(GameEvent, frozen=True, kw_only=True, tag="submission_judged"):
    """The judge's verdict; `tests` are the visible ones, for the submitter alone.

    `attempts`: the player's tries with this one, as some verdicts cost none (`Player.tries`); None in logs from before
    it was written down.
    """

    player_id: str
    attempt: int
    verdict: Verdict
    tests_passed: int
    tests_total: int
    duration_ms: int
    attempts: int | None = None
    detail: str = ""
    tests: list[TestReport] = []


class PlayerDisconnected(GameEvent, frozen=True, kw_only=True, tag="player_disconnected"):
    """The player's connection is gone; the player stays in until `grace_until`."""

    player_id: str
    connection_id: str
    grace_until: int


class PlayerReconnected(GameEvent, frozen=True, kw_only=True, tag="player_reconnected"):
    """The player's current connection is now `connection_id`; an older one is replaced."""

    player_id: str
    connection_id: str


class PlayerLeft(GameEvent, frozen=True, kw_only=True, tag="player_left"):
    """The player is out."""

    player_id: str
    reason: LeaveReason


class GameFinished(GameEvent, frozen=True, kw_only=True, tag="game_finished"):
    """The last event of every log that has ended; so many `stayed`, of those who were there when the race began."""

    reason: FinishReason
    winner: str | None
    ranking: list[RankingEntry]
    stayed: int = 0


EVENTS: Final = tuple(GameEvent.__subclasses__())
"""Every kind of event, as they stand above."""
