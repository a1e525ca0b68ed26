"""The shipped Python client against the real server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from code_racer_client import ClientError, Disconnected, GameWebSocket, Refused, full_jitter
from tools.harness.player import SOLUTION
from tools.harness.server import ServerProcess

pytestmark = pytest.mark.anyio


async def test_two_clients_race(server: ServerProcess) -> None:
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    seen: list[dict[str, Any]] = []
    async with (
        GameWebSocket(game_id, ann["token"], server.ws_url) as one,
        GameWebSocket(game_id, bob["token"], server.ws_url) as two,
    ):
        two.on("*", seen.append)
        started = asyncio.ensure_future(two.wait_for("game_started"))
        await one.send_message("ready", {"status": "ready"})
        await two.send_message("ready", {"status": "ready"})
        await started
        finished = asyncio.ensure_future(two.wait_for("game_finished"))
        await one.send_message("submit_code", {"code": SOLUTION})
        assert (await finished)["data"]["winner"] == ann["player_id"]
    types = [message["type"] for message in seen]
    assert [types.count(one) for one in ("game_started", "code_submitted", "game_finished")] == [1, 1, 1]


async def test_a_request_ends_with_its_connection(server: ServerProcess) -> None:
    ann = server.guest("ann")
    client = GameWebSocket(server.new_game(ann["token"]), ann["token"], server.ws_url)
    await client.connect()
    waiting = asyncio.ensure_future(client.wait_for("never"))
    await asyncio.sleep(0)  # one turn: it waits from now on
    await client.disconnect()
    with pytest.raises(ClientError, match=r"ended|disconnected"):
        await waiting


async def test_a_client_resumes_after_kill_9(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "server")
    server.start()
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"], min_players=1)
    seqs: list[int] = []
    client = GameWebSocket(game_id, ann["token"], server.ws_url, max_reconnect_attempts=20)
    client.on("*", lambda message: seqs.append(message["seq"]) if "seq" in message else None)
    joined = asyncio.ensure_future(client.wait_for("player_joined"))
    await asyncio.sleep(0)  # one turn: it waits from now on
    await client.connect()
    await joined
    back = asyncio.ensure_future(client.wait_for("player_reconnected"))
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    await back
    finished = asyncio.ensure_future(client.wait_for("game_finished"))
    started = asyncio.ensure_future(client.wait_for("game_started"))
    await client.send_message("ready", {"status": "ready"})
    await started
    await client.send_message("submit_code", {"code": SOLUTION})
    await finished
    await client.disconnect()
    assert seqs == list(range(2, 2 + len(seqs)))
    await asyncio.to_thread(server.stop)


async def test_a_refusal_is_final_and_says_why(server: ServerProcess) -> None:
    client = GameWebSocket("7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2aff", "secret-nonsense", server.ws_url)
    with pytest.raises(Refused) as refused:
        await client.connect()
    assert refused.value.status == 401
    assert "malformed" in refused.value.detail
    assert "secret-nonsense" not in str(refused.value)


async def test_being_replaced_is_final(server: ServerProcess) -> None:
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"])
    older = GameWebSocket(game_id, ann["token"], server.ws_url)
    await older.connect()
    async with GameWebSocket(game_id, ann["token"], server.ws_url):
        with pytest.raises(Disconnected) as end:
            await older.wait_closed()
    assert end.value.code == 4409


async def test_nobody_there_is_tried_as_often_as_wanted_with_jitter() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    client = GameWebSocket(
        "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2aff", "t", "ws://127.0.0.1:1", max_reconnect_attempts=5, sleep=sleep
    )
    with pytest.raises(ClientError, match="cannot reach"):
        await client.connect()
    assert len(waits) == 5
    assert all(0 <= wait <= 2**attempt for attempt, wait in enumerate(waits, start=1))


def test_jitter_is_full_and_capped() -> None:
    samples = [full_jitter(10) for _ in range(2000)]
    assert max(samples) <= 30
    assert min(samples) < 5
    assert len(set(samples)) > 1900
