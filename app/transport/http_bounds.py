"""The bounds of HTTP: one record of all of them, and how many connections may be open at once."""

import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.limits import LimitPolicy, address_key
from app.vocabulary import LimitScope

RETRY_MS: Final = 1_000
"""A connection that is no WebSocket yet is short: who finds no place may come back soon."""


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """See the settings of the same names; they hold on each port by itself."""

    max_header_bytes: int
    max_headers: int
    max_body_bytes: int
    max_chunk_overhead_bytes: int
    handshake_timeout_s: float
    http_keep_alive_s: float
    http_write_timeout_s: float
    close_timeout_s: float
    tls_unread_bytes: int
    max_http_connections: int
    max_http_connections_per_address: int
    per_address: bool

    @property
    def max_request_bytes(self) -> int:
        """The most that is ever read for one request."""
        return self.max_header_bytes + self.max_body_bytes + self.max_chunk_overhead_bytes


class HttpPlaces:
    """Counts the connections of a port that are no WebSockets (yet), all together and per address.

    Whoever comes through one of the `proxies` is not counted per address: there the address is the proxy's.
    """

    def __init__(self, bounds: HttpBounds, policy: LimitPolicy, proxies: Iterable[str]) -> None:
        self._bounds = bounds
        self._policy = policy
        self._proxies = tuple(ipaddress.ip_network(one) for one in proxies)
        self._open = 0
        self._addresses: Counter[str] = Counter()

    def enter(self, client: str) -> bool:
        """Count a connection from `client`; whether it may stay. Either way it leaves."""
        key = address_key(client)
        self._open += 1
        self._addresses[key] += 1
        return not (self._is_full(client) or self._is_crowded(client, key))

    def leave(self, client: str) -> None:
        """The connection has ended or become a WebSocket."""
        key = address_key(client)
        self._open -= 1
        self._addresses[key] -= 1
        if not self._addresses[key]:
            del self._addresses[key]

    def _is_full(self, client: str) -> bool:
        if self._open <= self._bounds.max_http_connections:
            return False
        return self._policy.refuses(LimitScope.HTTP_CONNECTIONS, RETRY_MS, client=client)

    def _is_crowded(self, client: str, key: str) -> bool:
        bounds = self._bounds
        if not bounds.per_address or self._addresses[key] <= bounds.max_http_connections_per_address:
            return False
        if self._is_proxy(client):
            return False
        return self._policy.refuses(LimitScope.HTTP_CONNECTIONS_PER_ADDRESS, RETRY_MS, client=client)

    def _is_proxy(self, client: str) -> bool:
        try:
            address = ipaddress.ip_address(client)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)
