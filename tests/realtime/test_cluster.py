"""Replicas on one log in memory: who lives and leads, how many connections a player has, whether the log is there."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from app.eventlog import Conflict, Coordination, LogUnavailable, Subscription
from app.eventlog.embedded import MemoryCoordination, MemoryEventLog
from app.realtime.cluster.log_health import LogHealth
from app.realtime.cluster.presence import CHUNK, GATHER_S, Presence
from app.realtime.cluster.replicas import Replicas
from app.telemetry.observer import Observer
from app.vocabulary import LogTrouble
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.faults import unexpected
from tools.harness.games import Game

TTL_S = 8.0


Ears = dict["SharedCoordination", Callable[[bytes], None]]


class SharedCoordination(MemoryCoordination):
    """One replica's view: what it broadcasts, those with the same `ears` receive."""

    shared = True

    def __init__(self, ears: Ears | None = None) -> None:
        super().__init__()
        self.ears = {} if ears is None else ears

    async def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Subscription:
        self.ears[self] = receive
        return await super().subscribe(topic, receive)

    def broadcast(self, topic: str, payload: bytes) -> None:
        del topic
        for other, receive in self.ears.items():
            if other is not self:
                receive(payload)


class SharedLog(MemoryEventLog):
    """A log that others share. `is_away`: it cannot be reached."""

    shared = True
    is_away = False

    async def probe(self) -> None:
        if self.is_away:
            raise LogUnavailable("gone", LogTrouble.UNREACHABLE)


class Noting(Observer):
    """Whether the log was lost or came back, in order."""

    def __init__(self) -> None:
        self.reachable: list[bool] = []
        self.faults: list[str] = []

    def event_log(self, reachable: bool, fault: str) -> None:  # noqa: ARG002 - the interface's
        self.reachable.append(reachable)

    def fault(self, where: str, error: BaseException, game_id: str | None = None) -> None:  # noqa: ARG002 - the interface's
        self.faults.append(where)


# ---------------------------------------------------------------- who lives


def replicas_on(coordination: Coordination, count: int) -> list[Replicas]:
    return [Replicas(coordination, TTL_S, Observer(), loop_ms) for _ in range(count)]


@without_waiting
async def test_replicas_find_each_other_and_say_when_they_go() -> None:
    one, two = replicas_on(shared := SharedCoordination(), 2)
    await two.refresh()
    await one.refresh()
    assert one.size == 2
    assert one.lives(two.instance)
    await two.leave()
    assert two.instance not in await shared.instances()


@without_waiting
async def test_on_an_embedded_log_nobody_else_lives() -> None:
    one, two = replicas_on(MemoryCoordination(), 2)
    await one.refresh()
    assert not one.lives(two.instance)
    assert one.lives(one.instance)


@without_waiting
async def test_a_connection_id_tells_whose_it_is() -> None:
    one, two = replicas_on(SharedCoordination(), 2)
    own = one.new_connection_id()
    assert one.is_own(own)
    assert not two.is_own(own)
    assert own != one.new_connection_id()


@without_waiting
async def test_the_replica_of_the_first_connected_player_leads_a_game() -> None:
    one, two = replicas_on(SharedCoordination(), 2)
    await two.refresh()
    await one.refresh()
    game = Game()
    assert one.leads(game.known), "where nobody is connected, whoever asks"
    game.join("ann")
    player = game.known.players["ann"]
    for leader, other in ((one, two), (two, one)):
        state = game.known
        state.players["ann"] = type(player)(
            **{name: getattr(player, name) for name in player.__struct_fields__}
            | {"connection_id": leader.new_connection_id()}
        )
        assert leader.leads(state)
        assert not other.leads(state)


@without_waiting
async def test_each_key_falls_to_exactly_one_replica() -> None:
    replicas = replicas_on(SharedCoordination(), 3)
    for one in replicas * 2:
        await one.refresh()
    for number in range(50):
        assert sum(one.shares(f"game {number}") for one in replicas) == 1


@without_waiting
async def test_a_change_is_taken_once_and_can_be_given_back() -> None:
    one, _ = replicas_on(SharedCoordination(), 2)
    assert one.take_change(), "at first: who knows"
    assert not one.take_change()
    one.give_back_change()
    assert one.take_change()


# ---------------------------------------------------------------- how many connections a player has


@dataclass
class Group:
    """Replicas that tell each other of their players."""

    ears: Ears = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)

    def member(self, name: str) -> Presence:
        presence = Presence(SharedCoordination(self.ears), name, lambda one: one not in self.dead, unexpected)
        self.tasks.append(asyncio.create_task(presence.run()))
        return presence

    tasks: list[asyncio.Task[None]] = field(default_factory=list)


@without_waiting
async def test_connections_are_counted_over_all_replicas() -> None:
    group = Group()
    one, two = group.member("one"), group.member("two")
    one.add("ann", 1)
    two.add("ann", 1)
    await asyncio.sleep(1)
    assert (one.count("ann"), two.count("ann")) == (2, 2)
    two.add("ann", -1)
    await asyncio.sleep(1)
    assert (one.count("ann"), two.count("ann")) == (1, 1)


@without_waiting
async def test_who_comes_later_is_told_what_there_is() -> None:
    group = Group()
    group.member("one").add("ann", 2)
    await asyncio.sleep(1)
    late = group.member("late")
    await asyncio.sleep(1)
    assert late.count("ann") == 2


@without_waiting
async def test_the_players_of_a_replica_that_died_count_no_more() -> None:
    group = Group()
    one, two = group.member("one"), group.member("two")
    two.add("ann", 1)
    await asyncio.sleep(1)
    group.dead.add("two")
    assert one.count("ann") == 0


@without_waiting
async def test_a_report_of_all_comes_in_parts_and_forgets_who_is_in_none_and_nobody_else() -> None:
    group = Group()
    one, two = group.member("one"), group.member("two")
    gone, *others = [f"player {number}" for number in range(2 * CHUNK + 1)]
    for player in (gone, *others):
        two.add(player, 1)
    await asyncio.sleep(1)
    kept = dict(group.ears)
    group.ears.clear()  # what is told now is lost
    two.add(gone, -1)
    await asyncio.sleep(1)
    group.ears.update(kept)
    assert one.count(gone) == 1
    while one.count(gone):
        await asyncio.sleep(GATHER_S / 2)
        assert sum(map(one.count, others)) == len(others)


# ---------------------------------------------------------------- whether the log is there


@without_waiting
async def test_a_shared_log_has_to_be_reached_first() -> None:
    health = LogHealth(SharedLog(), Observer())
    assert (health.reachable, health.is_reached) == (False, False)
    health.reach()
    assert health.reachable
    await health.wait_reached()


@without_waiting
async def test_a_log_that_is_lost_is_tried_again_and_what_was_missed_is_read_then() -> None:
    log, seen, restored = SharedLog(), Noting(), asyncio.Event()

    async def restore() -> None:
        restored.set()

    health = LogHealth(log, seen)
    health.reach()
    watching = asyncio.create_task(health.watch(restore))
    log.is_away = True
    health.lose("gone")
    await asyncio.sleep(10)
    assert (health.reachable, restored.is_set()) == (False, False)
    log.is_away = False
    await asyncio.sleep(2)
    assert (health.reachable, restored.is_set(), seen.reachable) == (True, True, [False, True])
    watching.cancel()


@without_waiting
async def test_what_could_not_be_restored_is_tried_again() -> None:
    seen, tries = Noting(), 0

    async def restore() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RuntimeError("a fault")

    health = LogHealth(SharedLog(), seen)
    health.reach()
    watching = asyncio.create_task(health.watch(restore))
    health.lose("gone")
    await asyncio.sleep(10)
    assert seen.faults == ["event log"] * 2
    watching.cancel()


@without_waiting
async def test_only_a_log_that_is_away_is_lost_for_one_refusal() -> None:
    seen = Noting()
    health = LogHealth(SharedLog(), seen)
    health.reach()
    health.note_failure("sweep", LogUnavailable("one game", LogTrouble.OTHER))
    assert (health.reachable, seen.faults) == (True, ["sweep"])
    health.note_failure("sweep", LogUnavailable("gone", LogTrouble.UNREACHABLE))
    assert (health.reachable, seen.faults) == (False, ["sweep"])


@without_waiting
async def test_an_append_shows_whether_the_log_is_there() -> None:
    health = LogHealth(SharedLog(), Noting())
    health.reach()

    def reachable_after(error: Exception) -> bool:
        with pytest.raises(type(error)), health.appending():
            raise error
        return health.reachable

    assert reachable_after(LogUnavailable("too much to do", LogTrouble.BUSY))
    assert not reachable_after(LogUnavailable("gone", LogTrouble.UNREACHABLE))
    assert not reachable_after(Conflict("another was first")), "which says nothing of whether it was taken"
    with health.appending():
        pass
    assert health.reachable
