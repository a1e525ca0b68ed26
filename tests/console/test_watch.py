"""The live stream: encoded once for all, bounded, and nothing while nobody watches."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.console import watch as watching
from app.console.watch import QUEUED, TooManyWatchersError, Watch, Watcher
from tools.harness.hubs import eventually

pytestmark = pytest.mark.anyio


class Parts:
    """What is told: a number, and how often it was asked for; and what is broken where the test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.faults: list[str] = []
        self.is_broken = False

    async def number(self) -> object:
        self.asked += 1
        return {"number": self.asked}

    async def broken(self) -> object:
        if self.is_broken:
            raise RuntimeError("no")
        return None

    def report(self, where: str, error: BaseException) -> None:
        self.faults.append(f"{where}: {error}")


@contextlib.asynccontextmanager
async def stream(monkeypatch: pytest.MonkeyPatch, most: int = 3) -> AsyncIterator[tuple[Watch, Parts]]:
    monkeypatch.setattr(watching, "EVERY_S", 0.001)
    parts = Parts()
    watch = Watch({"broken": parts.broken, "number": parts.number}, most, parts.report)
    yield watch, parts
    await watch.close()


def told(event: bytes) -> tuple[str, Any]:
    name, data, *nothing = event.decode().split("\n")
    assert nothing == ["", ""]
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def test_all_who_watch_are_given_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stream(monkeypatch) as (watch, _):
        mine, theirs = watch.join().events(), watch.join().events()
        first = await anext(mine)
        assert first is await anext(theirs)
        assert told(first) == ("number", {"number": 1})
        assert await anext(mine) is await anext(theirs)


async def test_nothing_is_made_while_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stream(monkeypatch) as (watch, parts):
        one = watch.join()
        await anext(one.events())
        watch.leave(one)
        await eventually(lambda: watch.is_idle)
        asked = parts.asked
        assert len(watch) == 0
        again = watch.join()
        assert told(await anext(again.events())) == ("number", {"number": asked + 1})


async def test_one_too_many_is_told_so_and_takes_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stream(monkeypatch, most=1) as (watch, _):
        one = watch.join()
        with pytest.raises(TooManyWatchersError, match="1 watch already"):
            watch.join()
        watch.leave(one)
        await anext(watch.join().events())


async def test_a_slow_reader_is_cut_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stream(monkeypatch) as (watch, parts):
        slow, events = watch.join(), watch.join().events()
        for _ in range(QUEUED + 2):
            await anext(events)
        assert len(watch) == 1
        assert [event async for event in slow.events()] == [], "what waited is not worth reading any more"
        await anext(events)
        assert parts.faults == []


async def test_a_part_that_fails_is_reported_and_the_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stream(monkeypatch) as (watch, parts):
        parts.is_broken = True
        events = watch.join().events()
        await eventually(lambda: len(parts.faults) > 1)
        assert set(parts.faults) == {"watch: no"}
        assert told(await anext(events))[0] == "number"


async def test_the_end_of_the_service_ends_all_streams_and_those_that_begin_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read(watcher: Watcher) -> list[bytes]:
        return [event async for event in watcher.events()]

    async with stream(monkeypatch) as (watch, _):
        reading = asyncio.create_task(read(watch.join()))
        await watch.close()
        async with asyncio.timeout(20):
            await reading
            assert await read(watch.join()) == []
        assert watch.is_idle
