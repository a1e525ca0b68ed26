"""How often the HTTP API may be asked."""

import math
import time
from typing import Final

from app.rate_limits import LimitPolicy, RatePerKey, SharedRatePerKey, address_key
from app.settings import HttpSettings
from app.vocabulary import HandshakeOutcome, LimitScope
from app.web.error_answers import refused
from app.workers.table import SharedTable

_TOO_OFTEN: Final = {
    LimitScope.API_REQUESTS_PER_ADDRESS: "too many requests from this address (API_REQUESTS_PER_ADDRESS_PER_SECOND)",
    LimitScope.API_REQUESTS_PER_PLAYER: "too many requests of this player (API_REQUESTS_PER_PLAYER_PER_SECOND)",
    LimitScope.GUESTS: "too many guests from this address (GUESTS_PER_ADDRESS_PER_MINUTE)",
    LimitScope.GAMES_PER_ADDRESS: "too many new games from this address (GAMES_PER_ADDRESS_PER_MINUTE)",
}


class ApiRates:
    """Rate limits of requests, by address and by player; all methods raise RequestRefused.

    A player costs nothing where guests are admitted: what is made is bounded per address too. Workers who have a
    `table` together keep the rates over all of them.
    """

    def __init__(
        self,
        settings: HttpSettings,
        policy: LimitPolicy,
        *,
        guests_per_minute: int,
        per_address: bool,
        table: SharedTable | None = None,
    ) -> None:
        on = 1 if per_address else 0
        games_per_minute = settings.games_per_address_per_minute
        self._policy = policy
        rates = {
            LimitScope.API_REQUESTS_PER_ADDRESS: (
                on * settings.api_requests_per_address_per_second,
                settings.api_request_burst_per_address,
            ),
            LimitScope.API_REQUESTS_PER_PLAYER: (
                settings.api_requests_per_player_per_second,
                settings.api_request_burst_per_player,
            ),
            LimitScope.GUESTS: (on * guests_per_minute / 60, guests_per_minute),
            LimitScope.GAMES_PER_ADDRESS: (on * games_per_minute / 60, games_per_minute),
        }
        self._rates = {
            scope: SharedRatePerKey(rate, burst, table, scope) if table else RatePerKey(rate, burst)
            for scope, (rate, burst) in rates.items()
        }

    def request(self, client: str) -> None:
        """Count a request from `client`."""
        self._take(LimitScope.API_REQUESTS_PER_ADDRESS, address_key(client), client)

    def player(self, client: str, player_id: str) -> None:
        """Count a request of a player."""
        self._take(LimitScope.API_REQUESTS_PER_PLAYER, player_id, client, player_id)

    def guest(self, client: str) -> None:
        """Count a guest's token."""
        self._take(LimitScope.GUESTS, address_key(client), client)

    def game(self, client: str, player_id: str) -> None:
        """Count a game that is about to be made."""
        self._take(LimitScope.GAMES_PER_ADDRESS, address_key(client), client, player_id)

    def _take(self, scope: LimitScope, key: str, client: str, player_id: str | None = None) -> None:
        wait_ms = math.ceil(1_000 * self._rates[scope].take(key, time.monotonic()))
        if wait_ms and self._policy.refuses(scope, wait_ms, client=client, player_id=player_id):
            raise refused(HandshakeOutcome.RATE_LIMITED, _TOO_OFTEN[scope], wait_ms)
