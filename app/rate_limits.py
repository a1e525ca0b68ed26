"""Limits: rates without timers, and one place where every exceeded limit is counted, logged and decided."""

import ipaddress
import math
import random
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

from app.telemetry.observer import Limited, Observer
from app.vocabulary import LimitScope
from app.workers.table import SharedTable

MAX_KEYS: Final = 10_000
BUSY_RETRY_S: Final = (1.0, 5.0)
"""Who is refused for a limit that only others can free is told a time from here, so that not all come at once."""
IPV6_PREFIX: Final = 64
ROUNDING_S: Final = 1e-9
"""Whoever waited as told is let in, however the sums were rounded."""


def spread_ms(least_s: float, most_s: float) -> int:
    """Choose when one of many comes back, in milliseconds: each is told a time of their own."""
    return math.ceil(1000 * random.uniform(least_s, most_s))  # noqa: S311 - jitter


class RateLimit:
    """A rate with a burst, by the generic cell rate algorithm (ITU-T I.371, annex A): one number of state.

    `rate` is per second, 0 for no limit; `arrival` is all that there is to remember. Times are seconds of any one
    monotonic clock.
    """

    __slots__ = ("arrival", "interval", "tolerance")

    def __init__(self, rate: float, burst: int) -> None:
        self.interval = 1 / rate if rate else 0.0
        self.tolerance = self.interval * burst + ROUNDING_S
        self.arrival = 0.0

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` if the rate allows it: 0.0, or else the seconds until it would."""
        arrival = self.arrival
        if arrival < now:  # noqa: PLR1730 - once a message, and max() costs three times as much
            arrival = now
        arrival += cost * self.interval
        excess = arrival - now - self.tolerance
        if excess > 0.0:
            return excess + ROUNDING_S
        self.arrival = arrival
        return 0.0

    def look(self, now: float, cost: float = 1.0) -> float:
        """Return what `take` would answer; nothing is taken."""
        return max(0.0, max(self.arrival, now) + cost * self.interval - now - self.tolerance)

    def spend(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` whatever the rate allows: 0.0, or else the seconds until the rate is kept again."""
        self.arrival = max(self.arrival, now) + cost * self.interval
        excess = self.arrival - now - self.tolerance
        return max(0.0, excess)


class TooFast(Exception):  # noqa: N818 - an answer
    """What was asked for is over a rate; nothing was done. It is welcome again after `wait_s`."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


class RatePerKey:
    """A rate for each of many keys, like addresses; of more than 10,000 the one seen longest ago is forgotten."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._limits: OrderedDict[str, RateLimit] = OrderedDict()

    def take(self, key: str, now: float, cost: float = 1.0) -> float:
        """Take `cost` if the rate of `key` allows it: 0.0, or else the seconds until it would."""
        if not self._rate:
            return 0.0
        limit = self._limits.setdefault(key, RateLimit(self._rate, self._burst))
        self._limits.move_to_end(key)
        if len(self._limits) > MAX_KEYS:
            self._limits.popitem(last=False)
        return limit.take(now, cost)

    def look(self, key: str, now: float) -> float:
        """Return what `take` would for a cost of 1; nothing is taken."""
        limit = self._limits.get(key)
        return limit.look(now) if limit is not None else 0.0


class SharedRatePerKey(RatePerKey):
    """A rate for each of many keys that holds over all workers of one machine; `what` is what it is of."""

    def __init__(self, rate: float, burst: int, table: SharedTable, what: str) -> None:
        super().__init__(rate, burst)
        self._table = table
        self._what = what
        self._limit = RateLimit(rate, burst)

    def take(self, key: str, now: float, cost: float = 1.0) -> float:
        """Take `cost` if the rate of `key` allows it: 0.0, or else the seconds until it would."""
        if not self._rate:
            return 0.0
        limit = self._of(key)
        wait_s = limit.take(now, cost)
        if not wait_s:
            self._table.put(f"{self._what} {key}", limit.arrival)
        return wait_s

    def look(self, key: str, now: float) -> float:
        """Return what `take` would for a cost of 1; nothing is taken."""
        return self._of(key).look(now)

    def _of(self, key: str) -> RateLimit:
        self._limit.arrival = self._table.get(f"{self._what} {key}")
        return self._limit


def address_key(client: str) -> str:
    """Return what an address is counted as: itself, or the /64 network of an IPv6 address, which is one household."""
    if ":" not in client:  # IPv4, or no address
        return client
    try:
        address = ipaddress.IPv6Address(client)
    except ValueError:
        return client
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))


class Recent:
    """How often something happened within the last `window_s`; remembers at most `most` + 1 times."""

    __slots__ = ("_times", "_window_s")

    def __init__(self, window_s: float, most: int) -> None:
        self._window_s = window_s
        self._times: deque[float] = deque(maxlen=most + 1)

    def add(self, now: float) -> int:
        """Count one time, and return how many there were within the window, this one included."""
        times = self._times
        times.append(now)
        while times[0] < now - self._window_s:
            times.popleft()
        return len(times)


@dataclass(slots=True)
class LimitPolicy:
    """Decides what an exceeded limit means: every one is told to the observer, those of `dry_run` refuse nothing.

    An operator may change for a time which those are.
    """

    dry_run: frozenset[LimitScope]
    observer: Observer

    def refuses(
        self,
        scope: LimitScope,
        retry_after_ms: int,
        *,
        client: str | None = None,
        player_id: str | None = None,
        connection_id: str | None = None,
    ) -> bool:
        """Record that a limit is exceeded, and return whether that is refused."""
        enforced = scope not in self.dry_run
        self.observer.limited(Limited(scope, enforced, retry_after_ms, client, player_id, connection_id))
        return enforced
