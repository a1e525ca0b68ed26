"""Who may join a game: asked by the rules when a player joins, and before the upgrade, when a connection asks.

A player who is in may always come on another connection. While the game waits, and in its countdown, whoever left or
was lost for too long has given up the seat and needs room like everybody else; a countdown takes nobody new. From the
start on the seats are those of the race: nobody new gets one, whoever was lost keeps it, whoever leaves does not. A
game that has had its events (`app.game.budget`) takes nobody.
"""

from app.game.budget import events_refused
from app.game.rejection import Rejected
from app.game.state import GameState, Player
from app.vocabulary import LeaveReason, Phase, Rejection


def refusal(state: GameState, player_id: str) -> Rejected | None:
    """Return why a player may not join now; None if they may."""
    player = state.players.get(player_id)
    if player is not None and player.removed:
        return Rejected(Rejection.REMOVED, "you were removed from this game")
    if state.phase is Phase.FINISHED:
        return Rejected(Rejection.GAME_OVER, "the game is over")
    has_no_place = None if player is not None and player.active else _refusal_of_place(state, player)
    return has_no_place or events_refused(state, player_id)


def misses_end(state: GameState, player_id: str, last_seq: int | None) -> bool:
    """Tell whether a member of a game that is over has not seen all of it: they may read on, though not join."""
    player = state.players.get(player_id)
    was_in = player is not None and not player.removed
    return was_in and state.phase is Phase.FINISHED and last_seq is not None and last_seq < state.seq


def _refusal_of_place(state: GameState, player: Player | None) -> Rejected | None:
    return _refusal_of_race(player) if state.phase is Phase.RUNNING else _refusal_of_seat(state, player)


def _refusal_of_race(player: Player | None) -> Rejected | None:
    if player is None or not player.raced:
        return _no_new_players()
    if player.out is LeaveReason.LEFT:
        return Rejected(Rejection.LEFT, "you left this race; leaving a race is final")
    return None


def _refusal_of_seat(state: GameState, player: Player | None) -> Rejected | None:
    if player is None and state.phase is Phase.COUNTDOWN:
        return _no_new_players()
    rules = state.rules
    if len(state.active_players) >= rules.max_players:
        return Rejected(Rejection.GAME_FULL, f"the game has its {rules.max_players} players")
    if player is None and rules.max_comers and len(state.players) >= rules.max_comers:
        return Rejected(Rejection.GAME_FULL, f"{rules.max_comers} players have come to this game, and most have gone")
    return None


def _no_new_players() -> Rejected:
    return Rejected(Rejection.GAME_RUNNING, "the race has begun; it takes no new players")
