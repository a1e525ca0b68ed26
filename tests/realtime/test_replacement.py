"""Of a player's connections exactly one lives, the newest, however entering, joining, telling and losing interleave.

Two real hubs on one shared log, whose every append and every delivery waits until the test lets it happen.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.eventlog import START, Commit, Conflict, Cursor, Subscription
from app.eventlog.embedded import EmbeddedLog, MemoryCoordination, MemoryEventLog
from app.game import GameEvent, PlayerDisconnected, PlayerJoined, PlayerReconnected, fold
from app.judge import SandboxJudge
from app.protocol import Close, CloseRow
from app.realtime import Hub, Session
from app.realtime.identity import Identity
from app.settings import JudgeSettings, load_settings
from app.telemetry.observer import Observer, Opened
from app.transport.port import Listener
from app.vocabulary import Initiator
from tools.harness.games import GAME_ID, Game
from tools.harness.server import SECRET

PLAYER = "ann"
TURNS = 30
"""So many turns of the loop at most until a step has had all its effects, but for those that wait for the test."""
Resolve = Callable[[], Coroutine[Any, Any, None]]


class Steps:
    """What waits for the test: appends, in the order they were asked for, and each replica's deliveries."""

    def __init__(self) -> None:
        self.appends: list[Resolve] = []
        self.deliveries: list[list[Callable[[], None]]] = []


class SteppedCoordination(MemoryCoordination):
    """As if there were other replicas."""

    shared = True


class SteppedLog(EmbeddedLog):
    """One replica's view of a log that all share. It asks `is_open` of whoever a Join is for, when it is asked."""

    shared = True

    def __init__(self, log: MemoryEventLog, steps: Steps, is_open: Callable[[str], bool]) -> None:
        super().__init__()
        self.coordination = SteppedCoordination()
        self._log = log
        self._steps = steps
        self._is_open = is_open
        self._told: list[Callable[[], None]] = []
        steps.deliveries.append(self._told)

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Once the test lets it."""
        for event in events:
            if isinstance(event, PlayerJoined | PlayerReconnected):
                assert self._is_open(event.connection_id), "nobody asks for the place of a connection that has ended"
        answer: asyncio.Future[Commit] = asyncio.get_running_loop().create_future()

        async def resolve() -> None:
            try:
                answer.set_result(await self._log.append(game_id, after, events))
            except Conflict as conflict:
                answer.set_exception(conflict)

        self._steps.appends.append(resolve)
        return await answer

    async def replace(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        raise NotImplementedError

    async def scrub(self) -> None:
        raise NotImplementedError

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """What is there."""
        return await self._log.read(game_id, after)

    async def subscribe(self, game_id: str, deliver: Callable[[Commit], None]) -> Subscription:
        """Each commit once the test lets it."""
        return await self._log.subscribe(game_id, lambda commit: self._told.append(lambda: deliver(commit)))

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def games(self) -> list[str]:
        """None are asked for."""
        return []

    open_games = games

    async def expire(self, ended_before: int) -> int:
        """Nothing."""
        return ended_before * 0

    async def probe(self) -> None:
        """Nothing."""

    async def usage(self) -> tuple[int, int]:
        """Nothing."""
        return 0, 0


class Peer:
    """A transport to nobody: the test is its peer."""

    deflate = None
    is_writable = True

    def __init__(self) -> None:
        self.is_open = True
        self.row: CloseRow | None = None
        self.session: Session | None = None
        self._listener: Listener | None = None

    def write(self, wire: bytes) -> None:
        """Taken."""
        assert self.is_open, len(wire)

    def attach(self, listener: Listener) -> None:
        """Whom to tell."""
        self._listener = listener

    def close(self, row: CloseRow) -> None:
        """The peer's answer comes in a later turn."""
        if self.is_open:
            self.is_open, self.row = False, row
            asyncio.get_running_loop().call_soon(self._end, row, Initiator.SERVER)

    def drop(self) -> None:
        """The peer has gone."""
        if self.is_open and self._listener is not None:  # else it is not let in yet
            self.is_open, self.row = False, Close.LOST
            self._end(Close.LOST, Initiator.NETWORK)

    def _end(self, row: CloseRow, initiator: Initiator) -> None:
        assert self._listener is not None
        self._listener.on_closed(row, initiator, 1006)

    def nothing(self) -> None:
        """For all that is not of interest here."""

    cork = start = pause_reading = resume_reading = abort = nothing


class World:
    """Two replicas, a game in which others may be, and one player's connections."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.log = MemoryEventLog()
        self.peers: dict[str, Peer] = {}
        self.handshakes: list[asyncio.Task[None]] = []
        self.hubs = [self._hub(name) for name in ("one", "two")]

    def _hub(self, name: str) -> Hub:
        chosen = load_settings(jwt_secret=SECRET, event_log_url="memory:")
        judge = SandboxJudge(JudgeSettings(judge_processes=1), Observer())
        log = SteppedLog(self.log, self.steps, lambda connection_id: self.peers[connection_id].is_open)
        return Hub(log, judge, {}, chosen, name, self._nobody, Observer(), lambda: Game().now)

    async def _nobody(self, _token: str) -> Identity:
        raise LookupError

    async def settle(self) -> None:
        """Let everything happen that does not wait for the test."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def enter(self, replica: int) -> None:
        """As the endpoint does it: see `app.web.handshake.endpoint`."""
        hub, peer = self.hubs[replica], Peer()
        opened = Opened(hub.replicas.new_connection_id(), GAME_ID, PLAYER, "127.0.0.1")
        self.peers[opened.connection_id] = peer

        async def play() -> None:
            async with hub.rooms.use(GAME_ID) as room:
                assert room is not None
                session = peer.session = hub.connections.open(opened, peer)
                try:
                    await hub.membership.enter(session, room, Identity(PLAYER, "Ann", 2e12), None)
                finally:
                    session.begin()

        self.handshakes.append(asyncio.create_task(play()))

    async def append(self, which: int) -> None:
        """The log answers one of those that ask it."""
        if self.steps.appends:
            await self.steps.appends.pop(which % len(self.steps.appends))()

    async def deliver(self, replica: int) -> None:
        """A replica hears of the next commit."""
        if self.steps.deliveries[replica]:
            self.steps.deliveries[replica].pop(0)()

    async def drop(self, which: int) -> None:
        """One of the connections is lost."""
        if self.peers:
            list(self.peers.values())[which % len(self.peers)].drop()

    async def finish(self) -> None:
        """Nothing waits any more."""
        await self.settle()
        while self.steps.appends or any(self.steps.deliveries):
            await self.append(0)
            for replica in range(len(self.hubs)):
                await self.deliver(replica)
            await self.settle()
        await asyncio.gather(*self.handshakes)

    async def events(self) -> list[GameEvent]:
        """All that the log holds."""
        return [event for commit in await self.log.read(GAME_ID) for event in commit.events]


STEPS = st.one_of(
    st.tuples(st.just("enter"), st.integers(0, 1)),
    st.tuples(st.just("append"), st.integers(0, 5)),
    st.tuples(st.just("deliver"), st.integers(0, 1)),
    st.tuples(st.just("settle"), st.none()),
    st.tuples(st.just("drop"), st.integers(0, 5)),
)


async def course(steps: list[tuple[str, int | None]]) -> tuple[World, list[GameEvent]]:
    """Take the steps, then all that is left."""
    world = World()
    await world.log.append(GAME_ID, START, Game().events)
    for name, argument in steps:
        await (getattr(world, name)() if argument is None else getattr(world, name)(argument))
    await world.finish()
    return world, await world.events()


def assert_one_lives(world: World, events: list[GameEvent]) -> None:
    """See the module."""
    joined = [event.connection_id for event in events if isinstance(event, PlayerJoined | PlayerReconnected)]
    alive = [one for one, peer in world.peers.items() if peer.is_open]
    dropped = [one for one, peer in world.peers.items() if peer.row is Close.LOST]
    replaced = [one for one, peer in world.peers.items() if peer.row is Close.REPLACED]
    assert len(alive) + len(dropped) + len(replaced) == len(world.peers), "nobody is closed for another reason"
    assert len(set(joined)) == len(joined), "each joins once"
    newest = joined[-1] if joined else None
    assert alive == ([] if newest is None or newest in dropped else [newest])
    for one in replaced:
        assert one in joined[:-1], "replaced by one that joined after it"
    state = fold(events)
    assert state is not None
    if PLAYER in state.players:
        assert state.players[PLAYER].connection_id == (alive[0] if alive else None)
    lost = [event.connection_id for event in events if isinstance(event, PlayerDisconnected)]
    assert not set(lost) & set(replaced), "the end of a replaced connection changes nothing"
    for hub in world.hubs:
        for room in hub.rooms.loaded.values():
            assert set(room.members) <= set(alive)


@settings(max_examples=400)
@given(st.lists(STEPS, max_size=40))
def test_exactly_the_newest_of_a_players_connections_lives(steps: list[tuple[str, int | None]]) -> None:
    assert_one_lives(*asyncio.run(course(steps)))


def test_of_five_that_begin_together_on_two_replicas_one_lives() -> None:
    world, events = asyncio.run(course([("enter", number % 2) for number in range(5)]))
    assert_one_lives(world, events)
    assert sum(peer.is_open for peer in world.peers.values()) == 1
    assert len(world.peers) == 5


def test_a_join_that_waits_is_not_asked_for_once_its_connection_is_lost() -> None:
    """The first is lost while the second's append is under way; it was before it in the queue of the other replica."""
    steps: list[tuple[str, int | None]] = [
        ("enter", 0), ("settle", None), ("append", 0), ("settle", None),  # c1 on replica one has the place
        ("enter", 1), ("settle", None), ("enter", 0), ("settle", None),  # c2 and c3 ask
        ("append", 1), ("settle", None),  # c3 has it
        ("drop", 1), ("append", 0),  # c2 is lost, and its append conflicts
    ]  # fmt: skip
    world, events = asyncio.run(course(steps))
    assert_one_lives(world, events)
    assert [peer.is_open for peer in world.peers.values()] == [False, False, True]
