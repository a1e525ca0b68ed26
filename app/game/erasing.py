"""Erasing: what a game's events say of a player without what that player wrote or is called."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec.structs import replace

from app.game.events import CodeSubmitted, GameEvent, GameFinished, GameStarted, PlayerJoined, SubmissionJudged

ERASED: Final = "erased"
"""The name of a player whose name is erased."""


def erased(events: Iterable[GameEvent], player_id: str) -> list[GameEvent]:
    """Return the events without a player's name and code, and what came of running it; the others' stay.

    The id stays, for the events could not be folded without one, and so do times, verdicts and the ranking.
    """
    return [_ERASERS[type(event)](event, player_id) if type(event) in _ERASERS else event for event in events]


def _of_own(event: Any, player_id: str, **without: object) -> Any:  # noqa: ANN401 - one kind in, the same out
    return replace(event, **without) if event.player_id == player_id else event


def _named(entries: list[Any], player_id: str) -> list[Any]:
    return [replace(one, name=ERASED) if one.player_id == player_id else one for one in entries]


_ERASERS: Final[dict[type[GameEvent], Callable[[Any, str], GameEvent]]] = {
    PlayerJoined: lambda event, player_id: _of_own(event, player_id, name=ERASED),
    CodeSubmitted: lambda event, player_id: _of_own(event, player_id, code=""),
    SubmissionJudged: lambda event, player_id: _of_own(event, player_id, detail="", tests=[]),
    GameStarted: lambda event, player_id: replace(event, players=_named(event.players, player_id)),
    GameFinished: lambda event, player_id: replace(event, ranking=_named(event.ranking, player_id)),
}
