"""A server that has one answer, whatever it is asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def answering(answer: bytes, *, closes: bool = True) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers whatever is asked so."""
    asked: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if closes:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
        for writer in writers:  # from Python 3.12 on a server that ends waits for its connections
            writer.close()
