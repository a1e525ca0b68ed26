"""Where a client stands with its game."""

from enum import StrEnum


class ClientState(StrEnum):
    """The closed list, the same words as those of the client for browsers.

    `reconnecting` is an attempt to go on after the last event that has come, `waiting` the time between two attempts.
    """

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"
