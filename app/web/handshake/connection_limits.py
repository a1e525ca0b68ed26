"""Limits on connecting: how many, from where, for whom, how fast."""

import time
from typing import Final

from app.rate_limits import BUSY_RETRY_S, LimitPolicy, RateLimit, address_key, spread_ms
from app.realtime.cluster.presence import Presence
from app.settings import LimitSettings
from app.vocabulary import HandshakeOutcome, LimitScope
from app.web.error_answers import refused

HANDSHAKES_SPREAD_S: Final = 4.0
"""Whoever comes with too many others comes back with fewer of them."""


class ConnectionLimits:
    """Limits of connections: per player over all replicas, per address over all workers of this one."""

    def __init__(
        self,
        settings: LimitSettings,
        policy: LimitPolicy,
        players: Presence,
        addresses: Presence,
        *,
        per_address: bool,
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._per_address = per_address
        self._handshakes = RateLimit(settings.handshakes_per_second, settings.handshake_burst)
        self._connections = 0
        self._addresses = addresses
        self._players = players

    def acquire(self, client: str) -> "ConnectionSlot":
        """Take a slot for a connection from `client`, to be released. Raises RequestRefused where there is none."""
        wait_s = self._handshakes.take(time.monotonic())
        if wait_s:
            self._refuse(LimitScope.HANDSHAKES, spread_ms(wait_s, wait_s + HANDSHAKES_SPREAD_S), client)
        self.check(client)
        self._connections += 1
        self._addresses.add(address_key(client), 1)
        return ConnectionSlot(self, client)

    def add_player(self, player_id: str) -> None:
        """Count one more connection of a player."""
        self._players.add(player_id, 1)

    def release(self, client: str, player_id: str | None) -> None:
        """Free a slot."""
        self._connections -= 1
        self._addresses.add(address_key(client), -1)
        if player_id is not None:
            self._players.add(player_id, -1)

    def check(self, client: str) -> None:
        """Refuse where there is no slot, without taking one. Raises RequestRefused."""
        if self._connections >= self._settings.max_connections:
            self._refuse(LimitScope.CONNECTIONS, spread_ms(*BUSY_RETRY_S), client)
        most = self._settings.max_connections_per_address
        if self._per_address and self._addresses.count(address_key(client)) >= most:
            self._refuse(LimitScope.CONNECTIONS_PER_ADDRESS, spread_ms(*BUSY_RETRY_S), client)

    def check_player(self, client: str, player_id: str) -> bool:
        """Refuse where the player has all the connections they may have; False in a dry run. Raises RequestRefused."""
        if self._players.count(player_id) < self._settings.max_connections_per_player:
            return True
        self._refuse(LimitScope.CONNECTIONS_PER_PLAYER, spread_ms(*BUSY_RETRY_S), client, player_id)
        return False

    def _refuse(self, scope: LimitScope, wait_ms: int, client: str, player_id: str | None = None) -> None:
        if self._policy.refuses(scope, wait_ms, client=client, player_id=player_id):
            raise refused(*_ANSWERS[scope], wait_ms)


class ConnectionSlot:
    """One connection's slot; whoever holds it releases it once.

    A player's place is taken (`assign`) when nothing is waited for any more: an attempt that waits for the event log is
    no connection of theirs yet, and must not have their others refused for it. `look` refuses before.
    """

    __slots__ = ("_client", "_is_excess", "_limits", "_player_id")

    def __init__(self, limits: ConnectionLimits, client: str) -> None:
        self._limits = limits
        self._client = client
        self._player_id: str | None = None
        self._is_excess = False  # one too many that a dry run lets through, and has counted

    def look(self, player_id: str) -> None:
        """Refuse a player who has too many already, without taking a place. Raises RequestRefused."""
        self._is_excess = not self._limits.check_player(self._client, player_id)

    def assign(self, player_id: str) -> None:
        """Count the connection as this player's. Raises RequestRefused where they have too many."""
        if not self._is_excess:
            self.look(player_id)
        self._limits.add_player(player_id)
        self._player_id = player_id

    def release(self) -> None:
        """Free the slot."""
        self._limits.release(self._client, self._player_id)


_ANSWERS: Final = {
    LimitScope.HANDSHAKES: (HandshakeOutcome.OVERLOADED, "too many connect at once; come back in a moment"),
    LimitScope.CONNECTIONS: (HandshakeOutcome.OVERLOADED, "this replica is full (MAX_CONNECTIONS)"),
    LimitScope.CONNECTIONS_PER_ADDRESS: (
        HandshakeOutcome.RATE_LIMITED,
        "too many connections from this address (MAX_CONNECTIONS_PER_ADDRESS)",
    ),
    LimitScope.CONNECTIONS_PER_PLAYER: (
        HandshakeOutcome.RATE_LIMITED,
        "too many connections of this player (MAX_CONNECTIONS_PER_PLAYER)",
    ),
}
