"""When time ends a connection: its token runs out, nothing is said for long, or it has got old."""

import math
import time
from collections.abc import Callable
from typing import Final

from app.aio.timing_wheel import TimingWheel
from app.protocol import Close, CloseRow, TokenExpiringData
from app.realtime.connection.outbox import Outbox
from app.realtime.connection.stats import ConnectionStats
from app.settings import AuthSettings, ConnectionSettings

LONGEST_TIMER_S: Final = 86_400.0


class Expiry:
    """Has `close` end one connection in time; `stats` say when it was last heard of."""

    __slots__ = (
        "_auth", "_close", "_ends_at", "_expires_at", "_noticed", "_outbox", "_settings", "_slot", "_stats", "_stopped",
        "_wheel",
    )  # fmt: skip

    def __init__(
        self,
        outbox: Outbox,
        stats: ConnectionStats,
        close: Callable[[CloseRow], None],
        settings: ConnectionSettings,
        auth: AuthSettings,
        wheel: TimingWheel,
    ) -> None:
        self._outbox = outbox
        self._close = close
        self._settings = settings
        self._auth = auth
        self._wheel = wheel
        self._stats = stats
        self._expires_at = self._ends_at = math.inf
        self._noticed = False
        self._stopped = False
        self._slot = 0

    def renew(self, expires_at: float) -> None:
        """Note that the token of the connection ends at `expires_at` (epoch seconds)."""
        self._expires_at = expires_at
        self._noticed = False
        self._schedule()

    def end_at_age(self, age_s: float) -> None:
        """Have the client come back on a new connection after `age_s`."""
        self._ends_at = time.perf_counter() + age_s
        self._schedule()

    def stop(self) -> None:
        """Stop: the connection is over."""
        self._stopped = True
        self._wheel.cancel(self, self._slot)

    def on_due(self) -> None:
        """Handle what is due."""
        now = time.perf_counter()
        if now >= self._ends_at:
            self._close(Close.AGE)
        elif self._settings.idle_timeout_s and now >= self._idle_due():
            self._close(Close.IDLE)
        elif time.time() >= self._token_due():
            self._on_token()
        self._schedule()

    def _schedule(self) -> None:
        """Wake up when something is due next."""
        self._wheel.cancel(self, self._slot)
        if self._stopped:
            return
        now = time.perf_counter()
        wait_s = min(self._token_due() - time.time(), self._ends_at - now)
        if self._settings.idle_timeout_s:
            wait_s = min(wait_s, self._idle_due() - now)
        self._slot = self._wheel.set(self, min(wait_s, LONGEST_TIMER_S))

    def _token_due(self) -> float:
        """Return when the notice is due, or after it the end (epoch seconds)."""
        if self._noticed:
            return self._expires_at + self._auth.jwt_leeway_s
        return self._expires_at - self._auth.token_expiring_notice_s

    def _idle_due(self) -> float:
        return self._stats.last_message + self._settings.idle_timeout_s

    def _on_token(self) -> None:
        if self._noticed:
            self._close(Close.TOKEN_EXPIRED)
            return
        self._noticed = True
        self._outbox.send(TokenExpiringData(round(self._expires_at * 1000)))
