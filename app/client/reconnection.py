"""When a connection that has ended is made again.

The server says so where it can: by the close code, by a ``disconnect`` message, by ``retry_after_ms``. Else the client
backs off exponentially with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog): after a deploy,
clients do not come back in step.
"""

import random
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from app.client.errors import ClientError, Disconnected, Refused
from app.protocol import should_reconnect

Sleep = Callable[[float], Awaitable[None]]

MAX_DELAY_S: Final = 30.0
_ATTEMPTS_TO_MAX_DELAY: Final = 5
"""2⁵ s are more than MAX_DELAY_S; of the thousandth attempt 2.0ⁿ is more than a float can be."""
RETRY_STATUSES: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


def full_jitter(attempt: int) -> float:
    """Choose the seconds before reconnect attempt 1, 2, 3 …: evenly between 0 and 1 s·2ⁿ, at most 30 s."""
    return random.uniform(0, min(2.0 ** min(attempt, _ATTEMPTS_TO_MAX_DELAY), MAX_DELAY_S))  # noqa: S311 - jitter


class Reconnection:
    """Decides whether to connect again, and waits for the time; `attempts` counts those in a row."""

    def __init__(self, sleep: Sleep) -> None:
        self.attempts = 0
        self._sleep = sleep
        self._retry_after_s: float | None = None
        self._is_forbidden = False

    def begin(self) -> None:
        """Forget how earlier connections ended."""
        self.attempts = 0
        self._is_forbidden = False

    def welcomed(self) -> None:
        """Note that the server took the connection: the next end is the first in a row."""
        self.attempts = 0
        self._retry_after_s = None

    def retry_after(self, delay_s: float) -> None:
        """Wait this long after the next end, which then costs no attempt."""
        self._retry_after_s = delay_s

    def announced(self, *, reconnect: bool, retry_after_s: float | None) -> None:
        """Note what a ``disconnect`` message says of the end that follows: whether to come back, and when."""
        self._is_forbidden = not reconnect
        self._retry_after_s = retry_after_s or None

    def allow(self) -> None:
        """Forget that the server said to stay away: what it objected to is mended."""
        self._is_forbidden = False

    def is_final(self, code: int) -> bool:
        """Return whether the connection does not come back after a close with `code`."""
        return self._is_forbidden or not should_reconnect(code)

    async def wait(self, error: ClientError, max_attempts: int) -> None:
        """Wait as the server asked, which is no attempt, or back off; raises `error` when it is no use."""
        if isinstance(error, Disconnected) and error.final:
            raise error
        if isinstance(error, Refused) and error.status not in RETRY_STATUSES:
            raise error
        asked_s, self._retry_after_s = self._retry_after_s, None
        if asked_s is not None:
            await self._sleep(asked_s)
            return
        if self.attempts >= max_attempts:
            raise error
        self.attempts += 1
        await self._sleep(full_jitter(self.attempts))
