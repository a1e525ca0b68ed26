"""How long a server's event loop was away at a time: `watched` tells it, this asks."""

import json
import shutil
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from tests.bench.contestants import Service

TIMEOUT_S: Final = 60
TOLERANCE_S: Final = 1e-7


@dataclass(frozen=True)
class Turns:
    """The turns of an event loop that took their time, in seconds, within so many seconds."""

    seconds: float
    used: list[float]
    """Processor time of its thread."""
    away: list[float]
    """By the clock, less what its thread waited for a core."""

    @property
    def longest(self) -> float:
        """What one turn used at most."""
        return max(self.used, default=0.0)

    def lag(self, turns: list[float], part: float) -> float:
        """What comes at any moment waits no longer for the turn under way to end, but for a `part` of the cases."""
        low, high = 0.0, max(turns, default=0.0)
        while high - low > TOLERANCE_S:
            middle = (low + high) / 2
            beyond = sum(turn - middle for turn in turns if turn > middle)
            low, high = (middle, high) if beyond > part * self.seconds else (low, middle)
        return high


class Asking:
    """Asks a `Watched` server, whose event loop spins meanwhile."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile()

    def __enter__(self) -> Self:
        self.turns()
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def turns(self) -> Turns:
        """Those since the last question."""
        self._socket.sendall(b"\n")
        return Turns(**json.loads(self._lines.readline()))


@dataclass
class Watched(Service):
    """The service, watched where it is asked."""

    module: str = "tests.bench.watched"
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="code-racer-")))

    def _start(self) -> None:
        self.settings = {**self.settings, "watched_at": self.folder / "turns"}
        super()._start()

    def stop(self) -> None:
        """See `Contestant.stop`."""
        super().stop()
        shutil.rmtree(self.folder)

    def asking(self) -> Asking:
        """Ask it."""
        return Asking(self.folder / "turns")
