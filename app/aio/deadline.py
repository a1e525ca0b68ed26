"""One thing at a time to wait for."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls a function after a time, unless it is set anew or cancelled before."""

    __slots__ = ("_timer",)

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def set(self, delay_s: float, on_end: Callable[[], None]) -> None:
        """Call `on_end` after `delay_s`, instead of what was set before."""
        self.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, on_end)

    def cancel(self) -> None:
        """Call nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
