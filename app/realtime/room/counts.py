"""Counts: the games of this replica and their players, counted by every change so that nobody walks over them."""

from app.game import GameState, Phase, Player
from app.vocabulary import PlayerStanding


class GameCounts:
    """Counts games and players. A game is known from the start or their making until it is over and nobody uses it."""

    def __init__(self) -> None:
        self.games = dict.fromkeys(Phase, 0)
        self.players = dict.fromkeys(PlayerStanding, 0)
        self._known: dict[str, tuple[Phase, dict[PlayerStanding, int]]] = {}
        self._hosted: dict[str, set[str]] = {}

    def note(self, state: GameState) -> Phase | None:
        """Count a game that is new or has changed, and return the phase it was known to be in."""
        standings: dict[PlayerStanding, int] = {}  # a Counter takes three times as long, and each event is counted
        for player in state.players.values():
            if player.out is None:
                standing = standing_of(state.phase, player)
                standings[standing] = standings.get(standing, 0) + 1
        known = state.phase, standings
        if self._known.get(state.game_id) == known:
            return state.phase
        before = self._take_out(state.game_id)
        self._known[state.game_id] = known
        self._add(*known, 1)
        self._note_host(state)
        return before

    def forget(self, game_id: str) -> None:
        """Forget a game."""
        self._take_out(game_id)

    def hosted_by(self, host_id: str) -> int:
        """Open games a player has made."""
        return len(self._hosted.get(host_id, ()))

    def _take_out(self, game_id: str) -> Phase | None:
        known = self._known.pop(game_id, None)
        if known is None:
            return None
        self._add(*known, -1)
        return known[0]

    def _add(self, phase: Phase, standings: dict[PlayerStanding, int], sign: int) -> None:
        self.games[phase] += sign
        for standing, count in standings.items():
            self.players[standing] += sign * count

    def _note_host(self, state: GameState) -> None:
        hosted = self._hosted.setdefault(state.host_id, set())
        if state.phase is not Phase.FINISHED:
            hosted.add(state.game_id)
            return
        hosted.discard(state.game_id)
        if not hosted:
            del self._hosted[state.host_id]


def standing_of(phase: Phase, player: Player) -> PlayerStanding:
    """Return what an active player of a game in `phase` is up to."""
    if player.connection_id is None:
        return PlayerStanding.LOST
    if phase is Phase.FINISHED or player.accepted_seq is not None:
        return PlayerStanding.DONE
    if phase is Phase.RUNNING:
        return PlayerStanding.RACING
    return PlayerStanding.READY if player.ready else PlayerStanding.WAITING
