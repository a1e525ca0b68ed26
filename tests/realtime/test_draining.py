"""The drain of a hub whose time passes at once: in which order it goes away, and what everybody is told."""

import asyncio
from typing import Any

import pytest

from app.eventlog import LogUnavailable
from app.eventlog.embedded import MemoryCoordination, MemoryEventLog
from app.protocol import Close
from app.realtime.drain import Drain
from app.settings import load_settings
from app.vocabulary import DrainPhase, Initiator
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.hubs import OneHub, Seen, running
from tools.harness.server import SECRET


class Phases(Seen):
    """And the phases of the drain, with the connections there were, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.phases: list[tuple[DrainPhase, int]] = []

    def draining(self, phase: DrainPhase, connections: int, **details: float) -> None:  # noqa: ARG002 - the interface's
        self.phases.append((phase, connections))


class SilentLog(MemoryEventLog):
    """A log that others share, and that answers nobody who leaves."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.coordination: MemoryCoordination = SilentCoordination(self.asked)

    async def abandon(self, why: LogUnavailable) -> None:  # noqa: ARG002 - the port's
        self.asked.append("abandon")


class SilentCoordination(MemoryCoordination):
    """Notes who leaves, and never says that it has."""

    shared = True

    def __init__(self, asked: list[str]) -> None:
        super().__init__()
        self.asked = asked

    async def withdraw(self, instance: str) -> None:  # noqa: ARG002 - the port's
        self.asked.append("withdraw")
        await asyncio.Event().wait()


def drain_of(one: OneHub, seen: Seen, *, lone: bool = True, scrapes: Any = lambda: 0, **settings: float) -> Drain:
    """A drain of that hub."""
    plan = load_settings(jwt_secret=SECRET, event_log_url="memory:", **settings).drain
    return Drain(one.hub, plan, seen, scrapes, lone=lone)


@without_waiting
async def test_its_phases_come_in_order() -> None:
    async with running(now=loop_ms) as one:
        await one.game("ann", "bob", min_players=9)
        seen = Phases()
        await drain_of(one, seen, drain_spread_s=2).run()
        delay, games, closing, done = DrainPhase.DELAY, DrainPhase.GAMES, DrainPhase.CLOSING, DrainPhase.DONE
        assert seen.phases == [(delay, 2), (games, 2), (closing, 2), (done, 0)]


@without_waiting
async def test_a_log_that_does_not_answer_is_asked_once_and_not_waited_for_again() -> None:
    async with running(log := SilentLog(), now=loop_ms, leave_timeout_s=3) as one:
        await one.hub.log_health.wait_reached()
        before = loop_ms()
        await drain_of(one, Phases()).run()
        await one.hub.close()
        assert loop_ms() - before == 3_000
        assert log.asked == ["withdraw", "abandon"]


@without_waiting
async def test_readiness_fails_before_anybody_is_refused() -> None:
    async with running(now=loop_ms) as one:
        draining = asyncio.create_task(drain_of(one, Phases(), drain_delay_s=5).run())
        await asyncio.sleep(4)
        assert (one.hub.draining, one.hub.accepting) == (True, True)
        await asyncio.sleep(2)
        assert (one.hub.draining, one.hub.accepting) == (True, False)
        await draining


@without_waiting
async def test_a_race_that_is_about_to_end_ends_first() -> None:
    async with running(now=loop_ms, finished_linger_s=0) as one:
        await one.race("ann", time_limit_ms=10_000)
        await drain_of(one, Phases(), drain_game_wait_s=30, drain_delay_s=0).run()
        one.peers["ann"].assert_sent("game_finished", "disconnect", "close frame")
        one.peers["ann"].assert_closed(Close.NORMAL)


@without_waiting
async def test_a_race_that_would_last_longer_is_not_waited_for() -> None:
    async with running(now=loop_ms) as one:
        await one.race("ann", time_limit_ms=600_000)
        before = loop_ms()
        await drain_of(one, Phases(), drain_game_wait_s=30, drain_delay_s=0, drain_spread_s=0).run()
        assert loop_ms() - before < 1_000
        one.peers["ann"].assert_closed(Close.DRAINING)


@without_waiting
async def test_those_end_first_whose_end_disturbs_least() -> None:
    async with running(now=loop_ms) as one:
        await one.race("ann", time_limit_ms=600_000)
        await one.game("bob", min_players=9)
        draining = asyncio.create_task(
            drain_of(one, Phases(), drain_delay_s=0, drain_game_wait_s=0, drain_spread_s=10).run()
        )
        await asyncio.sleep(4)
        one.peers["bob"].assert_closed(Close.DRAINING)
        assert one.peers["ann"].is_open
        await draining
        one.peers["ann"].assert_closed(Close.DRAINING)


@without_waiting
async def test_a_second_signal_waits_for_nothing() -> None:
    async with running(now=loop_ms) as one:
        await one.race("ann", time_limit_ms=20_000)
        drain = drain_of(one, Phases(), drain_delay_s=5, drain_game_wait_s=30, drain_spread_s=10)
        before = loop_ms()
        draining = asyncio.create_task(drain.run())
        await asyncio.sleep(1)
        drain.hurry()
        await draining
        assert loop_ms() - before < 2_000
        one.peers["ann"].assert_closed(Close.DRAINING)


@without_waiting
async def test_where_others_take_over_all_come_back_within_a_second() -> None:
    async with running(now=loop_ms) as one:
        await one.game("ann", min_players=9)
        await drain_of(one, Phases(), lone=False, drain_delay_s=0, drain_spread_s=0).run()
        assert one.peers["ann"].last("disconnect")["retry_after_ms"] <= 1_000


@without_waiting
async def test_a_lone_replica_has_everybody_come_back_once_it_is_there_again() -> None:
    async with running(now=loop_ms) as one:
        await one.game("ann", min_players=9)
        await drain_of(one, Phases(), drain_delay_s=0, drain_spread_s=4, restart_hint_s=3).run()
        assert one.peers["ann"].last("disconnect")["retry_after_ms"] >= 3_000


@pytest.mark.parametrize("hurried", [False, True])
@without_waiting
async def test_who_is_refused_by_a_lone_replica_is_told_a_time_at_which_it_is_back(hurried: bool) -> None:
    async with running(now=loop_ms) as one:
        await one.game("ann", "bob", min_players=9)
        plan: dict[str, Any] = {"drain_delay_s": 0, "drain_spread_s": 20, "scrape_wait_s": 10, "restart_hint_s": 3}
        drain = drain_of(one, Phases(), scrapes=lambda: 1, **plan)
        draining = asyncio.create_task(drain.run())
        told: list[tuple[int, int]] = []
        while not draining.done():
            await asyncio.sleep(1)
            told.append((loop_ms(), one.hub.back_in_ms()))
            if hurried and len(told) == 3:
                drain.hurry()
        assert one.hub.accepting is False
        waits = [wait for _, wait in told]
        if hurried:
            told = told[3:]
        else:
            assert len(told) > 15
        assert all(moment + wait >= told[-1][0] + 2_000 for moment, wait in told), "not before it is there again"
        assert max(waits) < 1000 * (20 + 5 + 10 + 3 + 20 + 11), "nor long after it"
        assert len({one.hub.back_in_ms() // 1000 for _ in range(200)}) >= 4, "each a time of their own"


@without_waiting
async def test_who_is_refused_where_others_take_over_is_told_a_few_seconds() -> None:
    async with running(now=loop_ms) as one:
        drain = drain_of(one, Phases(), lone=False, drain_delay_s=0, drain_game_wait_s=600)
        await drain.run()
        waits = [one.hub.back_in_ms() for _ in range(200)]
        assert 1_000 <= min(waits) < max(waits) <= 5_000
        assert len({wait // 1000 for wait in waits}) >= 4


@without_waiting
async def test_the_last_figures_are_scraped_before_it_ends() -> None:
    async with running(now=loop_ms) as one:
        scrapes = 1
        drain = drain_of(one, Phases(), scrapes=lambda: scrapes, drain_delay_s=0, drain_spread_s=0, scrape_wait_s=20)
        draining = asyncio.create_task(drain.run())
        await asyncio.sleep(10)
        assert not draining.done()
        scrapes = 2
        await asyncio.sleep(1)
        assert draining.done()


@pytest.mark.parametrize("shared", [True, False])
@without_waiting
async def test_an_embedded_log_is_not_told_of_ends_while_draining(shared: bool) -> None:
    """Its players get their grace at the next start."""
    log = MemoryEventLog()
    log.shared = log.coordination.shared = shared
    async with running(log, now=loop_ms) as one:
        await one.hub.log_health.wait_reached()
        state = await one.game("ann", "bob", min_players=9)
        one.hub.draining = True
        one.peers["bob"].end(Close.LOST, Initiator.NETWORK)
        await asyncio.sleep(1)
        events = await one.hub.rooms.events(state.game_id)
        assert ("PlayerDisconnected" in [type(event).__name__ for event in events]) is shared
