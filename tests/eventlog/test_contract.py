"""What every event log does; each backend runs the same suite."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from app.eventlog import START, Commit, Conflict, Coordination, Cursor, EventLog, LogListener, open_event_log
from app.game import GameEvent, Join, LeaveGame, LeaveReason, PlayerLeft, SetReady, erased
from tools.harness.coordination import coordinations
from tools.harness.games import GAME_ID, Game
from tools.harness.nats import Nats, log_settings, wipe

pytestmark = pytest.mark.anyio
OTHER_ID = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a01"


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with Nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture(params=["memory", "sqlite", "nats"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    async with opened(request.param, request, tmp_path) as backend:
        yield backend


@contextlib.asynccontextmanager
async def opened(kind: str, request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[EventLog]:
    urls = {"memory": "memory:", "sqlite": f"sqlite:///{folder / 'log.db'}", "nats": "nats://"}
    if kind == "nats":
        running: Nats = request.getfixturevalue("nats")
        urls["nats"] = running.url
        await wipe(running.url)
    backend = open_event_log(log_settings(urls[kind]), "r1")
    await backend.open()
    yield backend
    await backend.close()


def commits() -> list[list[GameEvent]]:
    """A short game as it is committed: created, joined, two events at once."""
    game = Game(min_players=1)
    created = game.events[:]
    joined = game.do(Join("ann", "Ann", "c1"))
    ready = game.do(SetReady("ann", True, "m1"))
    assert [len(created), len(joined), len(ready)] == [1, 1, 2]
    return [created, joined, ready]


async def append_all(log: EventLog, game_id: str, batches: list[list[GameEvent]]) -> Cursor:
    cursor = START
    for events in batches:
        cursor = (await log.append(game_id, cursor, events)).cursor
    return cursor


async def eventually(check: Callable[[], bool]) -> None:
    """A shared log delivers a moment after it has accepted."""
    async with asyncio.timeout(20):
        while not check():  # noqa: ASYNC110 - what has not come has no event
            await asyncio.sleep(0.01)


def events_of(read: list[Commit]) -> list[GameEvent]:
    return [event for commit in read for event in commit.events]


async def test_what_was_appended_is_read_in_order(log: EventLog) -> None:
    await append_all(log, GAME_ID, commits())
    assert events_of(await log.read(GAME_ID)) == [event for batch in commits() for event in batch]


async def test_a_game_that_never_was_is_empty(log: EventLog) -> None:
    assert await log.read(GAME_ID) == []


async def test_reading_after_a_cursor_gives_the_commits_behind_it(log: EventLog) -> None:
    batches = commits()
    second = await append_all(log, GAME_ID, batches[:2])
    third = (await log.append(GAME_ID, second, batches[2])).cursor
    assert [event.seq for event in events_of(await log.read(GAME_ID, second))] == [3, 4]
    assert await log.read(GAME_ID, third) == []


async def test_a_read_commit_names_the_cursor_to_go_on_from(log: EventLog) -> None:
    last = await append_all(log, GAME_ID, commits())
    assert (await log.read(GAME_ID))[-1].cursor == last


async def test_an_append_behind_the_end_conflicts_and_changes_nothing(log: EventLog) -> None:
    batches = commits()
    first = (await log.append(GAME_ID, START, batches[0])).cursor
    await log.append(GAME_ID, first, batches[1])
    with pytest.raises(Conflict):
        await log.append(GAME_ID, first, batches[2])
    with pytest.raises(Conflict):
        await log.append(GAME_ID, START, batches[0])
    assert len(await log.read(GAME_ID)) == 2


async def test_of_many_who_append_at_once_one_wins(log: EventLog) -> None:
    batches = commits()
    first = (await log.append(GAME_ID, START, batches[0])).cursor
    tries = [log.append(GAME_ID, first, batches[1]) for _ in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19
    assert [event.seq for event in events_of(await log.read(GAME_ID))] == [1, 2]


async def test_a_game_is_replaced_whole_by_whoever_knows_its_end(log: EventLog) -> None:
    last = await append_all(log, GAME_ID, commits())
    other = await append_all(log, OTHER_ID, commits())
    erased_events = erased(events_of(await log.read(GAME_ID)), "ann")
    for stale in (START, Cursor(last - 1), Cursor(last + 1)):
        with pytest.raises(Conflict):
            await log.replace(GAME_ID, stale, erased_events)
    replaced = await log.replace(GAME_ID, last, erased_events)
    assert [(one.cursor, list(one.events)) for one in await log.read(GAME_ID)] == [(replaced.cursor, erased_events)]
    assert await log.read(GAME_ID, replaced.cursor) == []
    assert (await log.read(OTHER_ID))[-1].cursor == other
    with pytest.raises(Conflict):
        await log.replace("7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a02", last, erased_events)


async def test_games_do_not_know_each_other(log: EventLog) -> None:
    await append_all(log, GAME_ID, commits())
    await append_all(log, OTHER_ID, commits()[:1])
    assert len(events_of(await log.read(OTHER_ID))) == 1


async def test_a_subscriber_gets_every_later_commit_once_and_in_order(log: EventLog) -> None:
    batches = commits()
    first = (await log.append(GAME_ID, START, batches[0])).cursor
    seen: list[Commit] = []
    began = time.time()
    subscription = await log.subscribe(GAME_ID, seen.append)
    second = (await log.append(GAME_ID, first, batches[1])).cursor
    third = (await log.append(GAME_ID, second, batches[2])).cursor
    await eventually(lambda: len(seen) == 2)
    assert [commit.cursor for commit in seen] == [second, third]
    assert [event.seq for event in events_of(seen)] == [2, 3, 4]
    times = [began, *(commit.accepted_at or 0.0 for commit in seen), time.time()]
    assert times == sorted(times), "each tells when the log took it"
    assert [commit.accepted_at for commit in await log.read(GAME_ID)] == [None] * 3
    subscription.close()
    subscription.close()
    await log.append(GAME_ID, third, [PlayerLeft(seq=5, at=1, player_id="ann", reason=LeaveReason.LEFT)])
    assert len(seen) == 2
    assert len(events_of(await log.read(GAME_ID))) == 5


async def test_a_commit_reaches_subscribers_even_if_the_appender_has_given_up(log: EventLog) -> None:
    arrived = asyncio.Event()
    batches = commits()
    first = (await log.append(GAME_ID, START, batches[0])).cursor
    await log.subscribe(GAME_ID, lambda commit: arrived.set() if commit.cursor != first else None)
    task = asyncio.ensure_future(log.append(GAME_ID, first, batches[1]))
    await asyncio.sleep(0)  # one turn: the append is under way
    task.cancel()
    await asyncio.wait_for(arrived.wait(), 10)
    assert len(await log.read(GAME_ID)) == 2


async def test_open_games_are_those_without_an_end(log: EventLog) -> None:
    await append_all(log, GAME_ID, commits())
    finished = Game(waiting_ttl_ms=1)
    finished.wait(1)
    await log.append(OTHER_ID, START, finished.events)
    async with asyncio.timeout(20):
        while await log.open_games() != [GAME_ID]:
            assert log.shared, "an embedded log knows at once"


async def test_retention_removes_ended_games_whole_and_no_others(log: EventLog) -> None:
    await append_all(log, GAME_ID, commits())
    finished = Game(waiting_ttl_ms=1)
    finished.wait(1)
    ended_at = finished.events[-1].at
    await log.append(OTHER_ID, START, finished.events)
    async with asyncio.timeout(20):
        while OTHER_ID in await log.open_games():
            assert log.shared, "an embedded log knows at once"
    assert await log.expire(ended_at) == 0
    assert await log.expire(ended_at + 1) == 1
    assert await log.read(OTHER_ID) == []
    assert len(await log.read(GAME_ID)) == 3


async def test_a_probe_is_read_by_nobody(log: EventLog) -> None:
    await log.probe()
    await log.probe()
    assert await log.open_games() == []


async def test_every_kind_of_event_survives_storage(log: EventLog) -> None:
    game = Game()
    game.start("ann", "bob")
    game.submit("ann", cause="m1")
    game.do(LeaveGame("bob"))
    await log.append(GAME_ID, START, game.events)
    assert events_of(await log.read(GAME_ID)) == game.events


class Noting(LogListener):
    """Notes what failed."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def on_fault(self, where: str, error: BaseException) -> None:
        self.failures.append(f"{where}: {error}")


def _note(told: list[str], game_id: str, _: Commit) -> None:
    told.append(game_id)


async def test_a_subscriber_that_raises_keeps_nobody_from_the_news_or_an_answer(log: EventLog) -> None:
    noting, told = Noting(), list[str]()
    log.listen(noting)

    def fail(_: Commit) -> None:
        raise ValueError("a fault")

    games = [GAME_ID, OTHER_ID]
    for game_id in games:
        await log.subscribe(game_id, fail)
        await log.subscribe(game_id, partial(_note, told, game_id))
    async with asyncio.timeout(20):
        cursors = await asyncio.gather(*(append_all(log, game_id, commits()) for game_id in games))
    await eventually(lambda: len(told) == 6)
    assert sorted(told) == sorted(games * 3)
    assert noting.failures == ["subscriber: a fault"] * 6
    for game_id, cursor in zip(games, cursors, strict=True):
        assert (await log.read(game_id))[-1].cursor == cursor


# ---------------------------------------------------------------- coordination


@pytest.fixture(params=["memory", "sqlite", "nats", "workers"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Coordination, Coordination]]:
    """What two server processes coordinate by: one and the same where there is only one of them."""
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "workers":
            one, other = await stack.enter_async_context(coordinations(tmp_path, Noting().on_fault, lambda: None))
            yield one, other
        else:
            backend = await stack.enter_async_context(opened(request.param, request, tmp_path))
            yield backend.coordination, backend.coordination


@pytest.fixture
def coordination(pair: tuple[Coordination, Coordination]) -> Coordination:
    return pair[0]


async def test_a_claim_is_granted_once_until_it_has_ended(pair: tuple[Coordination, Coordination]) -> None:
    coordination = pair[0]
    answers = await asyncio.gather(*(one.claim("ticket 1", 1) for one in pair * 10))
    assert sorted(answers) == [False] * 19 + [True]
    assert await coordination.claim("ticket 2", 600)
    async with asyncio.timeout(20):
        while not await coordination.claim("ticket 1", 600):
            await coordination.expire(int(time.time() * 1000))
    assert not await coordination.claim("ticket 2", 600)


async def test_what_is_counted_at_once_is_counted_one_by_one(pair: tuple[Coordination, Coordination]) -> None:
    coordination = pair[1]
    counts = await asyncio.gather(*(one.count("judge 1", 600) for one in pair * 10))
    assert sorted(counts) == list(range(1, 21))
    assert [await coordination.count("judge 2", 600), await coordination.count("judge 1", 600)] == [1, 21]
    await coordination.expire(int(time.time() * 1000))
    assert await coordination.count("judge 1", 600) == 22


async def test_a_count_ends_when_its_time_is_over(coordination: Coordination) -> None:
    await coordination.count("judge 1", 600)
    await coordination.count("judge 1", 1)
    async with asyncio.timeout(20):
        while await coordination.count("judge 1", 1) != 1:
            await asyncio.sleep(1.5)  # its time begins anew with each
            await coordination.expire(int(time.time() * 1000))


async def test_a_note_is_read_by_all_until_it_is_forgotten(pair: tuple[Coordination, Coordination]) -> None:
    one, other = pair
    odd = "Zoë > * . 'x'/\N{GRINNING FACE}"
    assert await one.kept("ban") == {}
    await other.forget("ban", odd)
    await one.keep("ban", odd, b"first")
    await other.keep("ban", odd, b"second")
    await other.keep("ban", "bob", b"")
    await one.keep("other", "bob", b"other")
    assert [await each.kept("ban") for each in pair] == [{odd: b"second", "bob": b""}] * 2
    await one.expire(int(time.time() * 1000))
    await one.forget("ban", odd)
    assert [await each.kept("ban") for each in pair] == [{"bob": b""}] * 2


async def test_notes_outlive_the_process_where_games_do(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for kind in ("sqlite", "nats"):
        async with opened(kind, request, tmp_path) as backend:
            await backend.coordination.keep("ban", "ann", b"1")
            url = f"sqlite:///{tmp_path / 'log.db'}" if kind == "sqlite" else request.getfixturevalue("nats").url
        again = open_event_log(log_settings(url), "r2")
        await again.open()
        assert await again.coordination.kept("ban") == {"ann": b"1"}
        await again.close()
    async with coordinations(tmp_path, Noting().on_fault, lambda: None) as (one, _):
        await one.keep("ban", "bob", b"2")
    async with coordinations(tmp_path, Noting().on_fault, lambda: None, count=3) as (_, _, third):
        assert await third.kept("ban") == {"bob": b"2"}, "another number of workers finds them again"


async def test_a_server_process_lives_until_it_withdraws(pair: tuple[Coordination, Coordination]) -> None:
    one, other = pair
    await one.heartbeat("a", 60)
    await other.heartbeat("b", 60)
    began = time.time()
    assert began <= await one.heartbeat("a", 60) <= time.time()
    assert [await each.instances() for each in pair] == [{"a", "b"}] * 2
    await one.withdraw("a")
    assert [await each.instances() for each in pair] == [{"b"}] * 2


async def test_nobody_receives_their_own_broadcasts_and_each_subscription_closes_for_itself(log: EventLog) -> None:
    seen, received = list[Commit](), list[bytes]()
    assert log.coordination.shared is log.shared
    broadcasts = await log.coordination.subscribe(GAME_ID, received.append)
    commits_of = await log.subscribe(GAME_ID, seen.append)
    log.coordination.broadcast(GAME_ID, b"news")
    created, joined, _ = commits()
    first = (await log.append(GAME_ID, START, created)).cursor
    await eventually(lambda: len(seen) == 1)
    broadcasts.close()
    broadcasts.close()
    await log.append(GAME_ID, first, joined)
    await eventually(lambda: len(seen) == 2)
    commits_of.close()
    assert received == []
