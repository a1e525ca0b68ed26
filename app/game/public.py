"""What players are shown of events and state: pure, from the game's types to those of the wire.

Every durable event has exactly one public message, the same for all members. Code, hidden tests and connection ids end
here: they are in the event, never in what is sent of it.
"""

from collections.abc import Callable
from typing import Any, Final

from app.game.events import (
    CodeSubmitted,
    CountdownCancelled,
    CountdownStarted,
    GameCreated,
    GameEvent,
    GameFinished,
    GameStarted,
    PlayerDisconnected,
    PlayerJoined,
    PlayerLeft,
    PlayerReady,
    PlayerReconnected,
    SubmissionJudged,
)
from app.game.state import GameState, Player
from app.protocol import server as wire
from app.protocol.values import Problem
from app.vocabulary import Phase

_SHOWS_PROBLEM: Final = frozenset({Phase.RUNNING, Phase.FINISHED})


def public_event(event: GameEvent) -> wire.EventData:
    """The message of a durable event, for all members."""
    return _PUBLIC[type(event)](event)


def public_result(event: SubmissionJudged) -> wire.SubmissionResultData:
    """The message of a verdict for the submitter alone: the visible tests."""
    return wire.SubmissionResultData(event.attempt, event.verdict, event.detail, event.tests)


def snapshot(state: GameState) -> wire.GameSnapshot:
    """The full public state of a game; the problem's text only once the race has started."""
    return wire.GameSnapshot(
        game_id=state.game_id,
        state=state.phase,
        host_id=state.host_id,
        created_at=state.created_at,
        min_players=state.rules.min_players,
        max_players=state.rules.max_players,
        time_limit_s=state.rules.time_limit_ms / 1000,
        finish=state.rules.finish,
        problem=_problem(state.problem, shown=state.phase in _SHOWS_PROBLEM),
        players=[_player(player, player.id in state.pending) for player in state.players.values()],
        starts_at=state.starts_at,
        ends_at=state.ends_at,
        reason=state.reason,
        winner=state.winner,
        ranking=state.ranking,
    )


def _problem(problem: Problem, *, shown: bool) -> wire.ProblemCard:
    card = (problem.id, problem.title, problem.difficulty)
    return (
        wire.ProblemCard(*card, problem.statement, problem.starter, problem.tests) if shown else wire.ProblemCard(*card)
    )


def _player(player: Player, judging: bool) -> wire.PlayerState:
    return wire.PlayerState(
        player_id=player.id,
        name=player.name,
        status="active" if player.active else "left",
        ready=player.ready,
        connected=player.connection_id is not None,
        attempts=player.tries,
        tests_passed=player.best_passed,
        accepted=player.accepted_seq is not None,
        judging=judging,
    )


# ------------------------------------------------------------------------------------ one mapping for each event


def _created(event: GameCreated) -> wire.GameCreatedData:
    return wire.GameCreatedData(event.game_id, event.host_id, at=event.at)


def _joined(event: PlayerJoined) -> wire.PlayerJoinedData:
    return wire.PlayerJoinedData(event.player_id, event.name, at=event.at)


def _ready(event: PlayerReady) -> wire.PlayerReadyData:
    return wire.PlayerReadyData(event.player_id, "ready" if event.ready else "not_ready", at=event.at)


def _countdown_started(event: CountdownStarted) -> wire.CountdownStartedData:
    return wire.CountdownStartedData(event.starts_at, at=event.at)


def _countdown_cancelled(event: CountdownCancelled) -> wire.CountdownCancelledData:
    return wire.CountdownCancelledData(at=event.at)


def _started(event: GameStarted) -> wire.GameStartedData:
    return wire.GameStartedData(event.problem, event.starts_at, event.ends_at, event.players, at=event.at)


def _submitted(event: CodeSubmitted) -> wire.CodeSubmittedData:
    size = len(event.code.encode())
    return wire.CodeSubmittedData(event.player_id, event.attempt, event.language, size, at=event.at)


def _judged(event: SubmissionJudged) -> wire.SubmissionJudgedData:
    return wire.SubmissionJudgedData(
        player_id=event.player_id,
        attempt=event.attempt,
        verdict=event.verdict,
        tests_passed=event.tests_passed,
        tests_total=event.tests_total,
        duration_ms=event.duration_ms,
        at=event.at,
    )


def _disconnected(event: PlayerDisconnected) -> wire.PlayerDisconnectedData:
    return wire.PlayerDisconnectedData(event.player_id, event.grace_until, at=event.at)


def _reconnected(event: PlayerReconnected) -> wire.PlayerReconnectedData:
    return wire.PlayerReconnectedData(event.player_id, at=event.at)


def _left(event: PlayerLeft) -> wire.PlayerLeftData:
    return wire.PlayerLeftData(event.player_id, event.reason, at=event.at)


def _finished(event: GameFinished) -> wire.GameFinishedData:
    return wire.GameFinishedData(event.reason, event.winner, event.ranking, at=event.at)


_PUBLIC: Final[dict[type, Callable[[Any], wire.EventData]]] = {
    GameCreated: _created,
    PlayerJoined: _joined,
    PlayerReady: _ready,
    CountdownStarted: _countdown_started,
    CountdownCancelled: _countdown_cancelled,
    GameStarted: _started,
    CodeSubmitted: _submitted,
    SubmissionJudged: _judged,
    PlayerDisconnected: _disconnected,
    PlayerReconnected: _reconnected,
    PlayerLeft: _left,
    GameFinished: _finished,
}
