"""From events and state to what goes over the wire.

Every durable event has exactly one public frame, the same for all members: code and hidden tests live in
the event, never in its frame.
"""

from collections.abc import Callable
from typing import Any, Final

from app.game import (
    CodeSubmitted,
    CountdownCancelled,
    CountdownStarted,
    GameCreated,
    GameEvent,
    GameFinished,
    GameStarted,
    GameState,
    Phase,
    Player,
    PlayerDisconnected,
    PlayerJoined,
    PlayerLeft,
    PlayerReady,
    PlayerReconnected,
    SubmissionJudged,
)
from app.protocol import encode
from app.transport import Frame, text_frame

Json = dict[str, Any]


def event_type(event: GameEvent) -> str:
    """The wire type of a durable event."""
    return str(type(event).__struct_config__.tag)


def message_frame(type: str, data: object) -> Frame:
    """A message of the server as a frame, for any number of members."""
    return text_frame(encode({"type": type, "data": data}))


def event_frame(event: GameEvent) -> Frame:
    """The public frame of a durable event, encoded once for all members."""
    data = {**_DATA[type(event)](event), "at": event.at}
    return text_frame(encode({"type": event_type(event), "data": data, "seq": event.seq}))


def result_frame(event: SubmissionJudged) -> Frame:
    """``submission_result``, for the submitter alone: the visible tests."""
    data = {"attempt": event.attempt, "verdict": event.verdict, "detail": event.detail, "tests": event.tests}
    return message_frame("submission_result", data)


def _created(event: GameCreated) -> Json:
    return {"game_id": event.game_id, "host_id": event.host_id}


def _joined(event: PlayerJoined) -> Json:
    return {"player_id": event.player_id, "name": event.name}


def _ready(event: PlayerReady) -> Json:
    return {"player_id": event.player_id, "status": "ready" if event.ready else "not_ready"}


def _countdown_started(event: CountdownStarted) -> Json:
    return {"starts_at": event.starts_at}


def _countdown_cancelled(_event: CountdownCancelled) -> Json:
    return {}


def _started(event: GameStarted) -> Json:
    return {
        "problem": event.problem,
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "players": event.players,
    }


def _submitted(event: CodeSubmitted) -> Json:
    return {
        "player_id": event.player_id,
        "attempt": event.attempt,
        "language": event.language,
        "size": len(event.code.encode()),
    }


def _judged(event: SubmissionJudged) -> Json:
    return {
        "player_id": event.player_id,
        "attempt": event.attempt,
        "verdict": event.verdict,
        "tests_passed": event.tests_passed,
        "tests_total": event.tests_total,
        "duration_ms": event.duration_ms,
    }


def _disconnected(event: PlayerDisconnected) -> Json:
    return {"player_id": event.player_id, "grace_until": event.grace_until}


def _reconnected(event: PlayerReconnected) -> Json:
    return {"player_id": event.player_id}


def _left(event: PlayerLeft) -> Json:
    return {"player_id": event.player_id, "reason": event.reason}


def _finished(event: GameFinished) -> Json:
    return {"reason": event.reason, "winner": event.winner, "ranking": event.ranking}


_DATA: Final[dict[type, Callable[[Any], Json]]] = {
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


def snapshot(state: GameState) -> Json:
    """The full public state of a game; the problem's text only once the race has started."""
    revealed = state.phase in {Phase.RUNNING, Phase.FINISHED}
    problem = state.problem
    return {
        "game_id": state.game_id,
        "state": state.phase,
        "host_id": state.host_id,
        "created_at": state.created_at,
        "min_players": state.rules.min_players,
        "max_players": state.rules.max_players,
        "time_limit_s": state.rules.time_limit_ms / 1000,
        "finish": state.rules.finish,
        "problem": problem
        if revealed
        else {"id": problem.id, "title": problem.title, "difficulty": problem.difficulty},
        "players": [_player(player, player.id in state.pending) for player in state.players.values()],
        "starts_at": state.starts_at,
        "ends_at": state.ends_at,
        "reason": state.reason,
        "winner": state.winner,
        "ranking": state.ranking,
    }


def _player(player: Player, judging: bool) -> Json:
    return {
        "player_id": player.id,
        "name": player.name,
        "status": "active" if player.active else "left",
        "ready": player.ready,
        "connected": player.connection_id is not None,
        "attempts": player.tries,
        "tests_passed": player.best_passed,
        "accepted": player.accepted_seq is not None,
        "judging": judging,
    }
