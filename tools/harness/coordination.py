"""The coordination of workers without the workers: all of them in one process, with sockets of its own."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from app.eventlog.among_workers import WorkersCoordination
from app.telemetry.bulkhead import ReportFault
from app.workers import Inherited, Share


@contextlib.asynccontextmanager
async def coordinations(
    folder: Path, report: ReportFault, dropped: Callable[[], None], count: int = 2, lock_timeout_s: float = 5.0
) -> AsyncIterator[list[WorkersCoordination]]:
    """Open the coordination of so many workers while in the block."""
    boxes = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
    async with contextlib.AsyncExitStack() as stack:
        for one in (end for pair in boxes for end in pair):
            stack.enter_context(one)
        opened = []
        for number, (incoming, _) in enumerate(boxes):
            theirs = (os.dup(incoming.fileno()), tuple(os.dup(sending.fileno()) for _, sending in boxes))
            worker = Inherited(Share(number, count), (), (), -1, (), *theirs, -1, str(folder))
            opened.append(WorkersCoordination(worker, report, dropped, lock_timeout_s))
            stack.callback(os.close, theirs[1][number])  # the one that a worker does not use
            stack.push_async_callback(opened[-1].close)
            await opened[-1].open()
        yield opened
