"""The queue in which parties take turns."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.realtime.room.judging import Turns

pytestmark = pytest.mark.anyio


async def taken(turns: Turns[int], count: int) -> list[tuple[str, int]]:
    async with asyncio.timeout(10):
        return [await turns.take() for _ in range(count)]


async def test_whoever_puts_much_makes_nobody_else_wait() -> None:
    turns: Turns[int] = Turns(100, taken_per_party=100)
    for number in range(10):
        turns.put("ann", number)
    turns.put("bob", 100)
    turns.put("cay", 200)
    turns.put("cay", 201)
    assert [item for _, item in await taken(turns, 6)] == [0, 100, 200, 1, 201, 2]


async def test_no_more_of_a_party_is_taken_at_once_than_may() -> None:
    turns: Turns[int] = Turns(100, taken_per_party=1)
    for number in range(3):
        turns.put("ann", number)
    turns.put("bob", 9)
    assert await taken(turns, 2) == [("ann", 0), ("bob", 9)]
    third = asyncio.ensure_future(turns.take())
    turns.done("bob")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not third.done()
    turns.done("ann")
    assert await asyncio.wait_for(third, 10) == ("ann", 1)


async def test_whoever_has_filled_it_keeps_nobody_out() -> None:
    turns: Turns[int] = Turns(6, taken_per_party=1)
    left_out = [turns.put(party, number) for party in ("ann", "bob") for number in range(4)]
    assert left_out == [None] * 6 + [3, 3], "of bob's the last two: ann's has then as many"
    assert turns.put("cay", 9) in {2, 3}
    assert turns.put("cay", 10) in {2, 3}
    assert turns.put("cay", 11) == 11, "each has two"
    assert [party for party, _ in await taken(turns, 3)] == ["ann", "bob", "cay"]
    assert len(turns) == 3


async def test_whoever_waits_is_given_what_comes() -> None:
    turns: Turns[int] = Turns(1, taken_per_party=1)
    waiting = [asyncio.ensure_future(turns.take()) for _ in range(2)]
    await asyncio.sleep(0)
    assert turns.put("ann", 1) is None
    assert turns.put("bob", 2) == 2, "it is full"
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert turns.put("bob", 2) is None
    assert sorted([await one for one in waiting]) == [("ann", 1), ("bob", 2)]
    assert len(turns) == 0


PARTIES = st.sampled_from(["ann", "bob", "cay"])
STEPS = st.lists(st.tuples(st.sampled_from(["put", "put", "take", "take", "done"]), PARTIES), min_size=30, max_size=80)


@given(steps=STEPS, size=st.integers(1, 12), most=st.integers(1, 3))
async def test_turns_are_fair_and_bounded_whatever_is_done(steps: list[tuple[str, str]], size: int, most: int) -> None:
    turns: Turns[int] = Turns(size, most)
    waiting: dict[str, list[int]] = {}
    running: Counter[str] = Counter()
    passed_over: Counter[str] = Counter()
    for number, (step, party) in enumerate(steps):
        may_take = {name for name, items in waiting.items() if items and running[name] < most}
        if step == "put":
            was_full = sum(map(len, waiting.values())) == size
            left_out = turns.put(party, number)
            assert (left_out is not None) is was_full
            waiting.setdefault(party, []).append(number)
            if left_out is not None:
                loser = next(name for name, items in waiting.items() if left_out in items)
                assert len(waiting[loser]) == max(map(len, waiting.values()))
                assert waiting[loser].pop() == left_out, "of those of one party the last"
        elif step == "done" and running[party]:
            turns.done(party)
            running[party] -= 1
        elif step == "take" and may_take:
            ((name, item),) = await taken(turns, 1)
            assert name in may_take
            assert item == waiting[name].pop(0), "those of one party come in order"
            running[name] += 1
            passed_over[name] = 0
            for other in may_take - {name}:
                passed_over[other] += 1
                assert passed_over[other] < 3, "whoever may is taken before anybody is a second time"
        assert len(turns) == sum(map(len, waiting.values()))
        assert len(turns) <= size
