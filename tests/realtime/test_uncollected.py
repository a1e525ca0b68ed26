"""Who joins and leaves again leaves nothing that only a collection would free: it would hold up all the others."""

import asyncio
import gc

from app.protocol import Close
from app.vocabulary import Initiator
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.hubs import OneHub, eventually, running

PLAYERS = 20


async def come_and_go(one: OneHub, game_id: str, batch: int) -> None:
    """All come, say something, and are gone."""
    names = [f"p{batch}-{number}" for number in range(PLAYERS)]
    for name in names:
        await one.enter(game_id, name)
        one.say(name, "ping", {"timestamp": 1})
        await one.until_sent(name, "pong")
    for name in names:
        peer = one.peers[name]
        peer.end(Close.LOST, Initiator.NETWORK)
        await eventually(lambda name=name: name in one.left)
        peer.listener = None  # as transports let go of theirs
        del one.peers[name], one.sessions[name]


@without_waiting
async def test_whoever_joins_and_leaves_leaves_nothing_to_collect() -> None:
    async with running(now=loop_ms) as one:
        state = await one.game("host", max_players=100, min_players=50)
        await come_and_go(one, state.game_id, 0)  # what is made once is made
        await asyncio.sleep(1)
        gc.collect()
        gc.disable()
        try:
            await come_and_go(one, state.game_id, 1)
            await asyncio.sleep(1)
            assert gc.collect() == 0
        finally:
            gc.enable()
