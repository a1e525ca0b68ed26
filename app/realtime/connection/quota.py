"""What one connection may send: how fast, how much, and how often it may be wrong."""

import math
from dataclasses import dataclass
from typing import Final

from app.limits import LimitPolicy, RateLimit, Recent
from app.telemetry.observer import Opened
from app.vocabulary import LimitScope

WINDOW_S: Final = 60.0
CONTROL_PAUSE_S: Final = 0.25
"""Who sends too many control frames is not read for so long at least: a few pauses cost less than many."""


@dataclass(frozen=True, slots=True)
class QuotaConfig:
    """See the settings of the same names; a rate of 0 is no limit."""

    messages_per_second: float
    message_burst: int
    bytes_per_second: float
    bytes_burst: int
    control_frames_per_second: float
    control_frame_burst: int
    max_message_bytes: int
    max_batch: int
    max_invalid_messages_per_minute: int
    max_rate_limited_per_minute: int


class Quota:
    """Counts what one connection sends against its limits. Times are those of one monotonic clock, in seconds."""

    __slots__ = (
        "_bytes", "_config", "_control", "_invalid", "_is_slowed", "_messages", "_opened", "_policy", "_refused",
    )  # fmt: skip

    def __init__(self, config: QuotaConfig, policy: LimitPolicy, opened: Opened) -> None:
        self._config = config
        self._policy = policy
        self._opened = opened
        self._messages = RateLimit(config.messages_per_second, config.message_burst)
        self._bytes = RateLimit(config.bytes_per_second, config.bytes_burst)
        self._control: RateLimit | None = None
        self._is_slowed: bool | None = None
        self._invalid: Recent | None = None
        self._refused: Recent | None = None

    def take(self, now: float, size: int, messages: int) -> float:
        """Take a frame of `size` bytes holding `messages`: 0.0, or the seconds until that would be allowed."""
        if size > self._config.max_message_bytes:  # only in a dry run: otherwise the transport has closed with 1009
            self.refuses(LimitScope.MESSAGE_SIZE)
        wait_s = self._messages.take(now, messages)
        if wait_s and self.refuses(LimitScope.MESSAGES, wait_s):
            return wait_s
        wait_s = self._bytes.take(now, size)
        if wait_s and self.refuses(LimitScope.BYTES, wait_s):
            return wait_s
        return 0.0

    def take_control(self, now: float) -> float:
        """A frame came that completes no message: 0.0, or the seconds not to read on for, as there are too many.

        Counted and logged once a connection: the peer decides how often it happens.
        """
        config = self._config
        if self._control is None:
            self._control = RateLimit(config.control_frames_per_second, config.control_frame_burst)
        wait_s = self._control.spend(now)
        if not wait_s or self._is_slowed is False:
            return 0.0
        wait_s = max(wait_s, CONTROL_PAUSE_S)
        if self._is_slowed is None:
            self._is_slowed = self.refuses(LimitScope.CONTROL_FRAMES, wait_s)
        return wait_s if self._is_slowed else 0.0

    def is_often_invalid(self, now: float) -> bool:
        """A message was invalid: whether it was one too many."""
        most = self._config.max_invalid_messages_per_minute
        self._invalid = self._invalid or Recent(WINDOW_S, most)
        return self._invalid.add(now) > most and self.refuses(LimitScope.INVALID_MESSAGES)

    def is_often_refused(self, now: float) -> bool:
        """A message was refused as too fast, or the peer slowed down: whether it goes on regardless."""
        most = self._config.max_rate_limited_per_minute
        self._refused = self._refused or Recent(WINDOW_S, most)
        return self._refused.add(now) > most

    def refuses(self, scope: LimitScope, wait_s: float = 0.0) -> bool:
        """A limit of this connection is exceeded: whether that is refused."""
        return self._policy.refuses(
            scope,
            math.ceil(wait_s * 1000),
            client=self._opened.client,
            player_id=self._opened.player_id,
            connection_id=self._opened.connection_id,
        )
