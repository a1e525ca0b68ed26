"""The connections of this replica, for those who operate it: searched, listed by what hurts, looked at."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from msgspec import Struct

from app.console.slices import in_slices
from app.console.walking import Chosen, Page, RowPlace, choose, cursor_of, placed
from app.console.whom import Whom
from app.realtime import Hub, Session
from app.vocabulary import ConnectionSort, ConnectionState, ErrorCode, SortOrder


class ConnectionRow(Struct, frozen=True, kw_only=True):
    """One connection; `since` in seconds since the epoch. `joined`: the game's log says that its player is here.

    `client` is the release it says to be, or what kind of program it is. `trace_id` is that of its handshake.
    """

    cursor: str
    replica: str
    connection_id: str
    player_id: str
    name: str | None
    game_id: str
    address: str
    client: str
    state: ConnectionState
    joined: bool
    since: float
    age_s: float
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int
    errors: int
    last_error: ErrorCode | None
    outbox_bytes: int
    outbox_deepest_bytes: int
    discarded: int
    rtt_s: float | None
    trace_id: str | None


class ConnectionSearch(Struct, frozen=True):
    """What to look for: a part of the player's id or name, how address, client and game begin; empty: whatever."""

    player: str = ""
    address: str = ""
    client: str = ""
    game: str = ""
    state: ConnectionState | None = None


class Listing(Struct, frozen=True):
    """Which rows of a list are shown: behind the place `after`, at most `limit`."""

    order: SortOrder = SortOrder.DESCENDING
    limit: int = 50
    after: str = ""


class ConnectionPage(Page, frozen=True, kw_only=True):
    """A page of connections."""

    rows: list[ConnectionRow]


def _hurt(one: Session) -> tuple[float, ...]:
    return one.outbox.bytes, one.stats.errors, one.stats.rtt_s or 0.0


_FIGURES: Final[Mapping[ConnectionSort, Callable[[Session], tuple[float, ...]]]] = {
    ConnectionSort.HURT: _hurt,
    ConnectionSort.AGE: lambda one: (-one.stats.started,),
    ConnectionSort.MESSAGES: lambda one: (one.stats.messages_in + one.outbox.messages_out,),
    ConnectionSort.BYTES: lambda one: (one.stats.bytes_in + one.outbox.bytes_out,),
    ConnectionSort.OUTBOX: lambda one: (one.outbox.bytes, one.outbox.deepest),
    ConnectionSort.RTT: lambda one: (one.stats.rtt_s or 0.0,),
    ConnectionSort.ERRORS: lambda one: (one.stats.errors,),
}


class ConnectionsView:
    """Shows the connections of a hub; nothing is kept of them here."""

    def __init__(self, hub: Hub, replica: str) -> None:
        self._hub = hub
        self._replica = replica

    async def page(self, search: ConnectionSearch, sort: ConnectionSort, listing: Listing) -> ConnectionPage:
        """List what is looked for, a page of it. Raises BadCursor."""
        figures, order = _FIGURES[sort], listing.order
        fits = self._fits(search)

        def place(one: Session) -> RowPlace | None:
            return placed(figures(one), one.connection_id, order) if fits(one) else None

        chosen: Chosen[Session] = await choose(tuple(self._hub.connections), place, listing.after, listing.limit)
        rows = [self._row(one, where) for where, one in chosen.rows]
        return ConnectionPage(rows=rows, total=chosen.total, matched=chosen.matched, next=chosen.next)

    def in_slices(self) -> AsyncIterator[list[Session]]:
        """Hand out all connections whose player is known, some at a time."""
        return in_slices([one for one in self._hub.connections if one.player_id])

    def find(self, connection_id: str) -> Session | None:
        """Find a connection by its id."""
        return next((one for one in self._hub.connections if one.connection_id == connection_id), None)

    def of_player(self, player_id: str) -> list[Session]:
        """Find the connections of a player."""
        return [one for one in self._hub.connections if one.player_id == player_id]

    def name_of(self, one: Session) -> str | None:
        """Return the name that its player has in its game, whoever only looks has none."""
        room = self._hub.membership.room_of(one)
        player = room.known.players.get(one.player_id) if room is not None else None
        return player.name if player is not None else None

    def show(self, one: Session) -> ConnectionRow:
        """Show one connection."""
        return self._row(one, placed(_hurt(one), one.connection_id, SortOrder.DESCENDING))

    def _fits(self, search: ConnectionSearch) -> Callable[[Session], bool]:
        player = Whom.of(search.player)
        address, client, game, state = search.address, search.client, search.game, search.state

        def fits(one: Session) -> bool:
            opened = one.opened
            return (
                (not player.text or player.fits(one.player_id, self.name_of(one)))
                and opened.client.startswith(address)
                and opened.release.startswith(client)
                and opened.game_id.startswith(game)
                and (state is None or self._state(one) is state)
            )

        return fits

    def _state(self, one: Session) -> ConnectionState:
        if not one.is_open:
            return ConnectionState.CLOSING
        return ConnectionState.JOINING if self._hub.membership.room_of(one) is None else ConnectionState.OPEN

    def _row(self, one: Session, place: RowPlace) -> ConnectionRow:
        opened, stats, outbox = one.opened, one.stats, one.outbox
        age_s = time.monotonic() - stats.started
        return ConnectionRow(
            cursor=cursor_of(place),
            replica=self._replica,
            connection_id=one.connection_id,
            player_id=one.player_id,
            name=self.name_of(one),
            game_id=opened.game_id,
            address=opened.client,
            client=opened.release,
            state=self._state(one),
            joined=one.has_joined,
            since=time.time() - age_s,
            age_s=age_s,
            messages_in=stats.messages_in,
            messages_out=outbox.messages_out,
            bytes_in=stats.bytes_in,
            bytes_out=outbox.bytes_out,
            errors=stats.errors,
            last_error=stats.last_error,
            outbox_bytes=outbox.bytes,
            outbox_deepest_bytes=outbox.deepest,
            discarded=outbox.discarded,
            rtt_s=stats.rtt_s,
            trace_id=one.link.trace_id if one.link is not None else None,
        )
