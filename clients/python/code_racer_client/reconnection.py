"""When a connection that has ended is made again.

The server says so where it can: by the close code, by a ``disconnect`` message, by ``retry_after_ms``. Else the client
backs off exponentially with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog): after a deploy,
clients do not come back in step. It does so for as long as a race may run.
"""

import random
import time
from collections.abc import Callable
from typing import Final

from code_racer_client.errors import ClientError
from code_racer_client.protocol import FINAL_CLOSE_CODES

MAX_DELAY_S: Final = 30.0
_ATTEMPTS_TO_MAX_DELAY: Final = 5
"""2⁵ s are more than MAX_DELAY_S; of the thousandth attempt 2.0ⁿ is more than a float can be."""
_MAX_SPREAD: Final = 1.5
GAPS_S: Final = 60.0
"""A gap so soon after another is of the same trouble; that is longer than any wait between them."""
FIRST_OWN_CODE: Final = 4_000
"""Close codes from here on are an application's own (RFC 6455 section 7.4.2): nobody between has any."""


def full_jitter(attempt: int) -> float:
    """Choose the seconds before reconnect attempt 1, 2, 3 …: evenly between 0 and 1 s·2ⁿ, at most 30 s."""
    return random.uniform(0, min(2.0 ** min(attempt, _ATTEMPTS_TO_MAX_DELAY), MAX_DELAY_S))  # noqa: S311 - jitter


class Reconnection:
    """Decides whether to connect again, and when; `attempts` counts those in a row, `is_asked` is of the last wait.

    At most `max_attempts`, where it is not None, and for `give_up_after_s` since the connection was last open, where it
    is not 0. Waits that the server asked for are no attempts.
    """

    def __init__(
        self, max_attempts: int | None, give_up_after_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.attempts = 0
        self.is_asked = False
        self.max_attempts = max_attempts
        self._give_up_after_s = give_up_after_s
        self._now = now
        self._out_since: float | None = None
        self._retry_after_s: float | None = None
        self._gaps = 0
        self._gaps_until = 0.0
        self._is_forbidden = False

    def begin(self) -> None:
        """Forget how earlier connections ended."""
        self.attempts = 0
        self._out_since = self._now()
        self._retry_after_s = None
        self._is_forbidden = False

    def welcomed(self) -> None:
        """Note that the server took the connection: the next end is the first in a row."""
        self.attempts = 0
        self._out_since = None
        self._retry_after_s = None

    def gap(self) -> None:
        """Note that events are missing: they are asked for at once, but after a gap that follows on another ever later.

        That costs no attempt. What comes before the connection has closed is of the same gap.
        """
        if self._retry_after_s is None:
            now = self._now()
            self._gaps = self._gaps + 1 if now < self._gaps_until else 0
            self._gaps_until = now + GAPS_S
            self._retry_after_s = full_jitter(self._gaps) if self._gaps else 0.0

    def retry_after_refusal(self, delay_s: float) -> None:
        """Wait at least this long, and up to half as long again: what is refused to many is advised to all the same."""
        self._retry_after_s = delay_s * random.uniform(1, _MAX_SPREAD)  # noqa: S311 - jitter

    def soon(self) -> None:
        """Wait as after the first end in a row, which costs no attempt: what the server objected to is mended."""
        self._is_forbidden = False
        self._retry_after_s = full_jitter(1)

    def announced(self, *, reconnect: bool, retry_after_s: float | None) -> None:
        """Note what a ``disconnect`` message says of the end that follows: whether to come back, and when.

        The time is this client's own: the server spreads its clients.
        """
        self._is_forbidden = not reconnect
        self._retry_after_s = retry_after_s or None

    def is_final(self, code: int) -> bool:
        """Return whether the connection does not come back after a close with `code`.

        Anybody between may close with a code of the wire protocol's: we say that it is final before.
        """
        return self._is_forbidden or (code >= FIRST_OWN_CODE and code in FINAL_CLOSE_CODES)

    def delay_s(self, error: ClientError) -> float:
        """Choose the wait before the next attempt: as asked, or backing off. Raises `error` where none is made."""
        if error.final:
            raise error
        now = self._now()
        if self._out_since is None:
            self._out_since = now
        asked_s, self._retry_after_s = self._retry_after_s, None
        self.is_asked = asked_s is not None
        if self._give_up_after_s and now - self._out_since >= self._give_up_after_s:
            raise error
        if asked_s is not None:
            return asked_s
        if self.max_attempts is not None and self.attempts >= self.max_attempts:
            raise error
        self.attempts += 1
        return full_jitter(self.attempts)
