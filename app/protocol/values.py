"""What players are shown of a game as it is: values that an event of the log holds and a message carries."""

from typing import Any

from msgspec import Struct


class VisibleTest(Struct, frozen=True):
    """A test that players may read: call arguments and expected value as JSON values."""

    args: list[Any]
    expected: Any


class Problem(Struct, frozen=True):
    """The public part of a problem: no hidden test, no solution."""

    id: str
    title: str
    difficulty: str
    statement: str
    starter: str
    tests: list[VisibleTest]


class StartedPlayer(Struct, frozen=True):
    """A player at the start."""

    player_id: str
    name: str


class TestReport(Struct, frozen=True):
    """The outcome of one visible test; values as short texts."""

    __test__ = False  # not a pytest class

    input: str
    expected: str
    got: str
    passed: bool


class RankingEntry(Struct, frozen=True):
    """One line of the ranking; `solved_ms` counts from the start to the accepted submission."""

    rank: int
    player_id: str
    name: str
    accepted: bool
    tests_passed: int
    attempts: int
    solved_ms: int | None
