"""A bad network on wish: what ``?chaos=…`` on a development server does to a client, which gets through it."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from code_racer_client import ClientError, Disconnected, GameWebSocket
from tools.harness import fetch
from tools.harness.server import STEP_TIMEOUT_S, UNLIMITED, ServerProcess
from tools.harness.tokens import token

pytestmark = pytest.mark.anyio
EVENTS = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    limits = UNLIMITED | {"max_replacements_per_minute": 20, "max_games_per_player": 1_000}
    with ServerProcess(tmp_path_factory.mktemp("server"), **limits) as process:
        yield process


@contextlib.asynccontextmanager
async def playing(server: ServerProcess, chaos: str) -> AsyncIterator[tuple[GameWebSocket, list[int]]]:
    """A client over such a connection, and the numbers of the events that it was handed."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.02))  # a backoff need not be sat through

    url = f"{server.ws_url}?chaos={chaos}"
    ws = GameWebSocket(server.new_game(token("host")), token("ann"), url, sleep=sleep, open_timeout_s=0.5)
    seqs: list[int] = []
    ws.on("*", lambda message: seqs.append(message["seq"]) if "seq" in message else None)
    async with asyncio.timeout(STEP_TIMEOUT_S):
        try:
            yield ws, seqs
        finally:
            await ws.disconnect()
    assert [later - earlier for earlier, later in itertools.pairwise(seqs)] == [1] * (len(seqs) - 1)


async def test_messages_come_late_both_ways_and_in_order(server: ServerProcess) -> None:
    async with playing(server, "latency_ms:30") as (ws, _):
        heard: list[str] = []
        ws.on("player_ready", lambda message: heard.append(message["data"]["status"]))
        await ws.connect()
        await ws.wait_for("pong")
        assert (ws.rtt_s or 0) >= 0.06
        said = ["ready", "not_ready"] * 3
        await asyncio.gather(*(ws.request("ready", {"status": status}) for status in said))
        await asyncio.sleep(0)  # the handlers have what came before the answer
        assert heard == said


@pytest.mark.parametrize("chaos", ["cut_ms:40", "latency_ms:5,cut_ms:60", "close:slow_consumer,close_ms:40"])
async def test_a_client_gets_through_connections_that_end_before_their_time(server: ServerProcess, chaos: str) -> None:
    async with playing(server, chaos) as (ws, seqs):
        await ws.connect()
        while ws.metrics.reconnect_count < 3 or len(seqs) < EVENTS:
            await ws.request("ready", {"status": "ready" if len(seqs) % 2 else "not_ready"})
            await asyncio.sleep(0)


async def test_a_client_notices_what_is_lost(server: ServerProcess) -> None:
    async with playing(server, "loss_pct:30") as (ws, seqs):
        with contextlib.suppress(ClientError):
            await ws.connect()
        said = itertools.cycle(("ready", "not_ready"))  # each is an event, by which the loss of one before is noticed
        while len(seqs) < EVENTS:
            with contextlib.suppress(TimeoutError):
                await ws.request("ready", {"status": next(said)}, timeout_s=0.05)
        assert ws.metrics.reconnect_count


async def test_a_close_is_told_as_the_server_tells_its_own(server: ServerProcess) -> None:
    async with playing(server, "close:forbidden,close_ms:20") as (ws, _):
        told = asyncio.ensure_future(ws.wait_for("disconnect"))
        await ws.connect()
        assert (await told)["data"]["reason"] == "forbidden"
        with pytest.raises(Disconnected, match="4403"):
            await ws.wait_closed()


@pytest.mark.parametrize(
    "chaos",
    [
        "",
        "yes",
        "latency_ms",
        "latency_ms:-1",
        "latency_ms:nan",
        "loss_pct:101",
        "close:1006",
        "cut_ms:1,cut_ms:2",
        "x:1",
    ],
)
def test_what_is_no_chaos_is_refused_and_told_how_to_ask(server: ServerProcess, chaos: str) -> None:
    url = f"{server.http_url}/ws/{server.new_game(token('host'))}"
    answer = fetch.get(url, params={"chaos": chaos}, headers={"authorization": f"Bearer {token('ann')}"})
    assert answer.status_code == 400
    assert "latency_ms:200" in answer.json()["detail"]
