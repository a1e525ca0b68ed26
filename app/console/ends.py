"""How connections ended and attempts were refused: the last ones, and of each of the players who were here lately.

All of it is paid once a connection, when it ends, and bounded: by how many are kept, of how many players.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, Literal

from msgspec import Struct

from app.console.sketch import HeavyHitters
from app.console.windows import Windows
from app.rate_limits import address_key
from app.telemetry.observer import Closed

KEPT: Final = 200
KEPT_OF_A_PLAYER: Final = 10
MOST_PLAYERS: Final = 2_000
HITTERS: Final = 200
HITTERS_WINDOW_S: Final = 600.0


class EndRow(Struct, frozen=True):
    """A connection that ended, or an attempt that was refused, at `at` in epoch seconds.

    `code` is that of the close frame, or the HTTP status (none where nothing could be answered). `detail` is what was
    said to the client; where nothing was, what such an end is. `name` is the player's in the game, if it was in it.
    """

    at: float
    kind: Literal["close", "refusal"]
    code: int | None
    reason: str
    detail: str
    address: str
    player_id: str | None = None
    game_id: str | None = None
    connection_id: str | None = None
    initiator: str | None = None
    duration_s: float | None = None
    errors: int = 0
    client: str | None = None
    trace_id: str | None = None
    replica: str = ""
    name: str | None = None


class Ends:
    """Keeps the last ends; a flood of refusals pushes out no close.

    `replica` is whose they are, `name_of` tells the name of a player in a game. Within the last ten to twenty minutes,
    `came_again` counts the connections that ended, by player and by address; `errors` what connections that are gone
    were sent, and `refusals` attempts, both by address.
    """

    def __init__(self) -> None:
        self.replica = ""
        self.name_of: Callable[[str, str], str | None] = lambda _game_id, _player_id: None
        self._closes: deque[EndRow] = deque(maxlen=KEPT)
        self._refusals: deque[EndRow] = deque(maxlen=KEPT)
        self._players: OrderedDict[str, deque[EndRow]] = OrderedDict()
        self.came_again = _hitters(), _hitters()
        self.errors = _hitters()
        self.refusals = _hitters()

    def closed(self, closed: Closed) -> None:
        """Take a connection that ended just now."""
        address = address_key(closed.client)
        players, addresses = self.came_again
        addresses.now.add(address)
        if closed.player_id is not None:
            players.now.add(closed.player_id)
        if closed.errors:
            self.errors.now.add(address, closed.errors)
        name = self.name_of(closed.game_id, closed.player_id) if closed.game_id and closed.player_id else None
        end = _of(closed, self.replica, name)
        self._closes.append(end)
        self._remember(end)

    def refused(
        self,
        reason: str,
        code: int | None,
        detail: str,
        address: str,
        player_id: str | None = None,
        game_id: str | None = None,
    ) -> None:
        """Take an attempt or a request that was refused just now; `detail` holds no token and no raw input."""
        self.refusals.now.add(address_key(address))
        end = EndRow(time.time(), "refusal", code, reason, detail, address, player_id, game_id, replica=self.replica)
        self._refusals.append(end)
        self._remember(end)

    def last(self, limit: int = KEPT) -> list[EndRow]:
        """List the last ones of all, the newest first."""
        return _newest((*self._closes, *self._refusals), limit)

    def of_player(self, player_id: str, limit: int = KEPT) -> list[EndRow]:
        """List the last ones of a player, the newest first: also those that others have pushed out of the last."""
        return list(islice(reversed(self._players.get(player_id, ())), limit))

    @property
    def last_of_each(self) -> list[tuple[str | None, EndRow]]:
        """List the last end of each player who was here lately, with the last name that is known."""
        return [
            (next((end.name for end in reversed(ends) if end.name), None), ends[-1]) for ends in self._players.values()
        ]

    def _remember(self, end: EndRow) -> None:
        if end.player_id is None:
            return
        known = self._players.get(end.player_id)
        if known is None:
            known = self._players[end.player_id] = deque(maxlen=KEPT_OF_A_PLAYER)
        known.append(end)
        self._players.move_to_end(end.player_id)
        if len(self._players) > MOST_PLAYERS:
            self._players.popitem(last=False)


def _hitters() -> Windows[HeavyHitters[str]]:
    return Windows(lambda: HeavyHitters(HITTERS), HITTERS_WINDOW_S)


def _newest(ends: Iterable[EndRow], limit: int) -> list[EndRow]:
    return sorted(ends, key=lambda end: end.at, reverse=True)[:limit]


def _of(closed: Closed, replica: str, name: str | None) -> EndRow:
    row = closed.row
    return EndRow(
        at=time.time(),
        kind="close",
        code=row.code,
        reason=row.reason,
        detail=closed.said or row.when,
        address=closed.client,
        player_id=closed.player_id,
        game_id=closed.game_id,
        connection_id=closed.connection_id,
        initiator=closed.initiator,
        duration_s=round(closed.duration_s, 3),
        errors=closed.errors,
        client=closed.release,
        trace_id=closed.trace_id,
        replica=replica,
        name=name,
    )
