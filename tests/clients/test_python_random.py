"""Random sequences of calls, handlers and cuts: the Python client ends as it may, and leaves nothing."""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_racer_client import ClientError, ClientState, GameWebSocket
from code_racer_client.subscriptions import Handler
from tests.clients.left import nothing_left
from tools.harness.proxy import FaultProxy
from tools.harness.server import UNLIMITED, ServerProcess
from tools.harness.tokens import token

FOR_EVER = 3_600.0
ALLOWED = {
    "idle": {"connecting", "closed"},
    "connecting": {"open", "waiting", "closed"},
    "open": {"waiting", "reconnecting", "closed"},
    "waiting": {"connecting", "reconnecting", "closed"},
    "reconnecting": {"open", "waiting", "closed"},
    "closed": {"connecting", "reconnecting"},
}
"""Which state may follow on which."""
CALLS = ("connect", "disconnect", "send", "request", "wait")
TROUBLES = ("cut", "freeze", "refuse", "allow", "cancel", "turn")
HEARD = ("welcome", "player_joined", "player_ready", "*", "state", "retry", "end", "fault")
REACTIONS = (*CALLS, "raise", "raise late", "hang", "off")


class Play:
    """One example: a client, what its handlers do, and the calls that are under way."""

    def __init__(self, ws: GameWebSocket, proxy: FaultProxy) -> None:
        self.ws = ws
        self.proxy = proxy
        self.states = ["idle"]
        self.calls: list[asyncio.Task[None]] = []
        ws.on("state", lambda data: self.states.append(data["state"]))

    def react(self, type: str, how: str) -> None:
        """Have a handler do something, twice at most: two that undo each other would go on for ever."""
        left = 2

        async def handler(_: dict[str, Any]) -> None:
            nonlocal left
            left -= 1
            if left >= 0:
                await self._reaction(type, how, handler)

        def raising(_: dict[str, Any]) -> None:
            raise ValueError(type)

        self.ws.on(type, raising if how == "raise" else handler)

    async def _reaction(self, type: str, how: str, handler: Handler) -> None:
        if how == "off":
            self.ws.off(type, handler)
        elif how == "hang":
            await asyncio.sleep(FOR_EVER)  # never returns
        elif how == "raise late":
            await asyncio.sleep(0)
            raise KeyError(type)
        else:
            await self._call(how)

    async def _call(self, what: str) -> None:
        with contextlib.suppress(ClientError):
            if what == "connect":
                await self.ws.connect()
            elif what == "disconnect":
                await self.ws.disconnect()
            elif what == "send":
                await self.ws.send_message("ready", {"status": "ready"})
            elif what == "request":
                await self.ws.request("ready", {"status": "not_ready"})
            else:
                await self.ws.wait_for("player_ready")

    async def do(self, what: str) -> None:
        """One step; calls go on beside the next ones."""
        if what in CALLS:
            self.calls.append(asyncio.create_task(self._call(what), name=f"call {what}"))
        elif what == "cancel" and self.calls:
            self.calls[-1].cancel()
        elif what in {"refuse", "allow"}:
            self.proxy.refusing = what == "refuse"
        elif what in {"cut", "freeze"}:
            await asyncio.to_thread(self.proxy.cut if what == "cut" else self.proxy.freeze)
        elif what == "turn":
            await asyncio.sleep(0.02)  # something may happen between two calls; nothing depends on what
        await asyncio.sleep(0)

    async def end(self) -> None:
        """The application has done with it."""
        for call in self.calls:
            call.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        await self.ws.disconnect()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), max_games_per_player=1_000, **UNLIMITED) as process:
        yield process


@pytest.fixture(scope="module")
def proxy(server: ServerProcess) -> Iterator[FaultProxy]:
    with FaultProxy(int(server.settings["PORT"])) as one:
        yield one


@settings(max_examples=30, derandomize=True, database=None)
@given(
    handlers=st.lists(st.tuples(st.sampled_from(HEARD), st.sampled_from(REACTIONS)), max_size=4),
    steps=st.lists(st.sampled_from((*CALLS, *TROUBLES)), min_size=1, max_size=20),
)
def test_whatever_is_called_in_whatever_order_nothing_is_left(
    server: ServerProcess, proxy: FaultProxy, handlers: list[tuple[str, str]], steps: list[str]
) -> None:
    game_id = server.new_game(token("host"))
    complaints: list[str] = []

    async def sleep(_: float) -> None:
        await asyncio.sleep(0.01)  # the backoff

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
        proxy.refusing = False
        async with nothing_left(proxy.port):  # frozen, the proxy keeps its own
            ws = GameWebSocket(game_id, token("ann"), proxy.ws_url, sleep=sleep, pong_timeout_s=0.2, ping_interval_s=1)
            one = Play(ws, proxy)
            for handler in handlers:
                one.react(*handler)
            for step in ("connect", *steps):
                await one.do(step)
            await one.end()
            assert ws.state is ClientState.CLOSED
            assert not ws.is_alive
            assert not [pair for pair in pairwise(one.states) if pair[1] not in ALLOWED[pair[0]]], one.states
            del ws, one
            gc.collect()  # an error that nobody has heard of is complained of now

    asyncio.run(play())
    assert not complaints
