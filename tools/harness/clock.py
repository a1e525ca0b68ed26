"""An event loop whose time passes at once: what happens when is tested without waiting, on however slow a machine."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


class _Skipping(selectors.SelectSelector):
    """Where the loop would wait, its time goes on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.skipped_s += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module; its time begins at 1,000 s and is exact."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Seconds that were skipped, and 1,000."""
        return 1_000.0 + self._skipping.skipped_s


def without_waiting(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on such a loop; whatever it leaves behind is cancelled."""

    @functools.wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*arguments, **named))

    return run


def loop_ms() -> int:
    """The loop's time as a games' clock: epoch milliseconds, of an epoch of its own."""
    return round(asyncio.get_running_loop().time() * 1000)
