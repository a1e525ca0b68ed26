"""What workers of one machine agree on: what the contract does not ask of every backend."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from app.eventlog import LogUnavailable
from app.eventlog.among_workers import FILE
from app.vocabulary import LogTrouble
from app.workers.broadcasts import MAX_BROADCAST_BYTES
from tools.harness.coordination import coordinations

pytestmark = pytest.mark.anyio


class Told:
    """What happened, as the worker itself is told."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.dropped = 0
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def fault(self, where: str, error: BaseException) -> None:
        self.faults.append(f"{where}: {error}")

    def drop(self) -> None:
        self.dropped += 1


@pytest.fixture
def told() -> Told:
    return Told()


async def test_a_broadcast_reaches_the_subscribers_of_all_others_and_not_its_own(tmp_path: Path, told: Told) -> None:
    async with coordinations(tmp_path, told.fault, told.drop, count=3) as workers:
        own = await workers[0].subscribe("presence", told.received.put_nowait)
        for one in workers[1:]:
            await one.subscribe("presence", told.received.put_nowait)
            await one.subscribe("other", told.received.put_nowait)
        workers[0].broadcast("presence", b"a\nb")
        async with asyncio.timeout(20):
            assert [await told.received.get() for _ in workers[1:]] == [b"a\nb"] * 2
        own.close()
    assert (told.faults, told.dropped, told.received.qsize()) == ([], 0, 0)


async def test_who_unsubscribes_is_told_no_more_and_who_raises_keeps_it_from_nobody(tmp_path: Path, told: Told) -> None:
    def fail(_: bytes) -> None:
        raise ValueError("a fault")

    async with coordinations(tmp_path, told.fault, told.drop) as (one, other):
        gone = await other.subscribe("presence", fail)
        await other.subscribe("presence", told.received.put_nowait)
        one.broadcast("presence", b"1")
        async with asyncio.timeout(20):
            assert await told.received.get() == b"1"
            gone.close()
            gone.close()
            one.broadcast("presence", b"2")
            assert await told.received.get() == b"2"
    assert told.faults == ["broadcast: a fault"]


async def test_what_the_kernel_does_not_take_is_dropped_and_counted(tmp_path: Path, told: Told) -> None:
    async with coordinations(tmp_path, told.fault, told.drop) as (one, other):
        await other.subscribe("presence", told.received.put_nowait)
        one.broadcast("presence", bytes(MAX_BROADCAST_BYTES))
        assert told.dropped == 1
        sent = 0
        while told.dropped == 1:  # in one turn of the event loop: nobody reads meanwhile
            one.broadcast("presence", bytes(1_000))
            sent += 1
        async with asyncio.timeout(20):
            for _ in range(sent - 1):
                await told.received.get()
            one.broadcast("presence", b"room again")
            assert await told.received.get() == b"room again"
    assert told.dropped == 2


async def test_what_has_ended_goes_with_an_announcement_and_silence_is_an_end(tmp_path: Path, told: Told) -> None:
    async with coordinations(tmp_path, told.fault, told.drop) as (one, other):
        await one.claim("ticket 1", -1)
        assert not await other.claim("ticket 1", 600)
        await one.heartbeat("a", -1)
        await other.heartbeat("b", 600)
        assert await one.instances() == {"b"}
        assert await other.claim("ticket 1", 600)


async def test_claims_outlive_a_worker_and_even_all_of_them(tmp_path: Path, told: Told) -> None:
    async with coordinations(tmp_path, told.fault, told.drop) as (one, _):
        assert await one.claim("ticket 1", 600)
    async with coordinations(tmp_path, told.fault, told.drop) as (_, other):
        assert not await other.claim("ticket 1", 600)


async def test_a_folder_that_is_gone_is_told_with_what_to_do(tmp_path: Path, told: Told) -> None:
    with pytest.raises(LogUnavailable, match=r"coordination\.db.*TMPDIR") as refused:
        async with coordinations(tmp_path / "gone", told.fault, told.drop):
            pass
    assert refused.value.trouble is LogTrouble.DENIED


async def test_one_that_stands_still_while_it_writes_holds_up_the_others_for_a_set_time_and_no_longer_than_it_stands(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, waits = sqlite3.connect, []

    def noting(path: Path, *, isolation_level: None, timeout: float) -> sqlite3.Connection:
        waits.append(timeout)
        return connect(path, isolation_level=isolation_level, timeout=timeout)

    monkeypatch.setattr("app.eventlog.writer.sqlite3.connect", noting)
    async with coordinations(tmp_path, told.fault, told.drop, lock_timeout_s=0.05) as (one, _):
        assert waits == [0.05] * 2
        with contextlib.closing(connect(tmp_path / FILE, isolation_level=None)) as stopped:
            stopped.execute("BEGIN IMMEDIATE")
            with pytest.raises(LogUnavailable, match="locked") as refused:
                await one.claim("ticket 1", 600)
            stopped.execute("ROLLBACK")
        assert refused.value.trouble is LogTrouble.BUSY
        assert await one.claim("ticket 1", 600), "what could not be claimed was not"
