"""What sixty players on two workers notice when one of those, or the supervisor, is gone: nothing is lost."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from app.workers import Share
from tests.cluster import checker
from tests.cluster.racing import GAMES, SETTINGS, Racer, enter, keep, race
from tests.workers.chaos import FILE, PATIENT, read_files
from tools.harness.processes import freeze, is_alive
from tools.harness.server import until
from tools.harness.workers import WORKERS, Supervised

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

HURT: Final = 1
"""The worker that is hurt."""
RACE_S: Final = 20.0
STEP_S: Final = 120.0
"""An event comes within that, or the test has failed; it is no promise."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Supervised]:
    with Supervised(tmp_path, event_log_url=f"sqlite:///{FILE}", **PATIENT, **SETTINGS) as running:
        yield running


class Crowd:
    """Three bots in each of twenty games, of which either worker has ten."""

    def __init__(self, service: Supervised, racers: list[Racer]) -> None:
        self.service = service
        self.racers = racers

    @classmethod
    async def come(cls, service: Supervised) -> "Crowd":
        """Make the games; nobody has connected yet."""
        left = dict.fromkeys(range(WORKERS), GAMES // WORKERS)

        def wanted(game_id: str) -> bool:
            owner = Share(0, WORKERS).owner(game_id)
            left[owner] -= 1
            return left[owner] >= 0

        return cls(service, await enter(service.http_url, RACE_S, wanted=wanted))

    def of(self, number: int) -> list[Racer]:
        """Those whose games a worker has."""
        return [racer for racer in self.racers if Share(0, WORKERS).owner(racer.ws.game_id) == number - 1]

    async def all_are_told(self, racers: list[Racer]) -> None:
        """Wait until something of theirs, sent from now on, is acknowledged to each of them."""
        before = [len(racer.acks) for racer in racers]
        async with asyncio.timeout(STEP_S):
            while any(len(one.acks) <= was and not one.is_over for one, was in zip(racers, before, strict=True)):  # noqa: ASYNC110 - they tell nobody
                await asyncio.sleep(0.05)

    async def end(self) -> None:
        """End the service; all races have ended, and what was told is what the files hold."""
        assert await asyncio.to_thread(self.service.stop) == 0
        folder = self.service.folder
        keep(folder, await read_files(folder, {racer.ws.game_id for racer in self.racers}), self.racers)
        assert checker.violations(*checker.read(folder)) == []


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("hurt", [kill, freeze])
def test_one_worker_is_gone_and_only_its_games_feel_it(service: Supervised, hurt: Callable[[int], None]) -> None:
    async def play() -> None:
        crowd = await Crowd.come(service)
        pid = service.pids()[HURT]

        async def meanwhile() -> None:
            await crowd.all_are_told(crowd.racers)
            await asyncio.to_thread(hurt, pid)
            await crowd.all_are_told(crowd.of(2))
            await asyncio.to_thread(service.until_followed, HURT, pid)
            await crowd.all_are_told(crowd.of(HURT))

        assert (await race(crowd.racers, meanwhile())).startswith("0 bots")
        assert [racer.ws.metrics.reconnect_count for racer in crowd.of(2)] == [0] * len(crowd.of(2))
        assert all(racer.ws.metrics.reconnect_count for racer in crowd.of(HURT))
        await crowd.end()

    asyncio.run(play())


def test_without_a_supervisor_workers_end_and_the_next_has_the_port_and_the_games_at_once(service: Supervised) -> None:
    async def play() -> None:
        crowd = await Crowd.come(service)
        pids = service.pids().values()

        async def meanwhile() -> None:
            await crowd.all_are_told(crowd.racers)
            await asyncio.to_thread(service.kill)
            await asyncio.to_thread(until, lambda: not any(map(is_alive, pids)))
            await asyncio.to_thread(service.start)
            await crowd.all_are_told(crowd.racers)

        assert (await race(crowd.racers, meanwhile())).startswith("0 bots")
        await crowd.end()

    asyncio.run(play())
