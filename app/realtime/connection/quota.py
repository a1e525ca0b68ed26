"""What one connection may send: how fast, how much, and how often it may be wrong."""

import math
from functools import cache
from typing import Final

from app.rate_limits import LimitPolicy, RateLimit, Recent
from app.settings import LimitSettings
from app.telemetry.observer import Opened
from app.vocabulary import LimitScope

WINDOW_S: Final = 60.0
CONTROL_PAUSE_S: Final = 0.25
"""The shortest pause for a client that sends too many control frames: a few pauses cost less than many."""


class Quota:
    """Counts what one connection sends against its limits. Times are those of one monotonic clock, in seconds.

    The two rates of messages and bytes are numbers of its own (`RateLimit` says what they mean): two objects more would
    cost each connection memory, and each message the way to them.
    """

    __slots__ = (
        "_byte_interval", "_byte_tolerance", "_bytes_at", "_control", "_invalid", "_is_slowed", "_max_message_bytes",
        "_message_interval", "_message_tolerance", "_messages_at", "_opened", "_policy", "_refused", "_settings",
    )  # fmt: skip

    def __init__(self, settings: LimitSettings, policy: LimitPolicy, opened: Opened) -> None:
        self._settings = settings
        self._max_message_bytes = settings.max_message_bytes
        self._policy = policy
        self._opened = opened
        self._message_interval, self._message_tolerance = _pace(settings.messages_per_second, settings.message_burst)
        self._byte_interval, self._byte_tolerance = _pace(settings.bytes_per_second, settings.bytes_burst)
        self._messages_at = self._bytes_at = 0.0
        self._control: RateLimit | None = None
        self._is_slowed: bool | None = None
        self._invalid: Recent | None = None
        self._refused: Recent | None = None

    def take(self, now: float, size: int) -> float:
        """Take one message of `size` bytes: 0.0, or the seconds until that would be allowed."""
        # once a message, so both rates are looked at in one step; a conditional, as max() costs three times as much
        messages_at, bytes_at = self._messages_at, self._bytes_at
        messages_at = (max(now, messages_at)) + self._message_interval
        bytes_at = (max(now, bytes_at)) + size * self._byte_interval
        if (
            messages_at <= now + self._message_tolerance
            and bytes_at <= now + self._byte_tolerance
            and size <= self._max_message_bytes
        ):
            self._messages_at = messages_at
            self._bytes_at = bytes_at
            return 0.0
        return self.take_many(now, size, 1)

    def take_many(self, now: float, size: int, messages: int) -> float:
        """Take a frame of `size` bytes holding `messages`: 0.0, or the seconds until that would be allowed."""
        if size > self._max_message_bytes:  # only in a dry run: otherwise the transport has closed with 1009
            self.refuses(LimitScope.MESSAGE_SIZE)
        rate, data = _rates(self._settings)
        rate.arrival, data.arrival = self._messages_at, self._bytes_at
        wait_s = rate.take(now, messages)
        self._messages_at = rate.arrival
        if wait_s and self.refuses(LimitScope.MESSAGES, wait_s):
            return wait_s
        wait_s = data.take(now, size)
        self._bytes_at = data.arrival
        if wait_s and self.refuses(LimitScope.BYTES, wait_s):
            return wait_s
        return 0.0

    def take_control(self, now: float) -> float:
        """Count a frame that completes no message. Returns 0.0, or for how long not to read, as there are too many.

        Counted and logged once a connection: the peer decides how often it happens.
        """
        settings = self._settings
        if self._control is None:
            self._control = RateLimit(settings.control_frames_per_second, settings.control_frame_burst)
        wait_s = self._control.spend(now)
        if not wait_s or self._is_slowed is False:
            return 0.0
        wait_s = max(wait_s, CONTROL_PAUSE_S)
        if self._is_slowed is None:
            self._is_slowed = self.refuses(LimitScope.CONTROL_FRAMES, wait_s)
        return wait_s if self._is_slowed else 0.0

    def is_often_invalid(self, now: float) -> bool:
        """Count a message that was invalid, and return whether it was one too many."""
        most = self._settings.max_invalid_messages_per_minute
        self._invalid = self._invalid or Recent(WINDOW_S, most)
        return self._invalid.add(now) > most and self.refuses(LimitScope.INVALID_MESSAGES)

    def is_often_refused(self, now: float) -> bool:
        """Count a refusal for being too fast, or a pause, and return whether the peer goes on regardless."""
        most = self._settings.max_rate_limited_per_minute
        self._refused = self._refused or Recent(WINDOW_S, most)
        return self._refused.add(now) > most

    def refuses(self, scope: LimitScope, wait_s: float = 0.0) -> bool:
        """Count an exceeded limit of this connection, and return whether that is refused."""
        return self._policy.refuses(
            scope,
            math.ceil(wait_s * 1000),
            client=self._opened.client,
            player_id=self._opened.player_id,
            connection_id=self._opened.connection_id,
        )


@cache
def _pace(rate: float, burst: int) -> tuple[float, float]:
    """Return the interval and the tolerance of a rate: the same two numbers for all connections."""
    limit = RateLimit(rate, burst)
    return limit.interval, limit.tolerance


def _rates(settings: LimitSettings) -> tuple[RateLimit, RateLimit]:
    """Make the rates of messages and of bytes."""
    return (
        RateLimit(settings.messages_per_second, settings.message_burst),
        RateLimit(settings.bytes_per_second, settings.bytes_burst),
    )
