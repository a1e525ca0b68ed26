"""What somebody wants of a game: the input of `decide`."""

from msgspec import Struct

from app.game.events import Rules
from app.protocol import Problem, TestReport
from app.vocabulary import Verdict


class Create(Struct, frozen=True):
    """Make the game."""

    game_id: str
    host_id: str
    problem: Problem
    rules: Rules


class Join(Struct, frozen=True):
    """A player's connection came up: a new player, or one of the game's own again."""

    player_id: str
    name: str
    connection_id: str


class SetReady(Struct, frozen=True):
    """The player is, or is no longer, ready."""

    player_id: str
    ready: bool
    cause: str | None = None


class Submit(Struct, frozen=True):
    """The player hands in a solution."""

    player_id: str
    code: str
    language: str
    cause: str | None = None


class RecordVerdict(Struct, frozen=True, kw_only=True):
    """The judge is done with a submission."""

    player_id: str
    attempt: int
    verdict: Verdict
    tests_passed: int
    tests_total: int
    duration_ms: int
    detail: str = ""
    tests: list[TestReport] = []


class Disconnect(Struct, frozen=True):
    """A player's connection went down; ignored where it is not the player's current one.

    `extra_grace_ms` is added where the server itself told the player to come back later.
    """

    player_id: str
    connection_id: str
    extra_grace_ms: int = 0


class LeaveGame(Struct, frozen=True):
    """The player goes for good."""

    player_id: str
    cause: str | None = None


class Remove(Struct, frozen=True):
    """The host or an operator puts a player out of the game, for good."""

    player_id: str


class EndGame(Struct, frozen=True):
    """An operator ends the game, wherever it is; what is still being judged is given up."""


class Tick(Struct, frozen=True):
    """Time has passed: whatever is due happens, and then these connections are over, all of them at once."""

    lost: tuple[Disconnect, ...] = ()


PlayerCommand = SetReady | Submit | LeaveGame
"""What a player asks for by a message; `cause` is its id."""
Command = Create | Join | SetReady | Submit | RecordVerdict | Disconnect | LeaveGame | Remove | EndGame | Tick
