"""Words of the workers of one machine, and what becomes of them."""

from enum import StrEnum


class WorkerState(StrEnum):
    """What a worker does, as its supervisor sees it."""

    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    DRAINING = "draining"
    DOWN = "down"


class WorkerEnd(StrEnum):
    """Why a worker was started again."""

    DIED = "died"
    SILENT = "silent"
    ENDED = "ended"
    ASKED = "asked"
