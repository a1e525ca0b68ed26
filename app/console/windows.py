"""What was lately: two windows of time, one full and one that fills; what is old goes without being looked for."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Windows(Generic[T]):
    """Keeps what `make` makes, one for this window of time and one for that before: what came in one to two of them."""

    __slots__ = ("_clock", "_make", "_now", "_until", "_window_s", "before")

    def __init__(self, make: Callable[[], T], window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._window_s = window_s
        self._clock = clock
        self._now, self.before = make(), make()
        self._until = clock() + window_s

    @property
    def now(self) -> T:
        """That of this window."""
        late_s = self._clock() - self._until
        if late_s >= 0:
            self.before = self._now if late_s < self._window_s else self._make()
            self._now = self._make()
            self._until += self._window_s * (late_s // self._window_s + 1)
        return self._now

    @property
    def both(self) -> tuple[T, T]:
        """Those of both windows, this one's first."""
        now = self.now  # which may be another from this moment on
        return now, self.before
