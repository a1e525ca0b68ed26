"""The stream between a supervisor and a worker."""

import asyncio
import socket

import pytest

from app.workers.control import Beat, obey

pytestmark = pytest.mark.anyio
SOON_S = 30


def test_a_beat_is_one_line_and_read_as_it_was_written() -> None:
    beat = Beat(("started", "not_draining"))
    assert beat.encode().count(b"\n") == 1
    assert Beat.decode(beat.encode()) == beat


@pytest.mark.parametrize("line", [b"", b"{}", b"nothing", b'{"failed": 1}'])
def test_what_is_no_beat_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec has the words
        Beat.decode(line)


async def test_a_worker_tells_again_and_again_and_returns_once_the_supervisor_is_gone() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        task = asyncio.ensure_future(obey(theirs, lambda: ["started"], beat_s=0.001))
        read = b""
        async with asyncio.timeout(SOON_S):
            while read.count(b"\n") < 3:
                read += await asyncio.get_running_loop().sock_recv(ours, 4_096)
            ours.close()
            await task
    assert set(read.split(b"\n")[:3]) == {b'{"failed":["started"]}'}


async def test_a_supervisor_that_reads_nothing_is_not_gone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        asked = asyncio.Event()
        count = 0

        def failed() -> list[str]:
            nonlocal count
            count += 1
            if count > 2_000:
                asked.set()
            return ["x" * 1_000]

        task = asyncio.ensure_future(obey(theirs, failed, beat_s=0))
        async with asyncio.timeout(SOON_S):
            await asked.wait()
            assert not task.done()
            ours.close()
            await task
