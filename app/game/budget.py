"""How much a game may come to: what one player causes is bounded, and so is the whole, but for what must always fit.

The first half of `Rules.max_events` is anybody's. Of the second half each seat has its share: whoever has used theirs
is refused what may wait (coming in, being ready, handing in), the others go on. Never refused is what ends things: a
connection lost, a player out, a verdict, the end. Room for all of it is kept.
"""

from typing import Final

from msgspec.structs import replace

from app.game.rejection import Rejected
from app.game.state import GameState
from app.vocabulary import Rejection

OWED_BY_PLAYER: Final = 3
"""Events that a player who is in may still cause by going: lost, out, and a countdown that begins or ends with it."""
OWED_BY_GAME: Final = 2
"""The start and the end."""
COST: Final = 2 + OWED_BY_PLAYER
"""The most that a command which may wait adds: its event, a countdown that begins or ends with it, a player."""


def owed(state: GameState) -> int:
    """Return how many events come whatever is refused, at most."""
    return OWED_BY_PLAYER * len(state.active_players) + len(state.pending) + OWED_BY_GAME


def events_refused(state: GameState, player_id: str) -> Rejected | None:
    """Return why a player's command that may wait is refused; None if the game can take it."""
    most = state.rules.max_events
    if not most:
        return None
    if state.seq + owed(state) + COST > most:
        return Rejected(Rejection.RATE_LIMITED, f"the game has had its {most} events: nothing was done")
    player = state.players.get(player_id)
    share = most // 2 // state.rules.max_players
    if state.seq < most // 2 or (player is not None and player.events < share):
        return None
    text = f"half of the game's {most} events have been, and your share of the rest: nothing was done"
    return Rejected(Rejection.RATE_LIMITED, text)


def code_refused(state: GameState, player_id: str, size: int) -> Rejected | None:
    """Return why more code of a player, of `size` bytes, is refused; None if the log can take it."""
    most = state.rules.max_code_bytes
    if not most or state.players[player_id].code_bytes + size <= most:
        return None
    return Rejected(
        Rejection.RATE_LIMITED, f"what you hand in may come to {most} bytes, this would be more: nothing was done"
    )


def unbounded(state: GameState) -> GameState:
    """Return the same game with bounds that refuse nothing (a dry run)."""
    return replace(state, rules=replace(state.rules, max_events=0, max_code_bytes=0))
