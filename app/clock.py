"""The clock of the games: epoch time that does not jump when the machine's clock is set.

It is read from the machine's clock once, at the start, and goes on by the monotonic one. Where the machine's clock is
set afterwards, this one follows it by running a little faster or slower (it is slewed, as adjtime(3) does it, not
stepped): a countdown is as long as it was said to be, a race ends when it should, and no time is told twice.

What is not the games' is not judged by it: tokens, tickets and what else ends at a time that others have said are
compared with the machine's clock as it is.
"""

import time
from collections.abc import Callable
from typing import Final

LOOK_EVERY_S: Final = 1.0
"""The machine's clock is compared with so often: reading this one is as cheap as reading that one."""


class Clock:
    """The time of the games; it follows the machine's clock, and never jumps with it.

    `slew_ppm` is by how many millionths it runs faster or slower at most; 0: it never follows.
    """

    __slots__ = ("_base", "_monotonic", "_rate", "_since", "_slew", "_wall")

    def __init__(
        self,
        slew_ppm: float,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._slew = slew_ppm / 1_000_000
        self._base = wall()
        self._since = monotonic()
        self._rate = 1.0

    def now(self) -> int:
        """Return the time, in epoch milliseconds; never less than before."""
        elapsed = self._monotonic() - self._since
        if elapsed >= LOOK_EVERY_S:
            elapsed = self._look(elapsed)
        return int((self._base + elapsed * self._rate) * 1000)

    @property
    def ahead_s(self) -> float:
        """By how much the machine's clock is ahead of this one, in seconds."""
        return self._wall() - (self._base + (self._monotonic() - self._since) * self._rate)

    def _look(self, elapsed: float) -> float:
        """Begin anew, at the rate that takes in what the machine's clock is ahead by; so much has passed since then."""
        self._base += LOOK_EVERY_S * self._rate + (elapsed - LOOK_EVERY_S)
        self._since += elapsed
        ahead_s = self._wall() - self._base
        self._rate = 1 + max(-self._slew, min(self._slew, ahead_s / LOOK_EVERY_S))
        return 0.0
