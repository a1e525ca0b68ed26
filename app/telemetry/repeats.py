"""Repeats: of log lines that others can cause at will, only so many a second; the rest is counted."""

import time
from collections.abc import Callable


class Repeats:
    """Lets through `per_s` lines of each kind in each second. Kinds must be few: each is remembered."""

    def __init__(self, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._kinds: dict[str, tuple[int, int, int]] = {}

    def suppressed(self, kind: str) -> int | None:
        """How many lines of this kind were suppressed since the last one; None where this one is too."""
        second = int(self._clock())
        then, written, suppressed = self._kinds.get(kind, (second, 0, 0))
        if then != second:
            written = 0
        if written >= self._per_s:
            self._kinds[kind] = (second, written, suppressed + 1)
            return None
        self._kinds[kind] = (second, written + 1, 0)
        return suppressed
