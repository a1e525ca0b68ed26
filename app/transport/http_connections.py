"""How many connections of a port that are no WebSockets may be open at once."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Iterable

from app.process import most_open_files
from app.rate_limits import LimitPolicy, address_key
from app.settings import HttpSettings
from app.vocabulary import LimitScope


class HttpConnections:
    """Counts the connections of a port that are no WebSockets (yet), all together and per address.

    Whoever comes through one of `proxies` (networks) is not counted per address: there the address is the proxy's. The
    last `reserved` file descriptors are left to others: the event log, the judge, the port of probes and metrics.
    """

    def __init__(
        self,
        settings: HttpSettings,
        policy: LimitPolicy,
        reserved: int = 0,
        *,
        per_address: bool,
        proxies: Iterable[str] = (),
    ) -> None:
        self._reserved = reserved
        self._settings = settings
        self._policy = policy
        self._per_address = per_address
        self._proxies = tuple(ipaddress.ip_network(one) for one in proxies)
        self._open = 0
        self._addresses: Counter[str] = Counter()

    def add(self, client: str) -> str:
        """Count a connection from `client`; return what it is counted as, for `admits` and `remove`."""
        key = address_key(client)
        self._open += 1
        self._addresses[key] += 1
        return key

    def admits(self, client: str, key: str, retry_ms: int) -> bool:
        """Return whether a connection that has just been added may stay, or else come back after `retry_ms`."""
        return not (self._is_full(client, retry_ms) or self._is_crowded(client, key, retry_ms))

    def lacks_descriptors(self, transport: asyncio.BaseTransport) -> bool:
        """Return whether a new connection took one of the file descriptors that are reserved.

        A new one has the lowest free number, so all below it are taken. It is asked here, as uvloop tells nobody when
        it accepts without one: libuv keeps one to accept with, and cuts the connection.
        """
        most, own = most_open_files(), transport.get_extra_info("socket")
        return most >= 0 and own is not None and own.fileno() >= most - self._reserved

    def remove(self, key: str) -> None:
        """Count a connection no more: it has ended or become a WebSocket."""
        self._open -= 1
        self._addresses[key] -= 1
        if not self._addresses[key]:
            del self._addresses[key]

    def _is_full(self, client: str, retry_ms: int) -> bool:
        if self._open <= self._settings.max_http_connections:
            return False
        return self._policy.refuses(LimitScope.HTTP_CONNECTIONS, retry_ms, client=client)

    def _is_crowded(self, client: str, key: str, retry_ms: int) -> bool:
        most = self._settings.max_http_connections_per_address
        if not self._per_address or self._addresses[key] <= most:
            return False
        if self._is_proxy(client):
            return False
        return self._policy.refuses(LimitScope.HTTP_CONNECTIONS_PER_ADDRESS, retry_ms, client=client)

    def _is_proxy(self, client: str) -> bool:
        try:
            address = ipaddress.ip_address(client)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)
