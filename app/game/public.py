"""What players are shown of events and state: pure, from the game's types to those of the wire.

Every durable event has exactly one public message, the same for all members: the `EventData` of its type, which shows
what it has fields for. Code, hidden tests and connection ids end here: they are in the event, never in what is sent.
"""

from collections.abc import Callable
from typing import Any, Final

from app.game.events import CodeSubmitted, GameEvent, PlayerReady, SubmissionJudged
from app.game.state import GameState, Player
from app.protocol import server as wire
from app.protocol.values import Problem
from app.vocabulary import MemberStatus, Phase, ReadyStatus

_SHOWS_PROBLEM: Final = frozenset({Phase.RUNNING, Phase.FINISHED})


def public_event(event: GameEvent) -> wire.EventData:
    """Return the message of a durable event, for all members."""
    otherwise = _OTHERWISE.get(type(event))
    return otherwise(event) if otherwise is not None else _by_name(event)


def public_result(event: SubmissionJudged) -> wire.SubmissionResultData:
    """Return the message of a verdict for the submitter alone: the visible tests."""
    return wire.SubmissionResultData(event.attempt, event.verdict, event.detail, event.tests)


def snapshot(state: GameState) -> wire.GameSnapshot:
    """Return the full public state of a game; the problem's text only once the race has started."""
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
        status=MemberStatus.ACTIVE if player.active else MemberStatus.LEFT,
        ready=player.ready,
        connected=player.connection_id is not None,
        attempts=player.tries,
        tests_passed=player.best_passed,
        accepted=player.accepted_seq is not None,
        judging=judging,
        tests_total=player.tests_total,
    )


# ------------------------------------------------------------------------------------ the message of each event


def _by_name(event: GameEvent) -> wire.EventData:
    """Show of an event what its message has fields for: what is called the same is the same."""
    message = wire.EVENT_DATA[str(event.__struct_config__.tag)]
    return message(**{name: getattr(event, name) for name in message.__struct_fields__})


def _ready(event: PlayerReady) -> wire.PlayerReadyData:
    return wire.PlayerReadyData(
        event.player_id, ReadyStatus.READY if event.ready else ReadyStatus.NOT_READY, at=event.at
    )


def _submitted(event: CodeSubmitted) -> wire.CodeSubmittedData:
    size = len(event.code.encode())
    return wire.CodeSubmittedData(event.player_id, event.attempt, event.language, size, at=event.at)


_OTHERWISE: Final[dict[type, Callable[[Any], wire.EventData]]] = {PlayerReady: _ready, CodeSubmitted: _submitted}
"""The events that are shown otherwise than by name."""
