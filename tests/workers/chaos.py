"""Chaos on one machine: bots race while workers and their supervisor fail, as a seed has it.

``python -m tests.workers.chaos --seed 1 --seconds 120`` runs it, dumps what the files of the workers hold and what
every bot saw, has the checker look at it, and exits with its verdict. It stops by itself and stays on loopback.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.eventlog.sqlite import SqliteEventLog
from app.workers import Share
from tests.cluster.racing import SETTINGS, Noted, enter, keep, race, rage, read_game, reconnects, run_seeds
from tools.harness.processes import freeze, is_alive
from tools.harness.proxy import FaultProxy
from tools.harness.server import until
from tools.harness.workers import WORKERS, Supervised

PATIENT: Final[dict[str, Any]] = {"worker_max_deaths": 1_000, "worker_restart_max_delay_s": 1}
TIMEOUT_S: Final = 10.0
FILE: Final = "games.db"


@dataclass
class Stage(Noted):
    """All that can fail, and what of it has."""

    folder: Path
    service: Supervised
    door: FaultProxy
    dice: random.Random

    # ---------------------------------------------------------------- faults; each mends what it broke

    async def kill_worker(self) -> None:
        """Kill -9 one, and wait for the next."""
        number, pid = self._any()
        self.note(f"kill worker {number}")
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self.service.until_followed, number, pid)

    async def freeze_worker(self) -> None:
        """Stop one, and let it go on before it is missed."""
        number, pid = self._any()
        self.note(f"freeze worker {number}")
        await asyncio.to_thread(freeze, pid)
        await asyncio.sleep(self.dice.uniform(1, TIMEOUT_S / 2))
        os.kill(pid, signal.SIGCONT)

    async def stop_worker(self) -> None:
        """Stop one for good: it is missed, killed and followed."""
        number, pid = self._any()
        self.note(f"stop worker {number}")
        await asyncio.to_thread(freeze, pid)
        await asyncio.to_thread(self.service.until_followed, number, pid)

    async def replace(self) -> None:
        """SIGHUP: all are replaced in turn."""
        self.note("replace all workers")
        before = self.service.pids()
        os.kill(self.service.pid, signal.SIGHUP)
        for number, pid in before.items():
            await asyncio.to_thread(self.service.until_followed, number, pid)

    async def restart(self) -> None:
        """Stop all, and start again."""
        self.note("restart")
        await asyncio.to_thread(self.service.stop)
        await asyncio.to_thread(self.service.start)

    async def kill_supervisor(self) -> None:
        """Kill -9 the supervisor; once its workers have ended there is another."""
        self.note("kill the supervisor")
        pids = self.service.pids().values()
        await asyncio.to_thread(self.service.kill)
        await asyncio.to_thread(until, lambda: not any(map(is_alive, pids)))
        await asyncio.to_thread(self.service.start)

    async def cut_players(self) -> None:
        """Reset all players' connections."""
        self.note("cut players")
        self.door.cut()

    def _any(self) -> tuple[int, int]:
        return self.dice.choice(sorted(self.service.pids().items()))


@contextlib.contextmanager
def stage(folder: Path, seed: int) -> Iterator[Stage]:
    """Two workers and their supervisor, and a proxy before them."""
    with (
        Supervised(folder, event_log_url=f"sqlite:///{FILE}", worker_timeout_s=TIMEOUT_S, **PATIENT, **SETTINGS) as one,
        FaultProxy(int(one.settings["PORT"])) as door,
    ):
        yield Stage(folder, one, door, random.Random(seed))  # noqa: S311 - a seed is meant


async def run(place: Stage, seconds: float) -> None:
    """Race and rage, and end all; leave the histories in the folder."""
    racers = await enter(f"http://127.0.0.1:{place.door.port}", seconds)
    faults = [
        place.kill_worker, place.freeze_worker, place.stop_worker, place.replace, place.restart, place.kill_supervisor,
        place.cut_players,
    ]  # fmt: skip
    place.note(await race(racers, rage(place.dice, faults, seconds)))
    await asyncio.to_thread(place.service.stop)
    keep(place.folder, await read_files(place.folder, {racer.ws.game_id for racer in racers}), racers)
    place.note(f"{len(place.done) - 1} faults, {reconnects(racers)} reconnects")


async def read_files(folder: Path, games: Iterable[str]) -> list[dict[str, Any]]:
    """What the files of the workers, who have ended, hold of games: each is in its owner's."""
    found = []
    for number in range(WORKERS):
        share = Share(number, WORKERS)
        log = SqliteEventLog(share.part_of(folder / FILE), must_exist=True)
        await log.open()
        found += [await read_game(log, game) for game in games if share.owner(game) == number]
        await log.close()
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run one seed, or several; 1 where a promise was broken."""

    def one(folder: Path, seed: int, seconds: float) -> None:
        with stage(folder, seed) as place:
            asyncio.run(run(place, seconds))

    return run_seeds(one, arguments, prog="python -m tests.workers.chaos", description=__doc__)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    sys.exit(main())
