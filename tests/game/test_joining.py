"""Who may join: the whole table of phase, standing and room."""

import itertools
from enum import StrEnum
from typing import Final

import pytest

from app.game import Disconnect, Join, LeaveGame, Phase, Rejected, Remove, SetReady, misses_end, refusal
from app.vocabulary import Rejection
from tools.harness.games import Game

GRACE_MS = 1_000
COUNTDOWN_MS = 600_000
EVE = "eve"


class Standing(StrEnum):
    """What a player is to the game, seen from now."""

    STRANGER = "stranger"
    CONNECTED = "connected"
    LOST = "lost"
    EXPIRED_WAITING = "expired_waiting"
    LEFT_WAITING = "left_waiting"
    EXPIRED_RACING = "expired_racing"
    LEFT_RACING = "left_racing"
    REMOVED = "removed"


FREE: Final = None
FULL, RUNNING = Rejection.GAME_FULL, Rejection.GAME_RUNNING
OVER, LEFT, REMOVED = Rejection.GAME_OVER, Rejection.LEFT, Rejection.REMOVED
TABLE: Final[dict[Phase, dict[Standing, tuple[Rejection | None, Rejection | None]]]] = {
    # phase: standing: (with room, full); no entry: cannot be
    Phase.WAITING: {
        Standing.STRANGER: (FREE, FULL),
        Standing.CONNECTED: (FREE, FREE),
        Standing.LOST: (FREE, FREE),
        Standing.EXPIRED_WAITING: (FREE, FULL),
        Standing.LEFT_WAITING: (FREE, FULL),
        Standing.REMOVED: (REMOVED, REMOVED),
    },
    Phase.COUNTDOWN: {
        Standing.STRANGER: (RUNNING, RUNNING),
        Standing.CONNECTED: (FREE, FREE),
        Standing.LOST: (FREE, FREE),
        Standing.EXPIRED_WAITING: (FREE, FULL),
        Standing.LEFT_WAITING: (FREE, FULL),
        Standing.REMOVED: (REMOVED, REMOVED),
    },
    Phase.RUNNING: {
        Standing.STRANGER: (RUNNING, RUNNING),
        Standing.CONNECTED: (FREE, FREE),
        Standing.LOST: (FREE, FREE),
        Standing.EXPIRED_WAITING: (RUNNING, RUNNING),
        Standing.LEFT_WAITING: (RUNNING, RUNNING),
        Standing.EXPIRED_RACING: (FREE, FREE),
        Standing.LEFT_RACING: (LEFT, LEFT),
        Standing.REMOVED: (REMOVED, REMOVED),
    },
    Phase.FINISHED: {one: (REMOVED, REMOVED) if one is Standing.REMOVED else (OVER, OVER) for one in Standing},
}
OTHERS = ("ann", "bob", "cay")
BEFORE_THE_START = {Standing.EXPIRED_WAITING, Standing.LEFT_WAITING}


def lose(game: Game, player: str) -> None:
    """Their connection is gone, and so is their grace."""
    game.do(Disconnect(player, f"c-{player}"))
    game.wait(GRACE_MS)


def be(game: Game, standing: Standing) -> None:
    """Bring the player there, who is in."""
    match standing:
        case Standing.LOST:
            game.do(Disconnect(EVE, f"c-{EVE}"))
        case Standing.EXPIRED_WAITING | Standing.EXPIRED_RACING:
            lose(game, EVE)
        case Standing.LEFT_WAITING | Standing.LEFT_RACING:
            game.do(LeaveGame(EVE))
        case Standing.REMOVED:
            game.do(Remove(EVE))


def a_game(phase: Phase, standing: Standing, full: bool) -> Game:
    """A game with `eve` as its rest would have her; where it is full, that is without her, or with her in it."""
    is_in = standing in {Standing.CONNECTED, Standing.LOST, Standing.EXPIRED_RACING, Standing.LEFT_RACING}
    is_in = is_in or (standing is Standing.REMOVED and phase is Phase.RUNNING)
    others = OTHERS[: 2 if is_in else 3]
    game = Game(min_players=2, max_players=3 if full else 8, grace_ms=GRACE_MS, countdown_ms=COUNTDOWN_MS)
    if standing is not Standing.STRANGER:
        game.join(EVE)
    if standing in BEFORE_THE_START or (standing is Standing.REMOVED and not is_in):
        be(game, standing)
    game.join(*others)
    if phase is not Phase.WAITING:
        for player in (*others, EVE) if is_in else others:
            game.do(SetReady(player, True))
    if phase in {Phase.RUNNING, Phase.FINISHED}:
        game.wait(COUNTDOWN_MS)
    if is_in:
        be(game, standing)
    if phase is Phase.FINISHED:
        for left in game.known.active_players:
            game.do(LeaveGame(left.id))
    assert game.known.phase is phase
    return game


CASES = [
    (phase, standing, full)
    for phase, standing, full in itertools.product(Phase, Standing, (False, True))
    if standing in TABLE[phase]
]


@pytest.mark.parametrize(("phase", "standing", "full"), CASES)
def test_the_table(phase: Phase, standing: Standing, full: bool) -> None:
    game = a_game(phase, standing, full)
    expected = TABLE[phase][standing][full]
    said = refusal(game.known, EVE)
    assert (said.code if said else None) == expected
    if expected is None:
        game.do(Join(EVE, "Eve", "c-2"))
        assert game.known.players[EVE].connection_id == "c-2"
        assert len(game.known.active_players) <= game.known.rules.max_players
    else:
        with pytest.raises(Rejected) as rejected:
            game.do(Join(EVE, "Eve", "c-2"))
        assert rejected.value.code is expected, "the rules and the door say the same"


def test_only_what_cannot_be_is_not_in_the_table() -> None:
    missing = {(phase, standing) for phase in Phase for standing in Standing if standing not in TABLE[phase]}
    racing = (Standing.EXPIRED_RACING, Standing.LEFT_RACING)
    assert missing == set(itertools.product((Phase.WAITING, Phase.COUNTDOWN), racing))


@pytest.mark.parametrize("standing", Standing)
def test_who_was_in_may_read_the_end_they_missed_and_nobody_else(standing: Standing) -> None:
    state = a_game(Phase.FINISHED, standing, False).known
    was_in = standing not in {Standing.STRANGER, Standing.REMOVED}
    assert misses_end(state, EVE, state.seq - 1) is was_in
    assert not misses_end(state, EVE, state.seq)
    assert not misses_end(state, EVE, None)
    assert not misses_end(a_game(Phase.RUNNING, Standing.CONNECTED, False).known, EVE, 0)
