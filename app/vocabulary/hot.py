"""Words of the console's hot lists."""

from enum import StrEnum


class HotMeasure(StrEnum):
    """What a hot list is ordered by: of connections that are open; or of those that are gone, within some minutes."""

    MESSAGES = "messages"
    BYTES = "bytes"
    OUTBOX = "outbox"
    ERRORS = "errors"
    RECONNECTS = "reconnects"
    REFUSALS = "refusals"


class HotKind(StrEnum):
    """Whose counts are added up in a hot list."""

    CONNECTION = "connection"
    PLAYER = "player"
    GAME = "game"
    ADDRESS = "address"
