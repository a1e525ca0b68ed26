"""The rules: what a command does to a game, and when time does something by itself."""

from typing import Any, Final

from app.game.budget import code_refused, events_refused
from app.game.commands import (
    Command,
    Create,
    Disconnect,
    EndGame,
    Join,
    LeaveGame,
    RecordVerdict,
    Remove,
    SetReady,
    Submit,
    Tick,
)
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
from app.game.joining import refusal
from app.game.rejection import Rejected
from app.game.state import GameState, Player, evolve, tries_after
from app.protocol import RankingEntry, StartedPlayer
from app.vocabulary import FinishReason, FinishRule, LeaveReason, Phase, Rejection, Verdict


class _Draft:
    """The events decided so far and the state they lead to."""

    __slots__ = ("events", "now", "state")

    def __init__(self, state: GameState, now: int) -> None:
        self.state = state
        self.now = now
        self.events: list[GameEvent] = []

    def emit(self, kind: type[Any], **fields: object) -> None:
        event = kind(seq=self.state.seq + 1, at=self.now, **fields)
        self.state = evolve(self.state, event)
        self.events.append(event)


def decide(state: GameState | None, command: Command, now: int) -> list[GameEvent]:
    """Decide what `command` does at the time `now` (epoch ms): the events, in order; none where nothing changes.

    Whatever is due by `now` happens first, in the same commit.

    Raises:
        Rejected: the rules forbid it.
    """
    if isinstance(command, Create):
        return _create(state, command, now)
    if state is None:
        raise Rejected(Rejection.NOT_ALLOWED, "the game does not exist")
    if _seen(state, command):
        return []
    draft = _Draft(state, now)
    _settle(draft)
    _HANDLERS[type(command)](draft, command)
    _settle(draft)
    return draft.events


def deadline(state: GameState) -> int | None:
    """Return when time alone changes the game next (epoch ms); None if it never does."""
    if state.phase is Phase.FINISHED:
        return None
    times = [player.grace_until for player in state.players.values() if player.grace_until is not None]
    if state.phase is Phase.WAITING:
        times.append(state.created_at + state.rules.waiting_ttl_ms)
    elif state.phase is Phase.COUNTDOWN and state.starts_at is not None:
        times.append(state.starts_at)
    elif state.ends_at is not None:
        times.append(_judging_ends(state) if state.pending else state.ends_at)
    return min(times)


def _seen(state: GameState, command: Command) -> bool:
    cause = getattr(command, "cause", None)
    if cause is None:
        return False
    player = state.players.get(getattr(command, "player_id", ""))
    return player is not None and cause in player.seen


def _create(state: GameState | None, command: Create, now: int) -> list[GameEvent]:
    if state is not None:
        raise Rejected(Rejection.NOT_ALLOWED, "the game exists already")
    return [
        GameCreated(
            seq=1,
            at=now,
            game_id=command.game_id,
            host_id=command.host_id,
            problem=command.problem,
            rules=command.rules,
        )
    ]


# ------------------------------------------------------------------------------------ commands


def _member(draft: _Draft, player_id: str) -> Player:
    player = draft.state.players.get(player_id)
    if player is None or not player.active:
        raise Rejected(Rejection.NOT_ALLOWED, "you are not in this game")
    return player


def _raise(rejected: Rejected | None) -> None:
    if rejected is not None:
        raise rejected


def _join(draft: _Draft, command: Join) -> None:
    state = draft.state
    _raise(refusal(state, command.player_id))
    known = state.players.get(command.player_id)
    if known is not None and known.active:
        draft.emit(PlayerReconnected, player_id=command.player_id, connection_id=command.connection_id)
    else:
        draft.emit(
            PlayerJoined,
            player_id=command.player_id,
            name=command.name,
            connection_id=command.connection_id,
            first=known is None,
        )


def _set_ready(draft: _Draft, command: SetReady) -> None:
    player = _member(draft, command.player_id)
    if draft.state.phase not in {Phase.WAITING, Phase.COUNTDOWN}:
        raise Rejected(Rejection.NOT_ALLOWED, f"the game is {draft.state.phase}; ready is for waiting games")
    if player.ready != command.ready:
        _raise(events_refused(draft.state, player.id))
        first = command.ready and not player.was_ready
        draft.emit(PlayerReady, player_id=player.id, ready=command.ready, first=first, cause=command.cause)


def _submit(draft: _Draft, command: Submit) -> None:
    state = draft.state
    player = _member(draft, command.player_id)
    if state.phase is not Phase.RUNNING:
        raise Rejected(Rejection.NOT_ALLOWED, f"the game is {state.phase}; code is taken while it runs")
    if _is_closing(state, draft.now):
        raise Rejected(Rejection.NOT_ALLOWED, "the race is decided; no more code is taken")
    if player.accepted_seq is not None:
        raise Rejected(Rejection.NOT_ALLOWED, "your solution was accepted already")
    if player.id in state.pending:
        raise Rejected(Rejection.NOT_ALLOWED, "your last submission is still being judged")
    if player.attempts >= state.rules.max_attempts:
        raise Rejected(Rejection.NOT_ALLOWED, f"you have used all {state.rules.max_attempts} attempts")
    _raise(code_refused(state, player.id, len(command.code.encode())) or events_refused(state, player.id))
    draft.emit(
        CodeSubmitted,
        player_id=player.id,
        attempt=player.attempts + 1,
        language=command.language,
        code=command.code,
        cause=command.cause,
    )


def _record_verdict(draft: _Draft, command: RecordVerdict) -> None:
    submitted = draft.state.pending.get(command.player_id)
    if submitted is None or submitted.attempt != command.attempt:
        return  # another replica, or the end of the game, was faster
    _judge(
        draft,
        submitted,
        verdict=command.verdict,
        tests_passed=command.tests_passed,
        tests_total=command.tests_total,
        duration_ms=command.duration_ms,
        detail=command.detail,
        tests=command.tests,
    )


def _judge(draft: _Draft, submitted: CodeSubmitted, verdict: Verdict, **found: object) -> None:
    player = draft.state.players[submitted.player_id]
    draft.emit(
        SubmissionJudged,
        player_id=player.id,
        attempt=submitted.attempt,
        verdict=verdict,
        attempts=tries_after(draft.state, player, verdict),
        **found,
    )


def _disconnect(draft: _Draft, command: Disconnect) -> None:
    player = draft.state.players.get(command.player_id)
    if draft.state.phase is Phase.FINISHED or player is None or not player.active:
        return
    if player.connection_id != command.connection_id:
        return  # replaced by a newer connection
    draft.emit(
        PlayerDisconnected,
        player_id=player.id,
        connection_id=command.connection_id,
        grace_until=draft.now + draft.state.rules.grace_ms + command.extra_grace_ms,
    )


def _leave(draft: _Draft, command: LeaveGame) -> None:
    player = draft.state.players.get(command.player_id)
    if draft.state.phase is Phase.FINISHED or player is None or not player.active:
        return  # whoever leaves after the end, or by another connection has left already, changes nothing
    draft.emit(PlayerLeft, player_id=player.id, reason=LeaveReason.LEFT, cause=command.cause)


def _remove(draft: _Draft, command: Remove) -> None:
    if draft.state.phase is Phase.FINISHED:
        raise Rejected(Rejection.GAME_OVER, "the game is over")
    player = _member(draft, command.player_id)
    draft.emit(PlayerLeft, player_id=player.id, reason=LeaveReason.REMOVED)


def _end(draft: _Draft, _command: EndGame) -> None:
    if draft.state.phase is Phase.FINISHED:
        raise Rejected(Rejection.GAME_OVER, "the game is over")
    _give_up_judging(draft)
    _finish(draft, FinishReason.ENDED)


def _tick(draft: _Draft, command: Tick) -> None:
    """Note whom nobody connects any more; what is due is settled for every command."""
    for lost in command.lost:
        _disconnect(draft, lost)


_HANDLERS: Final[dict[type, Any]] = {
    Join: _join,
    SetReady: _set_ready,
    Submit: _submit,
    RecordVerdict: _record_verdict,
    Disconnect: _disconnect,
    LeaveGame: _leave,
    Remove: _remove,
    EndGame: _end,
    Tick: _tick,
}


# ------------------------------------------------------------------------------------ what follows by itself


def _settle(draft: _Draft) -> None:
    if draft.state.phase is Phase.FINISHED:
        return
    _expire_graces(draft)
    if draft.state.phase is Phase.WAITING:
        _settle_waiting(draft)
    if draft.state.phase is Phase.COUNTDOWN:
        _settle_countdown(draft)
    if draft.state.phase is Phase.RUNNING:
        _settle_running(draft)


def _expire_graces(draft: _Draft) -> None:
    for player in draft.state.players.values():  # who has left has no grace
        if player.grace_until is not None and player.grace_until <= draft.now:
            draft.emit(PlayerLeft, player_id=player.id, reason=LeaveReason.GRACE_EXPIRED)


def _can_start(state: GameState) -> bool:
    if len(state.players) < state.rules.min_players:  # those who have left among them
        return False
    players = state.active_players
    return len(players) >= state.rules.min_players and all(player.ready for player in players)


def _settle_waiting(draft: _Draft) -> None:
    state = draft.state
    if draft.now >= state.created_at + state.rules.waiting_ttl_ms:
        draft.emit(GameFinished, reason=FinishReason.EXPIRED, winner=None, ranking=_ranking(state))
    elif _can_start(state):
        draft.emit(CountdownStarted, starts_at=draft.now + state.rules.countdown_ms)


def _settle_countdown(draft: _Draft) -> None:
    state = draft.state
    if state.starts_at is None:
        return
    if not _can_start(state):
        draft.emit(CountdownCancelled)
    elif draft.now >= state.starts_at:
        draft.emit(
            GameStarted,
            starts_at=draft.now,
            ends_at=draft.now + state.rules.time_limit_ms,
            problem=state.problem,
            players=[StartedPlayer(player.id, player.name) for player in state.active_players],
        )


def _settle_running(draft: _Draft) -> None:
    state = draft.state
    reason = _finish_reason(state, draft.now)
    if reason is None:
        return
    if state.pending:
        if draft.now < _judging_ends(state):
            return
        _give_up_judging(draft)
    _finish(draft, reason)


def _finish(draft: _Draft, reason: FinishReason) -> None:
    state = draft.state
    draft.emit(GameFinished, reason=reason, winner=_winner(state), ranking=_ranking(state), stayed=_still_in(state))


def _still_in(state: GameState) -> int:
    return sum(player.raced for player in state.active_players)


def _finish_reason(state: GameState, now: int) -> FinishReason | None:
    if state.rules.finish is FinishRule.FIRST_ACCEPTED and state.decided_at is not None:
        return FinishReason.FIRST_ACCEPTED
    active = state.active_players
    if not active:
        return FinishReason.ABANDONED
    if all(player.accepted_seq is not None for player in active):
        return FinishReason.ALL_DONE
    if state.ends_at is not None and now >= state.ends_at:
        return FinishReason.TIME_LIMIT
    return None


def _is_closing(state: GameState, now: int) -> bool:
    """Tell whether only the judging of submitted code stands between now and the end."""
    return _finish_reason(state, now) is not None


def _judging_ends(state: GameState) -> int:
    """Return when the end no longer waits for the judge, however the end came about."""
    decided = state.decided_at if state.rules.finish is FinishRule.FIRST_ACCEPTED else None
    closed_at = decided if decided is not None else (state.ends_at or 0)
    return min(closed_at, state.ends_at or closed_at) + state.rules.judge_grace_ms


def _give_up_judging(draft: _Draft) -> None:
    for submitted in list(draft.state.pending.values()):
        _judge(
            draft,
            submitted,
            verdict=Verdict.JUDGE_ERROR,
            tests_passed=0,
            tests_total=0,
            duration_ms=draft.now - submitted.at,
            detail="the game ended before the judge answered",
        )


def _merit(player: Player) -> tuple[int, int, int]:
    if player.accepted_seq is not None:
        return (0, player.accepted_seq, 0)
    return (1, -player.best_passed, player.best_seq)


def _winner(state: GameState) -> str | None:
    solved = [player for player in state.players.values() if player.accepted_seq is not None]
    return min(solved, key=_merit).id if solved else None


def _ranking(state: GameState) -> list[RankingEntry]:
    ordered = sorted(state.players.values(), key=_merit)
    return [
        RankingEntry(
            rank=place,
            player_id=player.id,
            name=player.name,
            accepted=player.accepted_seq is not None,
            tests_passed=player.best_passed,
            attempts=player.tries,
            solved_ms=None if player.accepted_at is None else player.accepted_at - (state.starts_at or 0),
        )
        for place, player in enumerate(ordered, start=1)
    ]
