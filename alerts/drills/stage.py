"""Where a drill plays: a server, the stack over it, and clients of all kinds."""

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from alerts.drills.stack import Stack
from code_racer_client import GameWebSocket
from tools.harness.player import Player
from tools.harness.readers import small_socket
from tools.harness.server import STEP_TIMEOUT_S, ServerProcess, until
from tools.harness.tokens import token
from tools.harness.wire import close_frame, upgrade

PLAYERS: Final = 3
AT_ONCE: Final = 5
NAMES: Final = 50
"""Players who come again and again: so many in turn, or one would replace himself."""
FREE: Final = {
    "handshakes_per_second": 0,
    "max_games_per_player": 1_000_000,
    "api_requests_per_player_per_second": 0,
    "guests_per_address_per_minute": 1_000_000,
    "max_connections_per_player": 1_000,
    "entries_per_minute": 0,
    "log_file": "",
}
"""Limits that no drill is about are out of the way."""
LARGE: Final = {"min_players": 100, "max_players": 100}
"""A game that waits."""


class DrillFailed(Exception):  # noqa: N818 - it says what happened
    """What a drill should have shown and did not."""


class Stage:
    """Holds the server, the stack over it and the clients of one drill."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self.folder = folder
        self.stack = stack
        self._loop = asyncio.new_event_loop()
        self._held: list[ClientConnection] = []
        self._numbers = itertools.count()
        self.games: list[str] = []
        self.raised: list[Exception] = []

    @contextlib.contextmanager
    def serve(
        self,
        module: str = "app",
        *,
        players: int = PLAYERS,
        scraped: bool = True,
        **settings: Any,  # noqa: ANN401 - whatever a setting is
    ) -> Iterator[ServerProcess]:
        """Start a server with some players who come back after a cut.

        Where it is not `scraped` from the beginning, the drill does something first that Prometheus need not see.
        """
        server = ServerProcess(self.folder / "server", module, **{**FREE, **settings})
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        with server:
            self.server = server
            thread.start()
            if "event_log_url" in settings:  # a shared log is reached after the start
                until(lambda: server.metric("event_log_connected"))
            steady = self.do(self._come(players))
            self._waiting = f"/ws/{'' if settings.get('jwt_jwks_url') else self.new_game()}"
            if scraped:
                self.scrape()
            try:
                yield server
            finally:
                self.do(self._leave(steady))
                self._loop.call_soon_threadsafe(self._loop.stop)
                thread.join()
                self._loop.close()
                server.kill()  # how it ends is no drill's business here

    def scrape(self) -> None:
        """Have the server scraped."""
        self.stack.target(self.server.host)

    def do(self, coroutine: Any, timeout_s: float = 60) -> Any:  # noqa: ANN401 - of many types
        """Run a coroutine on the clients' event loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s * self.stack.pace)

    async def _come(self, count: int) -> list[GameWebSocket]:
        if not count:
            return []
        game_id = await asyncio.to_thread(self.server.new_game, token("host"), **LARGE)
        options: dict[str, Any] = {"max_reconnect_attempts": 1_000, "ping_interval_s": 0.5}
        steady = [
            GameWebSocket(game_id, token(f"steady-{number}"), self.server.ws_url, **options) for number in range(count)
        ]
        await asyncio.gather(*(one.connect() for one in steady))
        return steady

    async def _leave(self, steady: list[GameWebSocket]) -> None:
        await asyncio.gather(*(one.disconnect() for one in steady))
        await self._let_go()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---------------------------------------------------------------- clients

    def new_game(self, at: ServerProcess | None = None, /, **wishes: object) -> str:
        """Make a game, which waits unless told otherwise, on the server or another."""
        return (at or self.server).new_game(token("host"), **{**LARGE, **wishes})

    def hold(self, count: int, ws_url: str | None = None) -> None:
        """Connect so many further members who read and say nothing, until `let_go`."""
        self.games = [self.new_game() for _ in range(-(-count // 100))]
        self.do(self._hold(count, ws_url or self.server.ws_url))

    def let_go(self) -> None:
        """Disconnect those that `hold` has connected."""
        self.do(self._let_go())

    async def _hold(self, count: int, ws_url: str) -> None:
        for number in range(count):
            ws = await member(ws_url, self.games[number // 100], f"held-{number}")
            self._held.append(ws)
            asyncio.ensure_future(_read(ws))  # noqa: RUF006 - it ends with its connection, at the latest in `_leave`

    async def _let_go(self) -> None:
        held, self._held = self._held, []
        await asyncio.gather(*(one.close() for one in held))

    def deaf(self, game_id: str, name: str, query: str = "") -> socket.socket:
        """Connect a member who never reads; the caller closes the socket."""
        one = small_socket(self.server)
        one.sendall(upgrade(f"/ws/{game_id}{query}", f"Authorization: Bearer {token(name)}"))
        one.recv(12)
        return one

    @contextlib.contextmanager
    def coming(
        self, *headers: str, path: str = "", status: HTTPStatus | None = None, at: ServerProcess | None = None
    ) -> Iterator[None]:
        """Try to connect, to a game that waits by default, on the server or another; where that works, stay meanwhile.

        Raises DrillFailed where another `status` was expected.
        """
        port = int((at or self.server).settings["PORT"])
        with socket.create_connection(("127.0.0.1", port), 10) as one, one.makefile("rb") as stream:
            one.sendall(upgrade(path or self._waiting, *headers))
            answer = int(stream.readline().split()[1])
            if status not in {None, answer}:
                raise DrillFailed(f"a handshake ended with {answer}, not {status}")
            yield
            if answer == HTTPStatus.SWITCHING_PROTOCOLS:
                one.sendall(close_frame(1000))
                stream.read()

    def knock(
        self, *headers: str, path: str = "", status: HTTPStatus | None = None, at: ServerProcess | None = None
    ) -> None:
        """Try to connect in the same way, and leave at once."""
        with self.coming(*headers, path=path, status=status, at=at):
            pass

    def come_and_go(self, name: str, query: str = "") -> None:
        """Join the game that waits, and leave. Raises DrillFailed where that does not work."""
        self.knock(
            f"Authorization: Bearer {token(name)}",
            path=f"{self._waiting}{query}",
            status=HTTPStatus.SWITCHING_PROTOCOLS,
        )

    def player(self, game_id: str, name: str, at: ServerProcess | None = None) -> Player:
        """Connect a player whose messages a drill sends one by one, to the server or another."""
        return Player(at or self.server, game_id, token(name), max_queue=None)

    def toggle(self, player: Player, times: int) -> None:
        """Be ready and not, so many times: as many durable events, a few at a time, so that none waits long."""
        for start in range(0, times, AT_ONCE):
            id = f"toggle-{next(self._numbers)}"
            for number in range(start, min(times, start + AT_ONCE)):
                player.send("ready", {"status": ("not_ready", "ready")[number % 2]}, id=f"{id}-{number % AT_ONCE}")
            player.until("ack", id=f"{id}-{number % AT_ONCE}")

    # ---------------------------------------------------------------- again and again

    @contextlib.contextmanager
    def again(self, action: Callable[[], object], per_s: float | None = None) -> Iterator[None]:
        """While in the block, do it so many times a second, or as often as it goes, in a thread of its own.

        What the action raises ends the drill (`raised`).
        """
        stop = threading.Event()

        def run() -> None:
            try:
                while not stop.wait(0 if per_s is None else 1 / per_s):
                    action()
            except Exception as error:  # noqa: BLE001 - handed on to the drill
                self.raised.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()  # its steps have their own time limits; on a busy machine there are many

    def seen(self, expr: str, timeout_s: float = STEP_TIMEOUT_S) -> None:
        """Wait until Prometheus answers a query with something, for so long on a machine that keeps up."""
        until(lambda: self.stack.query(expr), timeout_s * self.stack.pace)


async def member(ws_url: str, game_id: str, name: str) -> ClientConnection:
    """Connect with a token in the header."""
    headers = {"Authorization": f"Bearer {token(name)}"}
    options: dict[str, Any] = {"proxy": None, "compression": None, "max_queue": None, "ping_interval": None}
    return await connect(f"{ws_url}/ws/{game_id}", additional_headers=headers, open_timeout=60, **options)


async def _read(ws: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await ws.recv()
