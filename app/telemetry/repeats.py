"""Repeats: of log lines that others can cause at will, only so many a second; the rest is counted."""

import math
import time
from collections.abc import Callable


class Repeats:
    """A limit of `per_s` lines of each kind in each second. Kinds must be few: each is remembered."""

    def __init__(self, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._kinds: dict[str, tuple[int, int, int]] = {}

    def suppressed(self, kind: str) -> int | None:
        """Count how many lines of this kind were suppressed since the last one; None where this one is too."""
        second = int(self._clock())
        then, written, suppressed = self._kinds.get(kind, (second, 0, 0))
        if then != second:
            written = 0
        if written >= self._per_s:
            self._kinds[kind] = (second, written, suppressed + 1)
            return None
        self._kinds[kind] = (second, written + 1, 0)
        return suppressed

    def unreported(self, *, is_end: bool = False) -> dict[str, int]:
        """Take how many lines were suppressed of each kind, in seconds that are over and no line followed.

        With `is_end` it does not matter whether they are over.
        """
        second = math.inf if is_end else int(self._clock())
        over = {kind: row for kind, row in list(self._kinds.items()) if row[2] and row[0] < second}
        self._kinds.update({kind: (then, written, 0) for kind, (then, written, _) in over.items()})
        return {kind: suppressed for kind, (_, _, suppressed) in over.items()}
