"""An outage of minutes: what 200 clients of a language do meanwhile, and when they are back.

``python -m tests.clients.outage --seconds 300`` plays each kind of outage with each language, and prints the figures.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.clients.stage import SETTINGS, Stage
from tests.clients.table import LANGUAGES, Row
from tools.harness.proxy import FaultProxy
from tools.harness.server import ServerProcess

AWAY: Final = "server away"
GATEWAY: Final = "502 of a proxy"
NAMELESS: Final = "name unresolvable"
KINDS: Final = (AWAY, GATEWAY, NAMELESS)
OPEN_TIMEOUT_S: Final = 10
MAX_DELAY_S: Final = 30
MOST_TO_MEAN: Final = 4.0
"""Full jitter alone gives up to 3.6: of the waits that an outage ends in, those that end soon are more."""
BAD_GATEWAY: Final = (
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>"
)
ROW: Final = Row(
    "outage",
    "connect, open, meet, meet, open, disconnect, closed",
    options={"open_timeout_s": OPEN_TIMEOUT_S},
    more={"waits_at_most_s": MAX_DELAY_S, "by_name": True},
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of an outage: when who was back, and in which seconds who tried."""

    clients: int
    back_after_s: list[float]
    tries: list[float]
    seconds: float

    @property
    def most_back_to_mean(self) -> float:
        """Of those who come back: the most in a second, to the mean of the seconds in which they may."""
        return _most(self.back_after_s) / (len(self.back_after_s) / MAX_DELAY_S)

    @property
    def most_tries_to_mean(self) -> float:
        """Of the tries once all wait for as long as they ever do: the most in a second, to the mean."""
        late = [at for at in self.tries if at >= min(60, self.seconds / 2)]
        return _most(late) / max(len(late) / (self.seconds - min(60, self.seconds / 2)), 0.1)

    def __str__(self) -> str:
        return (
            f"{len(self.back_after_s)} of {self.clients} back, the last after {max(self.back_after_s):.1f} s,"
            f" at most {self.most_back_to_mean:.2f} times the mean in a second; {len(self.tries)} tries in the outage,"
            f" at most {_most(self.tries)} in a second, once all wait long {self.most_tries_to_mean:.2f} times the mean"
        )


def _most(times: list[float]) -> int:
    """The most in a second."""
    ordered, most, first = sorted(times), 0, 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


class Outage:
    """An outage of a kind: it begins, ends, and knows when."""

    def __init__(self, kind: str, server: ServerProcess, stage: Stage, seconds: float = 0) -> None:
        self.start = self.end = 0.0
        self._kind = kind
        self._server = server
        self._stage = stage
        self._seconds = seconds

    def begins(self, proxy: FaultProxy) -> None:
        """Cut all off, and let nobody back."""
        self.start = time.time()
        if self._kind == AWAY:
            self._server.kill()
        elif self._kind == GATEWAY:
            proxy.answering = BAD_GATEWAY
        else:
            self._stage.tell(names="gone")
        proxy.cut()

    def ends(self, proxy: FaultProxy) -> None:
        """All is well again, after so many seconds."""
        time.sleep(self._seconds)  # that is what it is about
        if self._kind == AWAY:
            self._server.start()
        proxy.answering = None
        self._stage.tell(names="back")
        self.end = time.time()


def play(language: str, kind: str, clients: int, seconds: float, folder: Path) -> Figures:
    """So many clients, an outage so long."""
    with ServerProcess(folder, reconnect_grace_s=seconds + 300, **SETTINGS) as server, Stage(language, server) as stage:
        outage = Outage(kind, server, stage, seconds)
        told = stage.play_together(ROW, clients, outage.begins, outage.ends)
        assert stage.finish() == []
    return Figures(
        clients,
        [min(later) - outage.end for one in told if (later := [at for at in one["opens"] if at > outage.end])],
        [at - outage.start for one in told for at in one["tries"] if outage.start <= at <= outage.end],
        outage.end - outage.start,
    )


def main() -> int:
    """Play what is wished; print the figures, and return how many are not as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--language", choices=LANGUAGES, action="append")
    parser.add_argument("--kind", choices=KINDS, action="append")
    wished = parser.parse_args()
    bad = 0
    for language in wished.language or LANGUAGES:
        for kind in wished.kind or KINDS:
            with tempfile.TemporaryDirectory() as folder:
                figures = play(language, kind, wished.clients, wished.seconds, Path(folder))
            is_good = (
                len(figures.back_after_s) == wished.clients
                and max(figures.back_after_s) <= MAX_DELAY_S + OPEN_TIMEOUT_S
                and figures.most_back_to_mean <= MOST_TO_MEAN
                and figures.most_tries_to_mean <= MOST_TO_MEAN
            )
            bad += not is_good
            sys.stdout.write(f"{'good' if is_good else 'BAD'}  {language}, {kind}: {figures}\n")
            sys.stdout.flush()
    return bad


if __name__ == "__main__":
    sys.exit(main())
