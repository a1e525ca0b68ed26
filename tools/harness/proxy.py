"""A bad network between client and server: a TCP proxy that delays, cuts, freezes, refuses, and loses single frames."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from types import TracebackType
from typing import Self

RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


class FaultProxy:
    """Forwards to any of `ports` until told otherwise, on an event loop in its own thread. All setters are safe."""

    def __init__(self, *ports: int) -> None:
        self._targets = ports
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._links: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._frozen: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.accepted = 0
        self.delay_s = 0.0
        self.refusing = False
        self.swallowing = False
        self.muted = False
        """Whether what the server says after the handshake is swallowed."""
        self.answering: bytes | None = None
        """What is answered to every request, by whatever stands in the server's place."""
        self.lose: bytes | None = None
        self.cut_at: bytes | None = None
        self.double: bytes | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def ws_url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset all connections, both ways."""
        self._call(self._cut())

    def freeze(self) -> None:
        """Forward nothing more of the connections there are: they look alive and are not."""
        self._call(self._freeze())

    def lose_next(self, part: bytes) -> None:
        """Swallow the next frame from the server that contains `part`."""
        self.lose = part

    def double_next(self, part: bytes) -> None:
        """Forward the next frame from the server that contains `part` twice."""
        self.double = part

    def cut_instead_of(self, part: bytes) -> None:
        """Cut the connection instead of forwarding the next frame from the server that contains `part`."""
        self.cut_at = part

    def say(self, frames: bytes) -> None:
        """Send frames of our own to all clients, as from the server."""
        self._call(self._say(frames))

    def heal(self) -> None:
        """Pass everything again; what has suffered has to connect anew."""
        self.refusing = self.swallowing = self.muted = False
        self.answering = self.lose = self.cut_at = self.double = None
        self.cut()

    # ---------------------------------------------------------------- inside

    def _call(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)  # type: ignore[arg-type] # coroutines all

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _cut(self) -> None:
        for link in tuple(self._links):
            for writer in link:
                _reset(writer)

    async def _say(self, frames: bytes) -> None:
        for writer, _ in self._links:
            writer.write(frames)

    async def _freeze(self) -> None:
        self._frozen |= {writer for link in self._links for writer in link}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refusing:
            _reset(writer)
            return
        if self.swallowing:
            await reader.read()  # all that is said, to the end, and never a word
            writer.close()
            return
        if self.answering is not None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answering)
            writer.close()
            return
        up = await self._connect()
        if up is None:
            _reset(writer)
            return
        up_reader, up_writer = up
        link = (writer, up_writer)
        self._links.add(link)
        try:
            await asyncio.gather(self._forward(reader, up_writer), self._forward_frames(up_reader, writer, link))
        except asyncio.CancelledError:  # the proxy ends; Python 3.11 prints a traceback for each task that says so
            return
        finally:
            self._links.discard(link)
            self._frozen -= set(link)
            for one in link:
                one.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """To any target that takes connections."""
        for target in random.sample(self._targets, len(self._targets)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", target)
        return None

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._pass(data, writer)
        if writer not in self._frozen:
            writer.close()

    async def _forward_frames(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: tuple[asyncio.StreamWriter, ...]
    ) -> None:
        """Behind the answer to the handshake, frame by frame (RFC 6455 section 5.2; the server masks nothing)."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            await self._pass(head, writer)
            if b" 101 " in head.split(b"\r\n")[0]:
                while True:
                    await self._pass_frame(await _read_frame(reader), writer, link)
            while data := await reader.read(65536):
                await self._pass(data, writer)
        if writer not in self._frozen:
            writer.close()

    async def _pass_frame(
        self, frame: bytes, writer: asyncio.StreamWriter, link: tuple[asyncio.StreamWriter, ...]
    ) -> None:
        if self.muted:
            return
        if self.lose is not None and self.lose in frame:
            self.lose = None
        elif self.cut_at is not None and self.cut_at in frame:
            self.cut_at = None
            for one in link:
                _reset(one)
        else:
            if self.double is not None and self.double in frame:
                self.double = None
                await self._pass(frame, writer)
            await self._pass(frame, writer)

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)  # the network's delay
        if writer not in self._frozen:
            writer.write(data)
            await writer.drain()


class TcpProxy(FaultProxy):
    """The same for what is not WebSocket: bytes are passed as they come."""

    def partition(self) -> None:
        """Nothing gets through, neither over the connections there are nor over new ones; nobody is told."""
        self.swallowing = True
        self.freeze()

    async def _forward_frames(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        link: tuple[asyncio.StreamWriter, ...],  # noqa: ARG002 - there are no frames to cut at
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.lose is not None and self.lose in data:
                    self.lose = None
                else:
                    await self._pass(data, writer)
        if writer not in self._frozen:
            writer.close()


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(2)
    length = head[1] & 0x7F
    if length >= 126:
        more = await reader.readexactly(2 if length == 126 else 8)
        head, length = head + more, int.from_bytes(more, "big")
    return head + await reader.readexactly(length)


def _reset(writer: asyncio.StreamWriter) -> None:
    one = writer.get_extra_info("socket")
    if one is not None:
        with contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
