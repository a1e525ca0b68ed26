"""Several connections of one player that begin at the same moment."""

import asyncio

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


async def begin_together(urls: list[str], token: str) -> list[ClientConnection | InvalidStatus]:
    """Connections of one player that are opened at the same moment."""
    headers = {"authorization": f"Bearer {token}"}

    async def open_one(url: str) -> ClientConnection | InvalidStatus:
        try:
            return await connect(url, additional_headers=headers, compression=None, proxy=None)
        except InvalidStatus as refused:
            return refused

    return await asyncio.gather(*map(open_one, urls))


async def close_code(socket: ClientConnection) -> int:
    """How it ended."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed:
        assert socket.close_code is not None
        return socket.close_code


async def live_and_ended(sockets: list[ClientConnection]) -> tuple[ClientConnection, list[int | None]]:
    """The one that lives, once all others have ended, and how those did; told by a message it alone answers."""
    ends = {asyncio.ensure_future(close_code(socket)): socket for socket in sockets}
    waiting = set(ends)
    while len(waiting) > 1:
        _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=30)
    (last,) = waiting
    last.cancel()
    await asyncio.wait([last])
    return ends[last], [task.result() for task in ends if task is not last]


async def answers(socket: ClientConnection) -> bool:
    """Whether it lives."""
    await socket.send('{"type": "ping", "data": {"timestamp": 7}}')
    async with asyncio.timeout(30):
        while '"pong"' not in str(await socket.recv()):
            pass
    return True
