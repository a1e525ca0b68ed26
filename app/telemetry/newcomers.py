"""Who was counted lately: each client once in a window, however often it comes."""

import time
from collections.abc import Callable, Hashable


class Newcomers:
    """Remembers at most `most` of what came within a window of `window_s`; where there are more, it begins anew."""

    def __init__(self, window_s: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._most = most
        self._clock = clock
        self._until = clock() + window_s
        self._seen: set[Hashable] = set()

    def is_new(self, one: Hashable) -> bool:
        """Check whether it comes for the first time in this window, and remember it."""
        now = self._clock()
        is_over = now >= self._until
        if one in self._seen and not is_over:
            return False
        if is_over or len(self._seen) >= self._most:
            self._until = now + self._window_s
            self._seen.clear()
        self._seen.add(one)
        return True
