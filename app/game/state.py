"""The state of a game: a fold over its events."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from app.game.events import (
    FREE_VERDICTS,
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
    Rules,
    SubmissionJudged,
)
from app.protocol import Problem, RankingEntry
from app.vocabulary import FinishReason, LeaveReason, Phase, Verdict

REMEMBERED_CAUSES: Final = 256
"""Message ids kept per player, so that a repeated message is applied once."""


_NONE_SEEN: Final[dict[str, int]] = {}
"""Of all who have sent none, which most players have not: an empty one each would take 64 bytes. None is changed."""

REMEMBERED_REPLACEMENTS: Final = 20
"""Times kept per player at which one connection took over from another that was still up."""


class Player(Struct, frozen=True):
    """A player as the log knows them.

    `out` is why they are out of the game, None while they are in; `connection_id` is None while disconnected.
    `was_ready`: they have been ready at some time; `raced`: they were in when the race began. `attempts` numbers the
    submissions, `tries` counts those that cost something, `free` the verdicts that could have (`Rules.free_verdicts`).
    `accepted_seq` and `best_seq` are the seq of the `code_submitted` in question: who handed in first is first, however
    long judging took. `tests_total`: how many tests there are, as the judge said last, 0 before. `replaced_at`: when
    connections took over from others that were still up. `events` are all that are about the player, `code_bytes` what
    they have handed in.
    """

    id: str
    name: str
    connection_id: str | None
    out: LeaveReason | None = None
    ready: bool = False
    grace_until: int | None = None
    attempts: int = 0
    tries: int = 0
    free: int = 0
    best_passed: int = 0
    best_seq: int = 0
    tests_total: int = 0
    accepted_seq: int | None = None
    accepted_at: int | None = None
    seen: dict[str, int] = {}
    was_ready: bool = False
    raced: bool = False
    replaced_at: tuple[int, ...] = ()
    events: int = 0
    code_bytes: int = 0

    @property
    def active(self) -> bool:
        """Whether the player is in the game, connected or not."""
        return self.out is None

    @property
    def removed(self) -> bool:
        """Whether the host or an operator has put the player out, which is for good."""
        return self.out is LeaveReason.REMOVED


class GameState(Struct, frozen=True):
    """Everything the rules need; `seq` is that of the last event folded in."""

    game_id: str
    host_id: str
    problem: Problem
    rules: Rules
    created_at: int
    seq: int
    phase: Phase = Phase.WAITING
    players: dict[str, Player] = {}
    pending: dict[str, CodeSubmitted] = {}
    starts_at: int | None = None
    ends_at: int | None = None
    decided_at: int | None = None
    finished_at: int | None = None
    reason: FinishReason | None = None
    winner: str | None = None
    ranking: list[RankingEntry] = []

    @property
    def active_players(self) -> list[Player]:
        """Players who have not left, in the order of joining."""
        return [player for player in self.players.values() if player.out is None]


def evolve(state: GameState | None, event: GameEvent) -> GameState:
    """Fold one event into the state; None is the state before the first event.

    Raises:
        ValueError: the event is not the next one of this game.
    """
    if state is None:
        if not isinstance(event, GameCreated) or event.seq != 1:
            raise ValueError("a game begins with game_created, seq 1")
        return GameState(event.game_id, event.host_id, event.problem, event.rules, event.at, 1)
    if event.seq != state.seq + 1:
        raise ValueError(f"event {event.seq} does not follow {state.seq}")
    return replace(_FOLDS.get(type(event), _noted)(state, event), seq=event.seq)


def fold(events: Iterable[GameEvent], state: GameState | None = None) -> GameState | None:
    """Fold many events."""
    for event in events:
        state = evolve(state, event)
    return state


def _with_player(state: GameState, player: Player, event: GameEvent) -> GameState:
    seen = player.seen
    if event.cause is not None:
        seen = {**seen, event.cause: event.seq}
        if len(seen) > REMEMBERED_CAUSES:
            del seen[next(iter(seen))]
    player = replace(player, seen=seen, events=player.events + 1)
    return replace(state, players={**state.players, player.id: player})


def _joined(state: GameState, event: PlayerJoined) -> GameState:
    known = state.players.get(event.player_id)
    if known is None:
        player = Player(event.player_id, event.name, event.connection_id, seen=_NONE_SEEN)
    else:
        player = replace(
            known,
            name=event.name,
            connection_id=event.connection_id,
            out=None,
            ready=False,
            grace_until=None,
        )
    return _with_player(state, player, event)


def _ready(state: GameState, event: PlayerReady) -> GameState:
    known = state.players[event.player_id]
    return _with_player(state, replace(known, ready=event.ready, was_ready=known.was_ready or event.ready), event)


def _countdown_started(state: GameState, event: CountdownStarted) -> GameState:
    return replace(state, phase=Phase.COUNTDOWN, starts_at=event.starts_at)


def _countdown_cancelled(state: GameState, _event: CountdownCancelled) -> GameState:
    return replace(state, phase=Phase.WAITING, starts_at=None)


def _started(state: GameState, event: GameStarted) -> GameState:
    raced = {player.id: replace(player, raced=True) for player in state.active_players}
    players = {**state.players, **raced}
    return replace(state, phase=Phase.RUNNING, players=players, starts_at=event.starts_at, ends_at=event.ends_at)


def _submitted(state: GameState, event: CodeSubmitted) -> GameState:
    known = state.players[event.player_id]
    player = replace(known, attempts=event.attempt, code_bytes=known.code_bytes + len(event.code.encode()))
    return replace(_with_player(state, player, event), pending={**state.pending, event.player_id: event})


def tries_after(state: GameState, player: Player, verdict: Verdict) -> int:
    """Count a player's tries once a verdict is in: some verdicts cost none, the first few times."""
    most = state.rules.free_verdicts
    is_free = verdict in FREE_VERDICTS and (most is None or player.free < most)
    return player.tries if is_free else player.tries + 1


def _judged(state: GameState, event: SubmissionJudged) -> GameState:
    submitted = state.pending[event.player_id]
    pending = {key: value for key, value in state.pending.items() if key != event.player_id}
    player = state.players[event.player_id]
    tries = tries_after(state, player, event.verdict)
    player = replace(
        player,
        tries=tries,
        free=player.free + (tries == player.tries),
        tests_total=event.tests_total or player.tests_total,
    )
    if event.tests_passed > player.best_passed:
        player = replace(player, best_passed=event.tests_passed, best_seq=submitted.seq)
    decided_at = state.decided_at
    if event.verdict is Verdict.ACCEPTED and player.accepted_seq is None:
        player = replace(player, accepted_seq=submitted.seq, accepted_at=submitted.at)
        decided_at = decided_at or event.at
    return replace(_with_player(state, player, event), pending=pending, decided_at=decided_at)


def _disconnected(state: GameState, event: PlayerDisconnected) -> GameState:
    player = replace(state.players[event.player_id], connection_id=None, grace_until=event.grace_until)
    return _with_player(state, player, event)


def _reconnected(state: GameState, event: PlayerReconnected) -> GameState:
    known = state.players[event.player_id]
    replaced_at = known.replaced_at
    if known.connection_id is not None:
        replaced_at = (*replaced_at, event.at)[-REMEMBERED_REPLACEMENTS:]
    player = replace(known, connection_id=event.connection_id, grace_until=None, replaced_at=replaced_at)
    return _with_player(state, player, event)


def _left(state: GameState, event: PlayerLeft) -> GameState:
    player = replace(
        state.players[event.player_id],
        out=event.reason,
        ready=False,
        connection_id=None,
        grace_until=None,
    )
    return _with_player(state, player, event)


def _finished(state: GameState, event: GameFinished) -> GameState:
    return replace(
        state,
        phase=Phase.FINISHED,
        finished_at=event.at,
        reason=event.reason,
        winner=event.winner,
        ranking=event.ranking,
    )


def _noted(state: GameState, event: Any) -> GameState:  # noqa: ANN401 - any event that is about a player
    """Fold an event that changes nothing of the game but what its player has caused."""
    return _with_player(state, state.players[event.player_id], event)


_FOLDS: Final[dict[type, Callable[[GameState, Any], GameState]]] = {
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
