"""A room that many ask for while it is loaded, and that is released at once: nobody waits for ever."""

import asyncio

import pytest

from tools.harness.hubs import OneHub, running

TURNS = 20
AT_ONCE = 3


async def look(one: OneHub, game_id: str) -> None:
    """As a plain GET of a game's URL does: the room is free again in the same turn."""
    async with one.hub.rooms.use(game_id) as room:
        assert room is not None


@pytest.mark.anyio
@pytest.mark.timeout(30)
async def test_who_asks_between_the_end_of_the_loading_and_its_being_told_is_answered() -> None:
    async with running() as one:
        state = await one.game()
        looking = []
        for _ in range(TURNS):
            looking += [asyncio.create_task(look(one, state.game_id)) for _ in range(AT_ONCE)]
            await asyncio.sleep(0)  # the next turn
        await asyncio.gather(*looking)
        assert not one.hub.rooms.loaded
