"""A member that stops reading (4430 slow_consumer) costs the others nothing, and gets everything on coming back."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from tools.harness.player import Player
from tools.harness.readers import member, small_socket, talk, until
from tools.harness.server import UNLIMITED, ServerProcess
from tools.harness.tokens import token
from tools.harness.wire import upgrade

pytestmark = pytest.mark.anyio
MEMBERS = 50


@pytest.mark.parametrize("limit", ["bytes", "age"])
async def test_one_slow_reader_in_a_game_of_fifty(tmp_path: Path, limit: str) -> None:
    """By bytes the outbox fills up; by age one frame waits too long."""
    settings = {
        "bytes": {"outbox_max_bytes": 65_536, "outbox_max_age_s": 3600},
        "age": {"outbox_max_bytes": 2**40, "outbox_max_age_s": 1},
    }[limit]
    server = ServerProcess(tmp_path, ping_interval_s=3600, close_timeout_s=1, **UNLIMITED, **settings)
    async with contextlib.AsyncExitStack() as stack:
        await asyncio.to_thread(server.start)
        stack.push_async_callback(asyncio.to_thread, server.stop)
        await race_with_a_slow_reader(server, stack)


async def race_with_a_slow_reader(server: ServerProcess, stack: contextlib.AsyncExitStack) -> None:
    game_id = await asyncio.to_thread(server.new_game, token("host"), min_players=100, max_players=100)
    slow = await member(server, game_id, "slow", sock=small_socket(server))
    stack.callback(slow.transport.abort)
    seen = await until(slow, "player_joined", player_id="slow")
    last = max(message.get("seq", 0) for message in seen)
    slow.transport.pause_reading()
    members = [await member(server, game_id, f"m{number}") for number in range(MEMBERS - 1)]
    for ws in members:
        stack.push_async_callback(ws.close)
    await until(members[-1], "player_joined", player_id=f"m{MEMBERS - 2}")
    talking = asyncio.create_task(talk(slow))
    rounds = 0
    while not server.logged("ws.closed", player_id="slow"):
        rounds += 1
        status = "ready" if rounds % 2 else "not_ready"
        await members[0].send(json.dumps({"type": "ready", "data": {"status": status}}))
        for ws in members:
            seen = await until(ws, "player_ready", player_id="m0", status=status)
    await talking
    assert rounds > 0
    closed = server.wait_for_log("ws.closed", player_id="slow")
    assert (closed["code"], closed["reason"], closed["initiator"]) == (4430, "slow_consumer", "server")
    assert closed["deepest_outbox_bytes"] > 0
    closes = {name: count for name, count in server.metrics().items() if name.startswith("code_racer_ws_closes_total")}
    slow_one = 'code_racer_ws_closes_total{code="4430",initiator="server",reason="slow_consumer"}'
    assert {name: count for name, count in closes.items() if count} == {slow_one: 1}
    newest = max(message.get("seq", 0) for message in seen)
    back = await member(server, game_id, "slow", f"?last_seq={last}")
    missed = [m["seq"] for m in await until(back, "player_reconnected", player_id="slow") if "seq" in m]
    assert missed == list(range(last + 1, missed[-1] + 1))
    assert missed[-1] >= newest
    await back.close()


async def test_of_progress_a_slow_reader_gets_the_newest(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, ping_interval_s=3600, outbox_max_bytes=2**40, outbox_max_age_s=3600, **UNLIMITED)
    async with contextlib.AsyncExitStack() as stack:
        await asyncio.to_thread(server.start)
        stack.push_async_callback(asyncio.to_thread, server.stop)
        game_id = await asyncio.to_thread(server.new_game, token("host"), min_players=2)
        slow = await member(server, game_id, "slow", sock=small_socket(server))
        stack.callback(slow.transport.abort)
        quick = await member(server, game_id, "quick")
        stack.push_async_callback(quick.close)
        for ws in (slow, quick):
            await ws.send('{"type":"ready"}')
        for ws in (slow, quick):
            await until(ws, "game_started")
        slow.transport.pause_reading()
        talking = asyncio.create_task(talk(slow))
        percent = 0
        while await asyncio.to_thread(server.metric, "ws_coalesced_total", kind="player_progress") == 0:
            percent += 1
            await quick.send(json.dumps({"type": "progress", "data": {"percent": percent % 101, "lines": percent}}))
            await quick.send(json.dumps({"type": "ping", "data": {"timestamp": percent}}))
            await until(quick, "pong", timestamp=percent)
        talking.cancel()
        slow.transport.resume_reading()
        while True:
            (*_, newest) = await until(slow, "player_progress")
            if newest["data"]["lines"] == percent:
                break
        assert server.metric("ws_dropped_total", kind="player_progress") == 0


@pytest.mark.parametrize("bounded", [True, False])
def test_what_a_deaf_member_does_not_read_waits_where_it_is_counted(tmp_path: Path, bounded: bool) -> None:
    """Whoever resumes from the beginning of a long game is sent all of it: more than the kernel may hold."""
    settings: dict[str, Any] = {} if bounded else {"socket_unsent_bytes": 0}
    with ServerProcess(tmp_path, ping_interval_s=3600, **UNLIMITED, **settings) as server:
        game_id = server.new_game(token("ann"), min_players=100, max_players=100)
        with Player(server, game_id, token("ann"), max_queue=None) as ann:
            ann.until("player_joined")
            for number in range(3_000):
                ann.send("ready", {"status": ("not_ready", "ready")[number % 2]}, id=f"r{number}")
            ann.until("ack", id="r2999")
            sent = server.metrics()['code_racer_ws_message_bytes_sum{direction="out"}']
            deaf = small_socket(server)
            deaf.sendall(upgrade(f"/ws/{game_id}?last_seq=0", f"Authorization: Bearer {token('bob')}"))
            ann.until("player_joined", player_id="bob")
            metrics = server.metrics()
            waits = metrics["code_racer_ws_outbox_bytes"]
            history = metrics['code_racer_ws_message_bytes_sum{direction="out"}'] - sent + waits
            deaf.close()
    assert history > 200_000
    taken = (
        131_072 + 65_536 + 16_384
    )  # by the kernel, by the transport until it says it is full, and one gathered write
    assert waits > history - taken if bounded else waits == 0
