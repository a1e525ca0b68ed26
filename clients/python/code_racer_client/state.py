"""Where a client stands with its game."""

from enum import StrEnum


class ClientState(StrEnum):
    """The closed list, the same words as those of the client for browsers.

    `reconnecting` is an attempt after the connection was once open, `waiting` the time between two attempts.
    """

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"
