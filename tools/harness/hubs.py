"""A hub on a log in memory, and peers to nobody: for faults that no client can cause."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from app.eventlog import EventLog
from app.eventlog.embedded import MemoryEventLog
from app.game import GameState, Problem, Rules
from app.judge import JudgeProblem, Report
from app.protocol import Close, CloseRow
from app.realtime import Hub, Room, Session
from app.realtime.identity import Identity
from app.settings import load_settings
from app.telemetry.measured import MeasuredEventLog
from app.telemetry.observer import Closed, Opened
from app.transport.port import Listener
from app.vocabulary import Initiator
from tools.harness.faults import Faults
from tools.harness.games import PROBLEM
from tools.harness.server import SECRET


class Seen(Faults):
    """Faults, and the connections that ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[Closed] = []

    def closed(self, closed: Closed) -> None:
        self.ended.append(closed)


class NoJudge:
    """Never asked, unless the test gives it a report to answer with."""

    closed = False
    report: Report | None = None

    async def open(self) -> None:
        """Nothing."""

    async def close(self) -> None:
        self.closed = True

    async def judge(self, problem: JudgeProblem, code: str) -> Report:
        if self.report is None:
            raise AssertionError((problem, code))
        return self.report


class Peer:
    """A transport to nobody: the test is its peer. `broken`: writing raises."""

    deflate = None

    def __init__(self) -> None:
        self.is_open = self.is_writable = True
        self.broken = False
        self.row: CloseRow | None = None
        self.written: list[bytes] = []
        self.listener: Listener | None = None
        self.is_read = True
        self._asserted = 0

    @property
    def types(self) -> list[str]:
        """Of the messages it was sent."""
        return [json.loads(wire[wire.index(b'{"') :])["type"] for wire in self.written]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it was sent, decoded."""
        return [json.loads(wire[wire.index(b'{"') :]) for wire in self.written]

    def last(self, type: str) -> Any:
        """The data of the newest message of a type."""
        return [message for message in self.messages if message["type"] == type][-1]["data"]

    def assert_sent(self, *types: str) -> None:
        """It was sent exactly these since this was last asked."""
        new, self._asserted = self.types[self._asserted :], len(self.written)
        assert new == list(types), f"sent {new}, not {list(types)}"

    def skip(self) -> None:
        """What it was sent until now has nothing to do with the test."""
        self._asserted = len(self.written)

    def assert_closed(self, row: CloseRow) -> None:
        """It was told why, and closed so; `disconnect` and the close frame came last."""
        assert self.row is row, f"closed by {self.row}, not {row}"
        assert self.types[-2:] == ["disconnect", "close frame"]
        assert self.last("disconnect")["reason"] == row.reason

    def write(self, wire: bytes) -> None:
        """As after the way out was shut."""
        if self.broken:
            raise RuntimeError("Cannot call write() after write_eof()")
        self.written.append(wire)

    def attach(self, listener: Listener) -> None:
        self.listener = listener

    def close(self, row: CloseRow) -> None:
        if self.is_open:
            self.write(b'{"type":"close frame"}')
        self.end(row, Initiator.SERVER)

    def fail(self, row: CloseRow) -> None:
        """As transports close by themselves."""
        assert self.listener is not None
        self.listener.on_closing(row)
        self.close(row)

    def abort(self) -> None:
        self.end(Close.LOST, Initiator.NETWORK)

    def end(self, row: CloseRow, initiator: Initiator) -> None:
        """In a later turn, as sockets do it."""
        if self.is_open and self.listener is not None:
            self.is_open, self.row = False, row
            asyncio.get_running_loop().call_soon(self.listener.on_closed, row, initiator, 0)

    def nothing(self) -> None:
        """For all that is not of interest here."""

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    cork = start = nothing


class Slot:
    """What a connection takes: when it is given back, `player` is among those who `left`."""

    def __init__(self, left: list[str], player: str) -> None:
        self._left = left
        self._player = player

    def release(self) -> None:
        self._left.append(self._player)


class OneHub:
    """A hub that runs, and its players."""

    def __init__(
        self, log: EventLog | None = None, now: Callable[[], int] = lambda: int(time.time() * 1000), **settings: Any
    ) -> None:
        self.seen = Seen()
        self.log = log or MemoryEventLog()
        self.judge = NoJudge()
        chosen = load_settings(jwt_secret=SECRET, event_log_url="memory:", **settings)
        problems: Any = {PROBLEM.id: _Known(PROBLEM)}
        measured = MeasuredEventLog(self.log, self.seen)
        self.hub = Hub(measured, self.judge, problems, chosen, "one", _nobody, self.seen, now)
        self.peers: dict[str, Peer] = {}
        self.sessions: dict[str, Session] = {}
        self.left: list[str] = []

    async def game(self, *players: str, **rules: Any) -> GameState:
        """A game with players in it."""
        state = await self.hub.rooms.create("host", PROBLEM, Rules(**({"min_players": 1} | rules)))
        for player in players:
            await self.enter(state.game_id, player)
        return state

    async def race(self, *players: str, **rules: Any) -> Room:
        """A race that runs; of what its players were sent only what comes now is of interest."""
        state = await self.game(*players, **({"countdown_ms": 1_000} | rules))
        for player in players:
            self.say(player, "ready", {"status": "ready"})
        for player in players:
            await self.until_sent(player, "game_started")
            self.peers[player].skip()
        return self.hub.rooms.loaded[state.game_id]

    async def enter(self, game_id: str, player: str, last_seq: int | None = None) -> Peer:
        """As the endpoint does it: see `app.web.handshake.endpoint`."""
        peer = self.peers[player] = Peer()
        opened = Opened(self.hub.replicas.new_connection_id(), game_id, player, "127.0.0.1")
        async with self.hub.rooms.use(game_id) as room:
            assert room is not None
            session = self.hub.connections.open(opened, peer, Slot(self.left, player))
            self.sessions[player] = session
            try:
                await self.hub.membership.enter(session, room, Identity(player, player.title(), 2e12), last_seq)
            finally:
                session.begin()
        return peer

    def say(self, player: str, type: str, data: object = None, **more: object) -> None:
        """A player sends a message."""
        text = json.dumps({"type": type, "data": {} if data is None else data, **more})
        self.sessions[player].on_text(text.encode())

    async def until_sent(self, player: str, type: str) -> None:
        """Wait until a player was sent a message of that type."""
        await eventually(lambda: type in self.peers[player].types)


class _Known:
    """As much of a problem as making a game needs."""

    def __init__(self, problem: Problem) -> None:
        self.public = problem


@contextlib.asynccontextmanager
async def running(log: EventLog | None = None, **settings: Any) -> AsyncIterator[OneHub]:
    """A hub for the block; it ends in time, whatever was done to it."""
    one = OneHub(log, **settings)
    await one.hub.start()
    try:
        yield one
    finally:
        async with asyncio.timeout(10):
            await one.hub.close()


async def eventually(check: Any) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(20):
        while not check():  # noqa: ASYNC110 - what is waited for announces itself to nobody
            await asyncio.sleep(0.001)


async def _nobody(_token: str) -> Identity:
    raise LookupError
