"""Words of the canary."""

from enum import StrEnum


class CanaryOutcome(StrEnum):
    """How a race of the canary ended."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    LOST = "lost"
    TIMEOUT = "timeout"
    WRONG = "wrong"
