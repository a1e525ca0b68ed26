"""What a game may come to: its events, a player's code, the players that come."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from app.eventlog.codec import decode_events, encode_events
from app.game import (
    Disconnect,
    GameFinished,
    Join,
    LeaveGame,
    Phase,
    Rejected,
    SetReady,
    Submit,
    Verdict,
    fold,
    unbounded,
)
from app.game.budget import COST, owed
from app.vocabulary import FinishRule, Rejection
from tests.game.test_rules_properties import PLAYERS, AnyGame
from tools.harness.games import Game

FOR_EVER_MS = 10**9


class BoundedGame(AnyGame):
    """Any game, in which players do as much as they can: it stays within its events, and ends."""

    @initialize(
        most=st.sampled_from([40, 60, 90]),
        min_players=st.integers(1, 3),
        max_players=st.integers(3, 4),
        finish=st.sampled_from(FinishRule),
        countdown_ms=st.sampled_from([0, 3000]),
        started=st.booleans(),
    )
    def create(self, most: int, started: int, **rules: Any) -> None:
        self.game = Game(**rules, time_limit_ms=60_000, waiting_ttl_ms=600_000, max_events=most)
        if started:
            self.game.start("ann", "bob", "cay")

    @rule(player=PLAYERS, times=st.integers(1, 20))
    def toggle(self, player: str, times: int) -> None:
        for number in range(times):
            self.attempt(SetReady(player, number % 2 == 0))

    @rule(player=PLAYERS, times=st.integers(1, 20))
    def come_and_go(self, player: str, times: int) -> None:
        for number in range(times):
            self.attempt(Join(player, player, f"again{number}"))
            if number % 3:
                self.attempt(Disconnect(player, f"again{number}"))

    @rule(player=PLAYERS, times=st.integers(1, 20))
    def submit_often(self, player: str, times: int) -> None:
        for _ in range(times):
            self.attempt(Submit(player, "x", "python"))
            if player in self.game.known.players:
                self.game.judge(player, Verdict.WRONG_ANSWER, 1)

    @invariant()
    def it_has_room_for_what_must_come(self) -> None:
        state = self.game.known
        still = 0 if state.phase is Phase.FINISHED else owed(state)
        assert state.seq + still <= state.rules.max_events

    def teardown(self) -> None:
        for player in self.game.known.active_players:
            self.game.do(Disconnect(player.id, str(player.connection_id)))
        for _ in range(3):
            self.game.wait(FOR_EVER_MS)
        assert isinstance(self.game.events[-1], GameFinished)
        assert len(self.game.events) <= self.game.known.rules.max_events


BoundedGame.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestBoundedGame = BoundedGame.TestCase


def rejection(game: Game, command: object) -> Rejection | None:
    """How a command is refused."""
    try:
        game.do(command)  # type: ignore[arg-type] # any command
    except Rejected as rejected:
        return rejected.code
    return None


def test_whoever_uses_a_game_up_is_refused_and_the_others_play_it() -> None:
    game = Game(min_players=2, max_players=4, max_events=200)
    game.join("hog", "ann", "bob")
    refused = None
    for number in range(1_000):
        refused = refused or rejection(game, SetReady("hog", number % 2 == 0))
    assert refused is Rejection.RATE_LIMITED
    assert game.known.seq == 100, "half of them are anybody's"
    assert game.known.players["hog"].ready is False
    game.do(LeaveGame("hog"))
    for player in ("ann", "bob"):
        game.do(SetReady(player, True))
    game.wait(3_000)
    for _ in range(8):
        for player in ("ann", "bob"):
            game.submit(player)
            game.judge(player, Verdict.WRONG_ANSWER)
    game.submit("ann")
    game.judge("ann", Verdict.ACCEPTED, 8)
    assert game.known.winner == "ann"
    assert len(game.events) <= 200


def toggle_until_refused(game: Game, player: str) -> None:
    """Each time a countdown begins or ends with it."""
    while rejection(game, SetReady(player, not game.known.players[player].ready)) is None:
        pass


@pytest.mark.parametrize("goes", ["leave", "drop", "drop and leave"])
def test_whoever_is_in_can_go_however_full_a_waiting_game_is(goes: str) -> None:
    """Two players who ready and unready in turn use it up to the last event, whatever that number is."""
    fullest = 0
    for most in range(40, 80):
        game = Game(min_players=2, max_players=2, max_events=most)
        game.join("ann", "bob")
        game.do(SetReady("ann", True))
        for player in ("bob", "ann", "bob"):
            toggle_until_refused(game, player)
        for player in ("ann", "bob"):
            if "drop" in goes:
                game.do(Disconnect(player, f"c-{player}"))
            if "leave" in goes:
                game.do(LeaveGame(player))
        game.wait(FOR_EVER_MS)
        assert game.types()[-1] == "GameFinished"
        assert len(game.events) <= most
        fullest = max(fullest, len(game.events) - most)
    assert fullest > -COST - 2, "it did come near"


def test_what_is_being_judged_and_who_is_in_fit_however_full_a_race_is() -> None:
    fullest = -99
    for most in range(60, 66):
        for toggles in itertools.product(range(0, 40, 4), range(0, 40, 4)):
            game = Game(min_players=2, max_players=2, max_events=most)
            game.join("ann", "bob")
            game.do(SetReady("ann", True))
            for player, times in zip(("bob", "ann"), toggles, strict=True):
                for number in range(times):
                    rejection(game, SetReady(player, number % 2 == 0))
                rejection(game, SetReady(player, True))
            game.wait(3_000)
            for _ in range(most):
                for player in ("ann", "bob"):
                    if game.known.pending.get(player) and len(game.known.pending) == 2:
                        game.judge(player, Verdict.WRONG_ANSWER)
                    rejection(game, Submit(player, "x", "python"))
            for player in ("ann", "bob"):
                game.do(Disconnect(player, f"c-{player}"))
            game.wait(FOR_EVER_MS)
            game.wait(FOR_EVER_MS)
            assert game.types()[-1] == "GameFinished"
            assert len(game.events) <= most
            fullest = max(fullest, len(game.events) - most)
    assert fullest > -COST - 2, "it did come near"


def test_all_that_ends_a_race_is_taken_at_the_bound() -> None:
    game = Game(min_players=2, max_players=2, max_events=60, time_limit_ms=60_000)
    game.start("ann", "bob")
    while rejection(game, Submit("ann", "x", "python")) is None:
        game.judge("ann", Verdict.WRONG_ANSWER)
    assert game.known.phase is Phase.RUNNING
    assert rejection(game, Join("ann", "Ann", "c-2")) is Rejection.RATE_LIMITED
    game.do(Disconnect("ann", "c-ann"))
    game.do(LeaveGame("bob"))
    game.wait(60_000)
    assert game.types()[-3:] == ["PlayerLeft", "PlayerLeft", "GameFinished"]
    assert len(game.events) <= 60


def test_a_repeated_message_is_answered_as_ever_at_the_bound() -> None:
    game = Game(max_events=40, max_players=2)
    game.join("ann", "bob")
    first = game.do(SetReady("ann", True, "m1"))
    while rejection(game, SetReady("ann", not game.known.players["ann"].ready)) is None:
        pass
    assert rejection(game, SetReady("ann", True, "m1")) is None
    assert game.known.players["ann"].seen["m1"] == first[0].seq


def test_a_dry_run_lifts_the_bounds() -> None:
    game = Game(max_events=40, max_players=2, max_code_bytes=1)
    game.start("ann", "bob")
    assert rejection(game, Submit("ann", "xx", "python")) is Rejection.RATE_LIMITED
    game.state = unbounded(game.known)
    for _ in range(60):
        game.submit("ann")
        game.judge("ann", Verdict.WRONG_ANSWER)
    assert len(game.events) > 100


def test_a_players_code_is_bounded_in_bytes_over_all_submissions() -> None:
    game = Game(max_code_bytes=10)
    game.start("ann", "bob")
    for code, refused in (("12345678", None), ("äöü", Rejection.RATE_LIMITED), ("ä", None), ("", None), ("x", "any")):
        said = rejection(game, Submit("ann", code, "python"))
        assert said is (Rejection.RATE_LIMITED if refused else None)
        game.judge("ann", Verdict.WRONG_ANSWER)
    assert game.known.players["ann"].code_bytes == 10
    assert rejection(game, Submit("bob", "x", "python")) is None


def test_a_game_takes_so_many_different_players_over_its_life() -> None:
    game = Game(max_players=2, max_comers=5)
    for number in range(5):
        game.join(f"p{number}")
        game.do(LeaveGame(f"p{number}"))
    assert rejection(game, Join("p5", "P5", "c")) is Rejection.GAME_FULL
    game.join("p0")
    assert len(game.known.players) == 5


def test_a_log_from_before_the_bounds_has_none() -> None:
    game = Game(max_events=40, max_code_bytes=1, max_comers=1)
    old = msgspec.json.decode(encode_events(game.events))
    for name in ("max_events", "max_code_bytes", "max_comers"):
        del old[0]["rules"][name]
    state = fold(decode_events(msgspec.json.encode(old)))
    assert state is not None
    assert (state.rules.max_events, state.rules.max_code_bytes, state.rules.max_comers) == (0, 0, 0)


@pytest.mark.parametrize("most", [160, 10_000])
@pytest.mark.parametrize("players", [1, 2, 8])
def test_the_least_a_game_has_is_enough_to_play_it_full(players: int, most: int) -> None:
    game = Game(min_players=players, max_players=players, max_events=most)
    names = [f"p{number}" for number in range(players)]
    game.start(*names)
    for name in names:
        for verdict in (Verdict.WRONG_ANSWER, Verdict.WRONG_ANSWER, Verdict.ACCEPTED):
            if game.known.phase is Phase.RUNNING:
                game.submit(name)
                game.judge(name, verdict, 8)
    assert game.known.phase is Phase.FINISHED
