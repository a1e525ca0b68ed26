"""What only the Python client has: `wait_for`, `wait_closed`, handlers one by one. The rest is in the table."""

import asyncio
import functools
import json
import logging
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

import pytest
from websockets.asyncio.server import ServerConnection, serve

from app.protocol import Close
from code_racer_client import ClientError, ClientState, Disconnected, GameWebSocket, Unusable, WebSocketPool
from code_racer_client.dispatcher import MAX_WAITING
from tests.clients.left import nothing_left
from tools.harness.proxy import FaultProxy
from tools.harness.server import STEP_TIMEOUT_S, UNLIMITED, ServerProcess, until
from tools.harness.tokens import token

pytestmark = pytest.mark.anyio

Message = dict[str, Any]
P = ParamSpec("P")
FOR_EVER = 3_600.0


class Stage:
    """A client of a game behind the proxy, and what its application is told."""

    def __init__(self, server: ServerProcess, proxy: FaultProxy) -> None:
        self.server = server
        self.proxy = proxy
        self.game_id = server.new_game(token("host"))
        self.waits_for_ever = False
        self.waiting = asyncio.Event()
        self.ws = GameWebSocket(self.game_id, token("ann"), self.proxy.ws_url, sleep=self._sleep, pong_timeout_s=5)
        self.faults: list[Message] = []
        self.ws.on("fault", self.faults.append)

    async def _sleep(self, _: float) -> None:
        self.waiting.set()
        await asyncio.sleep(FOR_EVER if self.waits_for_ever else 0.01)  # the backoff

    async def ready(self, status: str = "ready") -> int | None:
        """An event of the game."""
        return await self.ws.request("ready", {"status": status})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, max_replacements_per_minute=20, max_games_per_player=1_000, **UNLIMITED) as process:
        yield process


@pytest.fixture
def stage(server: ServerProcess) -> Iterator[Stage]:
    with FaultProxy(int(server.settings["PORT"])) as proxy:
        yield Stage(server, proxy)


def scene(test: Callable[Concatenate[Stage, P], Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """After each test the application disconnects, and nothing is left."""

    @functools.wraps(test)
    async def play(stage: Stage, *arguments: P.args, **named: P.kwargs) -> None:
        async with asyncio.timeout(STEP_TIMEOUT_S * 2), nothing_left():
            await test(stage, *arguments, **named)
            await stage.ws.disconnect()
            assert stage.ws.state is ClientState.CLOSED

    return play


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another thread or process does."""
    await asyncio.to_thread(until, condition)


@scene
async def test_who_waits_is_told_when_it_is_over(stage: Stage) -> None:
    await stage.ws.connect()
    stage.waits_for_ever = True
    stage.proxy.cut()
    await stage.waiting.wait()
    waiting = [asyncio.create_task(call) for call in (stage.ws.wait_for("never"), stage.ready())]
    closed = asyncio.create_task(stage.ws.wait_closed())
    await asyncio.sleep(0)  # one turn: they wait from now on
    await stage.ws.disconnect()
    for one in waiting:
        with pytest.raises(ClientError, match="disconnected"):
            await one
    await closed
    with pytest.raises(ClientError, match="disconnected"):
        await stage.ready()


@scene
async def test_what_a_handler_raises_is_told_and_ends_nothing(stage: Stage) -> None:
    errors: list[BaseException] = [ValueError("a"), asyncio.CancelledError("b"), KeyError("c")]
    heard: list[str] = []

    def first(_: Message) -> None:
        raise errors[0]

    async def second(_: Message) -> None:
        raise errors[1]

    def third(_: Message) -> None:
        raise errors[2]

    await stage.ws.connect()
    for handler in (first, second, lambda message: heard.append(message["type"])):
        stage.ws.on("player_ready", handler)
    stage.ws.on("*", third)
    await stage.ready()
    await stage.ready("not_ready")
    assert heard == ["player_ready", "player_ready"]
    faults = [(fault["error"], fault["type"]) for fault in stage.faults if fault["type"] == "player_ready"]
    assert faults == [(error, "player_ready") for error in errors] * 2
    assert stage.ws.state is ClientState.OPEN


@scene
async def test_a_handler_may_ask_and_wait(stage: Stage) -> None:
    answers: asyncio.Queue[int | None] = asyncio.Queue()

    async def ask(_: Message) -> None:
        answers.put_nowait(await stage.ready("not_ready"))
        other = asyncio.create_task(stage.ws.wait_for("pong"))
        await asyncio.sleep(0)  # one turn: it waits from now on
        await stage.ws.send_message("ping", {"timestamp": 1})
        answers.put_nowait((await other)["data"]["timestamp"])

    await stage.ws.connect()
    stage.ws.once("player_ready", ask)
    seq = await stage.ready()
    assert seq is not None
    assert await answers.get() == seq + 1
    assert await answers.get() == 1


@scene
async def test_where_enough_waits_for_handlers_more_is_read_and_passed_over_and_events_come_again(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_WAITING == 1_000
    most = 20
    monkeypatch.setattr("code_racer_client.dispatcher.MAX_WAITING", most)
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: Message) -> None:
        held.set()
        await go_on.wait()

    stage.ws.once("player_joined", hold)
    await stage.ws.connect()
    await held.wait()
    heard: list[float] = []
    events: list[int] = []
    stage.ws.on("player_ready", lambda message: events.append(message["seq"]))
    stage.ws.on("pong", lambda message: heard.append(message["data"]["timestamp"]))
    with caplog.at_level(logging.WARNING, "code_racer_client"):
        for number in range(3 * most):
            await stage.ws.send_message("ping", {"timestamp": number})
        asked = [await stage.ready(status) for status in ("ready", "not_ready") * most]
        waiting = len(stage.ws._dispatcher._waiting)
        next_one = asyncio.create_task(stage.ws.wait_for("player_ready"))  # not one that comes again
        go_on.set()
        asked.append(await stage.ready())
        await eventually(lambda: events[-1:] == asked[-1:])
        assert (await next_one)["seq"] == asked[-1]
    assert waiting == most
    assert [record.levelname for record in caplog.records] == ["WARNING"]  # once, however many
    pings = [number for number in heard if number < 3 * most]
    assert 0 < len(pings) <= most
    assert pings == list(range(len(pings)))
    assert events == asked


@scene
async def test_an_event_that_has_come_can_be_waited_for(stage: Stage) -> None:
    await stage.ws.connect()
    first = await stage.ready()
    second = await stage.ready("not_ready")
    assert (await stage.ws.wait_for("player_ready", since=0))["seq"] == first
    assert (await stage.ws.wait_for("player_ready", since=first))["seq"] == second
    third = asyncio.create_task(stage.ws.wait_for("player_ready", since=second))
    await asyncio.sleep(0)  # one turn: it waits from now on
    assert (await stage.ready(), (await third)["seq"]) == (stage.ws.last_seq, stage.ws.last_seq)


async def test_a_renewal_that_is_under_way_ends_with_the_connection() -> None:
    asked = asyncio.Event()

    async def renew() -> str:
        asked.set()
        await asyncio.sleep(FOR_EVER)  # the identity provider
        return ""

    async def expire(connection: ServerConnection) -> None:
        for type, data in (("welcome", {"last_seq": 0}), ("token_expiring", {"expires_at": 1})):
            await connection.send(json.dumps({"type": type, "data": data}))
        await asked.wait()
        await connection.close(Close.REPLACED.code)

    async with nothing_left(), serve(expire, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with nothing_left():
            ws = GameWebSocket("g", token("ann"), url, refresh_token=renew)
            await ws.connect()
            with pytest.raises(Disconnected, match="4409"):
                await ws.wait_closed()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ws://", "ws://[::1", "ws://127.0.0.1:99999999", "race"])
@scene
async def test_what_is_no_url_of_a_service_is_told_at_once(stage: Stage, url: str) -> None:
    ws = GameWebSocket(stage.game_id, token("ann"), url)
    with pytest.raises(Unusable, match="no URL"):
        await ws.connect()


async def test_an_id_that_is_no_text_is_told_at_once() -> None:
    no_text: Any = UUID(int=1)
    async with nothing_left():
        with pytest.raises(Unusable, match="no part of a path"):
            await GameWebSocket(no_text, token("ann"), "ws://127.0.0.1:1").connect()


@scene
async def test_a_pool_that_is_asked_twice_at_once_makes_one_connection(stage: Stage) -> None:
    pool = WebSocketPool(stage.proxy.ws_url)
    asked = [pool.get_connection(stage.game_id, token("ann")) for _ in range(2)]
    one, other = await asyncio.gather(*asked)
    assert one is other
    assert one.state is ClientState.OPEN
    assert stage.proxy.accepted == 1
    await pool.close()
