"""Limits on connecting and on the HTTP API: how many, from where, for whom, how fast."""

import math
import random
import time
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from app.limits import LimitPolicy, RateLimit, RatePerKey, address_key
from app.realtime.cluster.presence import Presence
from app.vocabulary import HandshakeOutcome, LimitScope
from app.web.errors import refusal

BUSY_RETRY_S: Final = (1.0, 5.0)
"""Who is refused for a limit that only others can free is told a time from here, so that not all come at once."""


@dataclass(frozen=True, slots=True)
class DoorConfig:
    """See the settings of the same names; `per_address` is off in development."""

    max_connections: int
    max_connections_per_address: int
    max_connections_per_player: int
    handshakes_per_second: float
    handshake_burst: int
    per_address: bool


class Door:
    """Counts who is inside, per address and, over all replicas, per player, and refuses more than allowed."""

    def __init__(self, config: DoorConfig, policy: LimitPolicy, presence: Presence) -> None:
        self._config = config
        self._policy = policy
        self._handshakes = RateLimit(config.handshakes_per_second, config.handshake_burst)
        self._connections = 0
        self._addresses: Counter[str] = Counter()
        self._presence = presence

    def enter(self, client: str) -> "Place":
        """A place for a connection from `client`, to be left. Raises ProblemError where there is none."""
        wait_s = self._handshakes.take(time.monotonic())
        if wait_s:
            self._refuse(LimitScope.HANDSHAKES, wait_s + random.random(), client)  # noqa: S311 - jitter
        self.look(client)
        self._connections += 1
        self._addresses[address_key(client)] += 1
        return Place(self, client)

    def seat(self, client: str, player_id: str) -> None:
        """Count the player, once they are known. Raises ProblemError."""
        self.look_player(client, player_id)
        self._presence.add(player_id, 1)

    def leave(self, client: str, player_id: str | None) -> None:
        """A place is free again."""
        self._connections -= 1
        _discount(self._addresses, address_key(client))
        if player_id is not None:
            self._presence.add(player_id, -1)

    def look(self, client: str) -> None:
        """Refuse where there is no place, without taking one. Raises ProblemError."""
        if self._connections >= self._config.max_connections:
            self._refuse(LimitScope.CONNECTIONS, random.uniform(*BUSY_RETRY_S), client)  # noqa: S311 - jitter
        most = self._config.max_connections_per_address
        if self._config.per_address and self._addresses[address_key(client)] >= most:
            self._refuse(LimitScope.CONNECTIONS_PER_ADDRESS, random.uniform(*BUSY_RETRY_S), client)  # noqa: S311 - jitter

    def look_player(self, client: str, player_id: str) -> None:
        """The same for the player."""
        if self._presence.count(player_id) >= self._config.max_connections_per_player:
            self._refuse(
                LimitScope.CONNECTIONS_PER_PLAYER,
                random.uniform(*BUSY_RETRY_S),  # noqa: S311 - jitter
                client,
                player_id,
            )

    def _refuse(self, scope: LimitScope, wait_s: float, client: str, player_id: str | None = None) -> None:
        wait_ms = math.ceil(wait_s * 1000)
        if not self._policy.refuses(scope, wait_ms, client=client, player_id=player_id):
            return
        status, outcome, detail = _ANSWERS[scope]
        raise refusal(status, detail, outcome, wait_ms)


class Place:
    """One connection's place at the door; left once."""

    __slots__ = ("_client", "_door", "_player_id")

    def __init__(self, door: Door, client: str) -> None:
        self._door = door
        self._client = client
        self._player_id: str | None = None

    def seat(self, player_id: str) -> None:
        """See `Door.seat`."""
        self._door.seat(self._client, player_id)
        self._player_id = player_id

    def leave(self) -> None:
        """See `Door.leave`."""
        self._door.leave(self._client, self._player_id)


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """See the settings of the same names, 0 for no limit; what is per address is off in development."""

    requests_per_address_per_second: float
    request_burst_per_address: int
    requests_per_player_per_second: float
    request_burst_per_player: int
    guests_per_address_per_minute: int
    games_per_address_per_minute: int
    per_address: bool


class ApiRates:
    """How often the HTTP API may be asked, by an address and by a player. All raise ProblemError.

    A player costs nothing where guests are admitted: what is made is bounded per address too.
    """

    def __init__(self, config: ApiConfig, policy: LimitPolicy) -> None:
        on = 1 if config.per_address else 0
        guests, games = config.guests_per_address_per_minute, config.games_per_address_per_minute
        self._policy = policy
        self._rates = {
            LimitScope.API_REQUESTS_PER_ADDRESS: RatePerKey(
                on * config.requests_per_address_per_second, config.request_burst_per_address
            ),
            LimitScope.API_REQUESTS_PER_PLAYER: RatePerKey(
                config.requests_per_player_per_second, config.request_burst_per_player
            ),
            LimitScope.GUESTS: RatePerKey(on * guests / 60, guests),
            LimitScope.GAMES_PER_ADDRESS: RatePerKey(on * games / 60, games),
        }

    def request(self, client: str) -> None:
        """A request came from `client`."""
        self._take(LimitScope.API_REQUESTS_PER_ADDRESS, address_key(client), client)

    def player(self, client: str, player_id: str) -> None:
        """It is this player's."""
        self._take(LimitScope.API_REQUESTS_PER_PLAYER, player_id, client, player_id)

    def guest(self, client: str) -> None:
        """It asks for a guest's token."""
        self._take(LimitScope.GUESTS, address_key(client), client)

    def game(self, client: str, player_id: str) -> None:
        """It is about to make a game."""
        self._take(LimitScope.GAMES_PER_ADDRESS, address_key(client), client, player_id)

    def _take(self, scope: LimitScope, key: str, client: str, player_id: str | None = None) -> None:
        wait_ms = math.ceil(1_000 * self._rates[scope].take(key, time.monotonic()))
        if wait_ms and self._policy.refuses(scope, wait_ms, client=client, player_id=player_id):
            raise refusal(HTTPStatus.TOO_MANY_REQUESTS, _TOO_OFTEN[scope], HandshakeOutcome.RATE_LIMITED, wait_ms)


_TOO_OFTEN: Final = {
    LimitScope.API_REQUESTS_PER_ADDRESS: "too many requests from this address (API_REQUESTS_PER_ADDRESS_PER_SECOND)",
    LimitScope.API_REQUESTS_PER_PLAYER: "too many requests of this player (API_REQUESTS_PER_PLAYER_PER_SECOND)",
    LimitScope.GUESTS: "too many guests from this address (GUESTS_PER_ADDRESS_PER_MINUTE)",
    LimitScope.GAMES_PER_ADDRESS: "too many new games from this address (GAMES_PER_ADDRESS_PER_MINUTE)",
}
_ANSWERS: Final = {
    LimitScope.HANDSHAKES: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        HandshakeOutcome.OVERLOADED,
        "too many connect at once; come back in a moment",
    ),
    LimitScope.CONNECTIONS: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        HandshakeOutcome.OVERLOADED,
        "this replica is full (MAX_CONNECTIONS)",
    ),
    LimitScope.CONNECTIONS_PER_ADDRESS: (
        HTTPStatus.TOO_MANY_REQUESTS,
        HandshakeOutcome.RATE_LIMITED,
        "too many connections from this address (MAX_CONNECTIONS_PER_ADDRESS)",
    ),
    LimitScope.CONNECTIONS_PER_PLAYER: (
        HTTPStatus.TOO_MANY_REQUESTS,
        HandshakeOutcome.RATE_LIMITED,
        "too many connections of this player (MAX_CONNECTIONS_PER_PLAYER)",
    ),
}


def _discount(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
