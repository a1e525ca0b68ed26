"""What is counted as sent was written: a reader that is cut off got it, to the unit, and the rest was discarded."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tools.harness import readers
from tools.harness.server import UNLIMITED, ServerProcess
from tools.harness.tokens import token

pytestmark = pytest.mark.anyio

LIMITS = {
    "bytes": {"outbox_max_bytes": 65_536, "outbox_max_age_s": 3600},
    "age": {"outbox_max_bytes": 2**40, "outbox_max_age_s": 1},
}


@contextlib.asynccontextmanager
async def served(folder: Path, **settings: Any) -> AsyncIterator[ServerProcess]:
    """A server that waits for whoever is slow to read to its end."""
    settings = {"ping_interval_s": 3600, "close_timeout_s": 60, **UNLIMITED, **settings}
    server = ServerProcess(folder, **settings)
    await asyncio.to_thread(server.start)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.stop)


async def read(ws: ClientConnection, until: str = "") -> list[str]:
    """All that comes, to a message of this type or to the end."""
    texts: list[str] = []
    with contextlib.suppress(ConnectionClosed):
        while not texts or not until or json.loads(texts[-1])["type"] != until:
            texts.append(str(await ws.recv()))
    return texts


async def deaf_member(server: ServerProcess, game_id: str) -> ClientConnection:
    slow = await readers.member(server, game_id, "slow", sock=readers.small_socket(server))
    slow.transport.pause_reading()
    return slow


@pytest.mark.parametrize("ws_transport", ["lean", "uvicorn"])
@pytest.mark.parametrize("limit", ["bytes", "age"])
async def test_a_slow_reader_that_is_cut_off_got_what_the_counters_say(
    tmp_path: Path, limit: str, ws_transport: str
) -> None:
    async with served(tmp_path, ws_transport=ws_transport, **LIMITS[limit]) as server:
        game_id = await asyncio.to_thread(server.new_game, token("host"), min_players=3)
        slow = await deaf_member(server, game_id)
        quick = await readers.member(server, game_id, "quick")
        talking = asyncio.create_task(readers.talk(slow))
        got, rounds = [], 0
        while not server.logged("ws.closed", player_id="slow"):
            rounds += 1
            await quick.send(json.dumps({"type": "ready", "data": {"status": ("not_ready", "ready")[rounds % 2]}}))
            got += await read(quick, until="player_ready")
        slow.transport.resume_reading()
        seen = await read(slow)
        assert json.loads(seen[-1])["type"] == "disconnect", "it was told, and that is counted too"
        got += seen
        await talking
        await quick.send(json.dumps({"type": "leave"}))
        got += await read(quick)
        assert (slow.close_code, quick.close_code) == (4430, 1000)
        await asyncio.to_thread(check, server, got, "slow_consumer")


def check(server: ServerProcess, got: list[str], reason: str) -> None:
    """The counters and the lines say what was got, and that the rest was discarded."""
    sent = Counter(json.loads(text)["type"] for text in got)
    counted = {type: server.metric("ws_messages_total", direction="out", type=type) for type in sent}
    assert counted == sent
    server.wait_for_log("ws.closed", skip=1)
    closed = server.logged("ws.closed")
    assert len(closed) == 2
    assert sum(line["messages_out"] for line in closed) == len(got)
    size = sum(len(text.encode()) for text in got)
    assert sum(line["bytes_out"] for line in closed) == server.metric("ws_message_bytes_sum", direction="out") == size
    discarded = server.metric("ws_messages_discarded_total", reason=reason)
    assert discarded == sum(line["messages_discarded"] for line in closed) > 0
    assert server.metric("ws_outbox_frames") == 0


async def test_what_waits_for_a_reader_that_is_gone_is_discarded(tmp_path: Path) -> None:
    limits = {"outbox_max_bytes": 2**40, "outbox_max_age_s": 3600}
    async with served(tmp_path, **limits) as server:
        slow = await deaf_member(server, await asyncio.to_thread(server.new_game, token("host")))
        talking = asyncio.create_task(readers.talk(slow))
        while await asyncio.to_thread(server.metric, "ws_outbox_frames") == 0:
            assert not talking.done()
        talking.cancel()
        slow.transport.abort()
        line = await asyncio.to_thread(server.wait_for_log, "ws.closed")
        assert line["messages_discarded"] > 0
        counted = await asyncio.to_thread(server.metric, "ws_messages_discarded_total", reason="connection_lost")
        assert counted == line["messages_discarded"]
        sent = await asyncio.to_thread(server.metric, "ws_message_bytes_count", direction="out")
        assert sent == line["messages_out"], "what was written, whether or not it arrived"
