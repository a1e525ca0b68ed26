"""What holds for every course a game can take."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.eventlog.codec import decode_events, encode_events
from app.game import (
    CodeSubmitted,
    Command,
    Disconnect,
    EndGame,
    GameFinished,
    GameStarted,
    Join,
    LeaveGame,
    LeaveReason,
    Phase,
    PlayerDisconnected,
    PlayerJoined,
    PlayerLeft,
    PlayerReconnected,
    Rejected,
    Remove,
    SetReady,
    SubmissionJudged,
    Verdict,
    deadline,
    fold,
    public_event,
    snapshot,
)
from app.game.events import FREE_VERDICTS
from app.protocol import encode, encode_event
from app.vocabulary import FinishRule
from tools.harness.games import CODE, Game

PLAYERS = st.sampled_from(["ann", "bob", "cay", "dan"])
FORWARD = {
    Phase.WAITING: {Phase.WAITING, Phase.COUNTDOWN, Phase.RUNNING, Phase.FINISHED},
    Phase.COUNTDOWN: {Phase.COUNTDOWN, Phase.WAITING, Phase.RUNNING, Phase.FINISHED},
    Phase.RUNNING: {Phase.RUNNING, Phase.FINISHED},
    Phase.FINISHED: {Phase.FINISHED},
}


REACHED: set[str] = set()
"""The kinds of event that the games above came to."""


class AnyGame(RuleBasedStateMachine):
    """Players do whatever they like, whenever they like."""

    def __init__(self) -> None:
        super().__init__()
        self.game = Game()
        self.phase = Phase.WAITING
        self.connections = 0

    @initialize(
        min_players=st.integers(1, 3),
        max_players=st.integers(3, 4),
        finish=st.sampled_from(FinishRule),
        countdown_ms=st.sampled_from([0, 3000]),
        free_verdicts=st.sampled_from([None, 0, 1, 2]),
        started=st.integers(0, 3),
    )
    def create(self, started: int, **rules: Any) -> None:
        """Three games in four begin in mid-race: left to chance alone, most would expire before they start."""
        self.game = Game(**rules, time_limit_ms=60_000, waiting_ttl_ms=600_000)
        if started:
            self.game.start("ann", "bob", "cay")

    def attempt(self, command: Command) -> None:
        before = self.game.state
        try:
            self.game.do(command)
        except Rejected:
            assert self.game.state is before

    @rule(player=PLAYERS)
    def join(self, player: str) -> None:
        self.connections += 1
        self.attempt(Join(player, player, f"c{self.connections}"))

    @rule(player=PLAYERS, ready=st.booleans(), cause=st.sampled_from([None, "m1", "m2"]))
    def ready(self, player: str, ready: bool, cause: str | None) -> None:
        self.attempt(SetReady(player, ready, cause))

    @rule()
    def everybody_gets_ready(self) -> None:
        for player in self.game.known.active_players:
            self.attempt(SetReady(player.id, True))
        self.game.wait(3000)

    @rule(player=PLAYERS)
    def submit(self, player: str) -> None:
        try:
            self.game.submit(player)
        except Rejected:
            return
        assert self.game.known.phase is Phase.RUNNING

    @rule(player=PLAYERS, verdict=st.sampled_from(Verdict), passed=st.integers(0, 8))
    def judge(self, player: str, verdict: Verdict, passed: int) -> None:
        if player in self.game.known.players:
            self.game.judge(player, verdict, passed)

    @rule(player=PLAYERS, stale=st.booleans())
    def disconnect(self, player: str, stale: bool) -> None:
        known = self.game.known.players.get(player)
        connection = "stale" if stale or known is None else str(known.connection_id)
        self.attempt(Disconnect(player, connection))

    @rule(player=PLAYERS)
    def leave(self, player: str) -> None:
        self.attempt(LeaveGame(player))

    @rule(player=PLAYERS, really=st.integers(0, 3))
    def remove(self, player: str, really: int) -> None:
        """Seldom: who is removed is out for good, and the games would be over soon."""
        if not really:
            self.attempt(Remove(player))

    @rule(really=st.integers(0, 9))
    def end(self, really: int) -> None:
        """Seldom, too."""
        if not really:
            self.attempt(EndGame())

    @rule(milliseconds=st.sampled_from([1, 2999, 3000, 29_999, 30_000, 60_000, 600_000]))
    def wait(self, milliseconds: int) -> None:
        self.game.wait(milliseconds)

    @rule()
    def wait_for_the_deadline(self) -> None:
        due = deadline(self.game.known)
        if due is not None and due >= self.game.now:
            assert self.game.wait(due - self.game.now), "a deadline that does nothing would fire for ever"

    @invariant()
    def note_what_was_reached(self) -> None:
        REACHED.update(self.game.types(self.game.events[-3:]))

    @invariant()
    def seq_counts_without_gaps(self) -> None:
        assert [event.seq for event in self.game.events] == list(range(1, len(self.game.events) + 1))

    @invariant()
    def replay_equals_live(self) -> None:
        assert fold(decode_events(encode_events(self.game.events))) == self.game.state

    @invariant()
    def nothing_follows_the_end(self) -> None:
        finished = [event for event in self.game.events if isinstance(event, GameFinished)]
        assert len(finished) <= 1
        if finished:
            assert self.game.events[-1] is finished[0]
            assert deadline(self.game.known) is None
            assert not self.game.known.pending

    @invariant()
    def the_phase_moves_forward(self) -> None:
        assert self.game.known.phase in FORWARD[self.phase]
        self.phase = self.game.known.phase

    @invariant()
    def there_is_one_winner_and_they_handed_in_first(self) -> None:
        state = self.game.known
        if state.phase is not Phase.FINISHED:
            return
        accepted = [
            event.player_id
            for event in self.game.events
            if isinstance(event, CodeSubmitted) and self._verdict(event) is Verdict.ACCEPTED
        ]
        assert state.winner == (accepted[0] if accepted else None)
        assert [entry.rank for entry in state.ranking] == list(range(1, len(state.players) + 1))
        assert {entry.player_id for entry in state.ranking} == set(state.players)

    @invariant()
    def a_game_never_holds_more_than_its_players(self) -> None:
        assert len(self.game.known.active_players) <= self.game.known.rules.max_players

    @invariant()
    def a_race_is_of_those_who_started_it_and_whoever_leaves_it_is_out(self) -> None:
        may_come: set[str] | None = None
        for event in self.game.events:
            if isinstance(event, GameStarted):
                may_come = {player.player_id for player in event.players}
            elif may_come is not None and isinstance(event, PlayerJoined | PlayerReconnected):
                assert event.player_id in may_come
            elif may_come and isinstance(event, PlayerLeft) and event.reason is not LeaveReason.GRACE_EXPIRED:
                may_come.discard(event.player_id)

    @invariant()
    def frames_hide_code(self) -> None:
        for event in self.game.events[-3:]:
            assert CODE.encode() not in encode_event(public_event(event), event.seq)
        assert CODE.encode() not in encode(snapshot(self.game.known))

    def _verdict(self, submitted: CodeSubmitted) -> Verdict | None:
        for event in self.game.events:
            if isinstance(event, SubmissionJudged) and (event.player_id, event.attempt) == (
                submitted.player_id,
                submitted.attempt,
            ):
                return event.verdict
        return None


AnyGame.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestAnyGame = AnyGame.TestCase


@given(
    verdicts=st.lists(st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from([*FREE_VERDICTS, Verdict.INVALID]))),
    most=st.sampled_from([None, 0, 1, 3]),
)
def test_a_try_is_what_was_judged_and_was_not_free(verdicts: list[tuple[str, Verdict]], most: int | None) -> None:
    game = Game(free_verdicts=most, time_limit_ms=60_000)
    game.start("ann", "bob")
    for player, verdict in verdicts:
        game.submit(player)
        (judged,) = game.judge(player, verdict)
        assert isinstance(judged, SubmissionJudged)
        assert judged.attempts == game.known.players[player].tries, "who hears the event alone counts the same"
    for player in ("ann", "bob"):
        own = [verdict for name, verdict in verdicts if name == player]
        free = sum(verdict in FREE_VERDICTS for verdict in own)
        assert game.known.players[player].tries == len(own) - (free if most is None else min(free, most))


def test_the_games_came_to_the_race_and_through_it() -> None:
    """Without this, a machine that never gets to the race would prove nothing and say so to nobody."""
    TestAnyGame().runTest()
    race = (CodeSubmitted, SubmissionJudged, PlayerDisconnected, PlayerReconnected, PlayerLeft, GameFinished)
    assert {kind.__name__ for kind in race} <= REACHED
