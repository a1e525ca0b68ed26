"""Builders for game tests."""

from collections.abc import Sequence
from typing import Any

from app.game import (
    Command,
    Create,
    GameEvent,
    GameState,
    Join,
    Problem,
    RecordVerdict,
    Rules,
    SetReady,
    Submit,
    Tick,
    Verdict,
    VisibleTest,
    decide,
    fold,
)

PROBLEM = Problem("sum", "Sum", "easy", "Add.", "def solve(a, b): ...", [VisibleTest([1, 2], 3)])
CODE = "what-a-player-wrote"
GAME_ID = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00"


class Game:
    """A game driven by commands on a clock of its own; keeps every event."""

    def __init__(self, **rules: Any) -> None:
        self.now = 1_000_000
        self.events: list[GameEvent] = []
        self.state: GameState | None = None
        self.do(Create(GAME_ID, "host", PROBLEM, Rules(**rules)))

    @property
    def known(self) -> GameState:
        """The state of the game."""
        assert self.state is not None
        return self.state

    def do(self, command: Command) -> list[GameEvent]:
        """Decide and fold."""
        events = decide(self.state, command, self.now)
        self.state = fold(events, self.state)
        self.events += events
        return events

    def types(self, events: Sequence[GameEvent] | None = None) -> list[str]:
        """The names of events, all by default."""
        return [type(event).__name__ for event in (self.events if events is None else events)]

    def join(self, *players: str) -> None:
        """Players come in."""
        for player in players:
            self.do(Join(player, player.title(), f"c-{player}"))

    def start(self, *players: str) -> None:
        """Players come in, are ready, and the countdown passes."""
        self.join(*players)
        for player in players:
            self.do(SetReady(player, True))
        self.wait(self.known.rules.countdown_ms)

    def wait(self, milliseconds: int) -> list[GameEvent]:
        """Time passes."""
        self.now += milliseconds
        return self.do(Tick())

    def submit(self, player: str, cause: str | None = None) -> list[GameEvent]:
        """A player hands in code."""
        return self.do(Submit(player, CODE, "python", cause))

    def judge(self, player: str, verdict: Verdict, passed: int = 0) -> list[GameEvent]:
        """The judge answers for the player's last submission."""
        attempt = self.known.players[player].attempts
        return self.do(
            RecordVerdict(
                player_id=player, attempt=attempt, verdict=verdict, tests_passed=passed, tests_total=8, duration_ms=5
            )
        )
