"""Limits by client address: token buckets in a bounded table."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MAX_ADDRESSES: Final = 10_000


class AddressLimit:
    """At most `per_minute` calls per address, refilled steadily; the addresses seen longest ago are forgotten."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Take one call from the bucket of `address`: 0 if there was one, else the seconds until there is."""
        now = self._clock()
        left, then = self._buckets.pop(address, (self._capacity, now))
        left = min(self._capacity, left + (now - then) * self._capacity / 60)
        allowed = left >= 1
        self._buckets[address] = (left - 1 if allowed else left, now)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) * 60 / self._capacity
