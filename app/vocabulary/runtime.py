"""Words of the process: where it runs, how it is ready, how it ends."""

from enum import StrEnum


class ReadinessCheck(StrEnum):
    """What can fail on all replicas at once; it makes a replica unready only where READY_GATES names it."""

    EVENT_LOG = "event_log"
    OVERLOAD = "overload"
    SIGNING_KEYS = "signing_keys"


class DrainPhase(StrEnum):
    """Where a drain is."""

    DELAY = "delay"
    GAMES = "games"
    CLOSING = "closing"
    SCRAPE = "scrape"
    DONE = "done"


class Environment(StrEnum):
    """Where the service runs; the values of ENVIRONMENT."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"
