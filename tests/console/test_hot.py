"""The hot lists, of connections that are there and of those that are gone."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from app.console.ends import Ends
from app.console.hot import TOP, Hot, HotRow, NoSuchListError
from app.console.slices import SLICE
from app.telemetry.observer import Opened
from app.vocabulary import HotKind, HotMeasure
from tools.harness.hubs import running

pytestmark = pytest.mark.anyio


def connection(number: int, *, messages: int = 0, errors: int = 0, waits: int = 0) -> Any:
    """As much of a session as a list looks at."""
    opened = Opened(f"c{number}", f"g{number % 3}", f"p{number % 10}", f"10.0.0.{number % 4}")
    return SimpleNamespace(
        connection_id=opened.connection_id,
        player_id=opened.player_id,
        opened=opened,
        stats=SimpleNamespace(messages_in=messages, bytes_in=10 * messages, errors=errors),
        outbox=SimpleNamespace(messages_out=1, bytes_out=7, bytes=waits),
    )


def counts(rows: list[HotRow]) -> dict[str, int]:
    return {row.key: row.count for row in rows}


async def test_the_first_twenty_connections_by_each_measure() -> None:
    many = [connection(number, messages=number, errors=number % 7, waits=number % 5) for number in range(1_200)]
    hot = Hot(many, Ends())
    by_messages = await hot.top(HotMeasure.MESSAGES)
    assert [row.key for row in by_messages] == [f"c{number}" for number in range(1_199, 1_199 - TOP, -1)]
    assert [row.count for row in by_messages] == [number + 1 for number in range(1_199, 1_199 - TOP, -1)]
    assert {row.error_bound for row in by_messages} == {0}
    assert (by_messages[0].player_id, by_messages[0].game_id, by_messages[0].address) == ("p9", "g2", "10.0.0.3")
    assert (await hot.top(HotMeasure.BYTES))[0].count == 1_199 * 10 + 7
    assert {row.count for row in await hot.top(HotMeasure.OUTBOX)} == {4}
    assert {row.count for row in await hot.top(HotMeasure.ERRORS)} == {6}


async def test_who_has_nothing_of_it_is_on_no_list() -> None:
    hot = Hot([connection(number) for number in range(5)], Ends())
    assert await hot.top(HotMeasure.ERRORS) == []
    assert await hot.top(HotMeasure.ERRORS, HotKind.GAME) == []


async def test_sums_by_player_game_and_address() -> None:
    hot = Hot([connection(number, errors=1) for number in range(1_200)], Ends())
    assert counts(await hot.top(HotMeasure.ERRORS, HotKind.GAME)) == {"g0": 400, "g1": 400, "g2": 400}
    assert set(counts(await hot.top(HotMeasure.ERRORS, HotKind.PLAYER)).values()) == {120}
    assert len(await hot.top(HotMeasure.ERRORS, HotKind.ADDRESS)) == 4


async def test_over_some_seconds_only_what_came_within_them_counts() -> None:
    one, other = connection(1, messages=1_000), connection(2)
    hot = Hot([one, other], Ends())

    async def send() -> None:
        other.stats.messages_in += 3

    rows, _ = await asyncio.gather(hot.top(HotMeasure.MESSAGES, over_s=0.01), send())
    assert counts(rows) == {"c2": 3}
    rows, _ = await asyncio.gather(hot.top(HotMeasure.MESSAGES, HotKind.GAME, 0.01), send())
    assert counts(rows) == {"g2": 3}


async def test_what_waits_has_no_list_of_seconds_and_refusals_none_by_player() -> None:
    hot = Hot([], Ends())
    with pytest.raises(NoSuchListError, match="outbox"):
        await hot.top(HotMeasure.OUTBOX, over_s=1)
    with pytest.raises(NoSuchListError, match="refusals are not counted by player"):
        await hot.top(HotMeasure.REFUSALS, HotKind.PLAYER)


async def test_those_who_are_gone_are_on_the_lists_too() -> None:
    ends = Ends()
    ends.errors.now.add("10.0.0.1", 5)
    ends.came_again[0].now.add("p1", 4)
    ends.refusals.now.add("10.0.0.9", 2)
    hot = Hot([connection(1, errors=1)], ends)
    assert counts(await hot.top(HotMeasure.ERRORS, HotKind.ADDRESS)) == {"10.0.0.1": 6}
    assert counts(await hot.top(HotMeasure.RECONNECTS)) == {"p1": 4}
    assert counts(await hot.top(HotMeasure.REFUSALS)) == {"10.0.0.9": 2}


async def test_others_have_their_turn_while_many_are_walked_over() -> None:
    walked = 0

    def many() -> Iterator[Any]:
        yield from (connection(number) for number in range(4 * SLICE))

    class Counting(list[Any]):
        """Connections whose counts are looked at."""

    turns: list[int] = []

    async def others() -> None:
        while True:
            turns.append(walked)
            await asyncio.sleep(0)

    class Stats:
        bytes_in = errors = 0

        @property
        def messages_in(self) -> int:
            nonlocal walked
            walked += 1
            return 0

    connections = Counting(many())
    for one in connections:
        one.stats = Stats()
    task = asyncio.create_task(others())
    await Hot(connections, Ends()).top(HotMeasure.MESSAGES)
    task.cancel()
    assert max(after - before for before, after in pairwise(turns)) <= SLICE


async def test_a_real_hubs_connections_are_walked_over() -> None:
    async with running() as one:
        game = await one.game("ann", "bob")
        for _ in range(3):
            one.say("ann", "ping", {"timestamp": 1})
        one.say("bob", "nonsense")
        hot = Hot(one.hub.connections, Ends())
        rows = await hot.top(HotMeasure.MESSAGES)
        assert [row.player_id for row in rows] == ["ann", "bob"]
        assert rows[0].game_id == game.game_id
        (erring,) = await hot.top(HotMeasure.ERRORS)
        assert (erring.player_id, erring.count) == ("bob", 1)
        for session in one.sessions.values():
            session.transport.abort()
