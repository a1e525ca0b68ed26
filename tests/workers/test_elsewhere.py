"""Which requests are for another worker, and connections that come from one as this one ends."""

import asyncio
import socket
from uuid import UUID

import pytest

from app.transport.elsewhere import Arrivals, Elsewhere, Handed
from app.vocabulary import Handover
from app.workers import Share
from tools.harness.faults import unexpected

OWN, OTHER = str(UUID(int=2)), str(UUID(int=1))


@pytest.mark.parametrize(
    "target",
    [
        f"/ws/{OTHER}",
        f"/ws/{OTHER}?last_seq=3",
        f"/ws/{OTHER[:-1]}%31",
        f"/%77s/{OTHER}",
        f"//ws//{OTHER.replace('-', '')}/",
        f"/ws/%7B{OTHER}%7D",
        f"/ws/urn:uuid:{OTHER}",
        f"/api/games/{OTHER}",
        f"/api/games/{OTHER}/players/ann",
    ],
)
def test_a_target_is_read_as_the_application_reads_it(target: str) -> None:
    elsewhere = Elsewhere(Share(0, 2), lambda *_: True, lambda _: None)
    with pytest.raises(Handed):
        elsewhere.check(target.encode())
    elsewhere.check(target.replace(OTHER[-4:], OWN[-4:]).replace("%31", "%32").encode())


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "*",
        "/ws",
        "/ws/",
        "/ws/x",
        f"/play/{OTHER}",
        f"/api/{OTHER}",
        f"/ws/x/{OTHER}",
        "/ws/\u0661",
        f"/ws/{OTHER}%3F",
    ],
)
def test_what_names_no_game_is_answered_here(target: str) -> None:
    Elsewhere(Share(0, 2), lambda *_: True, lambda _: None).check(target.encode())


@pytest.mark.anyio
@pytest.mark.parametrize("turns", [0, 1])
async def test_who_comes_as_it_ends_is_closed(turns: int) -> None:
    counted: list[Handover] = []
    arrivals = Arrivals(lambda _: asyncio.Protocol(), unexpected, counted.append)
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        arrivals.take(ours, b"GET")
        for _ in range(turns):
            await asyncio.sleep(0)
        await arrivals.close()
        assert ours.fileno() == -1
        assert await asyncio.get_running_loop().sock_recv(theirs, 1) == b""
    assert counted == []
