"""The drain: how a replica goes away without anybody losing a race or everybody coming back at once.

Readiness fails at once while connections are still taken (endpoints catch up); then new ones are refused, games
near their end finish, connections end evenly spread, each with its own time to come back, and a last scrape
reads the final figures. A second signal hurries: nothing is waited for but the peers' close frames.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from app.protocol import Close
from app.rate_limits import BUSY_RETRY_S, spread_ms
from app.realtime.hub import Hub
from app.settings import DrainPlan
from app.telemetry.observer import Observer
from app.vocabulary import DrainPhase

HANDOVER_JITTER_S: Final = 1.0
"""Where others take over at once, the players come back within this, beside the spread of the closes."""
RETURN_SPREAD_S: Final = 1.0
"""Where none does, over this at the least."""
SCRAPE_POLL_S: Final = 0.05


class Drain:
    """Takes a hub out of service, once.

    `scrapes` counts scrapes so far; `lone` where no other replica takes the players over.
    """

    def __init__(
        self, hub: Hub, plan: DrainPlan, observer: Observer, scrapes: Callable[[], int], *, lone: bool
    ) -> None:
        self._hub = hub
        self._plan = plan
        self._observer = observer
        self._scrapes = scrapes
        self._lone = lone
        self._hurried = asyncio.Event()
        self._time = asyncio.get_running_loop().time
        self._phase = DrainPhase.DELAY
        self._phase_began = self._time()

    @property
    def phase(self) -> DrainPhase:
        """Where it is."""
        return self._phase

    @property
    def is_hurried(self) -> bool:
        """Whether a second signal came."""
        return self._hurried.is_set()

    def hurry(self) -> None:
        """Wait for nothing any more."""
        self._hurried.set()

    async def run(self) -> None:
        """Drain; the process may stop when it returns."""
        await self.empty()
        if scraped := self._scrapes():
            self._enter(DrainPhase.SCRAPE)
            await self._wait_for_scrape(scraped)
        await self._hub.leave()
        self._enter(DrainPhase.DONE)

    async def empty(self) -> None:
        """Have all connections go elsewhere; the replica stays, and serves again with `resume`, also before the end."""
        hub, plan = self._hub, self._plan
        hub.draining = True
        self._enter(DrainPhase.DELAY)
        await self._wait(plan.delay_s)
        hub.accepting, hub.back_in_ms = False, self.back_in_ms
        self._enter(DrainPhase.GAMES, games=len(hub.rooms.ending_within(plan.game_wait_s)))
        await self._wait_for_games()
        self._enter(DrainPhase.CLOSING)
        await self._close_all()

    def resume(self) -> None:
        """Take connections again: whoever called `empty` has ended it."""
        self._hub.serve()

    def back_in_ms(self) -> int:
        """Choose when one who is refused comes again: soon where others take over, else once this replica is back."""
        if not self._lone:
            return spread_ms(*BUSY_RETRY_S)
        back_s = self._left_s() + self._plan.restart_hint_s
        return spread_ms(back_s, back_s + self._spread_s)

    @property
    def _spread_s(self) -> float:
        """Over how long all come back to a lone replica."""
        return max(self._plan.spread_s, self._plan.restart_hint_s, RETURN_SPREAD_S)

    def _left_s(self) -> float:
        """Tell how long the drain lasts yet, at the most: who comes to a lone replica sooner finds nobody."""
        plan = self._plan
        if self.is_hurried:
            return plan.close_timeout_s
        lasts = {
            DrainPhase.DELAY: plan.delay_s,
            DrainPhase.GAMES: plan.game_wait_s,
            DrainPhase.CLOSING: plan.spread_s + plan.close_timeout_s,
            DrainPhase.SCRAPE: plan.scrape_wait_s if self._scrapes() else 0.0,
            DrainPhase.DONE: plan.flush_timeout_s,
        }
        to_come = list(lasts.values())[list(lasts).index(self._phase) :]
        return max(0.0, sum(to_come) - (self._time() - self._phase_began))

    def _enter(self, phase: DrainPhase, **details: float) -> None:
        self._phase, self._phase_began = phase, self._time()
        self._hub.drain_phase = phase
        self._observer.draining(phase, len(self._hub.connections), **details)

    async def _wait(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._hurried.wait()

    async def _wait_for_games(self) -> None:
        """Let the games finish that will within the time; the others end with their connections."""
        deadline = self._time() + self._plan.game_wait_s
        while (left_s := deadline - self._time()) > 0 and not self.is_hurried:
            if not self._hub.rooms.ending_within(left_s):
                return
            self._hub.rooms.something_ended.clear()
            watched = [
                asyncio.ensure_future(event.wait()) for event in (self._hub.rooms.something_ended, self._hurried)
            ]
            await asyncio.wait(watched, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for waiting in watched:
                waiting.cancel()

    async def _close_all(self) -> None:
        sessions = self._hub.connections.closing_order(self._hub.membership.closing_ranks())
        begin = self._time()
        for number, session in enumerate(sessions):
            if session.ended is None:
                await self._wait(begin + self._plan.spread_s * number / len(sessions) - self._time())
                with self._hub.bulkhead:
                    session.close(Close.DRAINING, retry_after_ms=self._retry_after_ms(begin))
        await self._hub.connections.wait_empty(self._plan.close_timeout_s)

    def _retry_after_ms(self, begin: float) -> int:
        """Choose when a client comes back: soon where other replicas are, else spread, once this one is back."""
        if not self._lone:
            return spread_ms(0, HANDOVER_JITTER_S)
        plan = self._plan
        gone = begin + (0 if self.is_hurried else plan.spread_s + (plan.scrape_wait_s if self._scrapes() else 0))
        back_s = max(0.0, gone - self._time()) + plan.restart_hint_s
        return spread_ms(back_s, back_s + self._spread_s)

    async def _wait_for_scrape(self, seen: int) -> None:
        """Wait until the last figures are read once more, where anybody reads them at all."""
        deadline = self._time() + self._plan.scrape_wait_s
        while self._scrapes() == seen and self._time() < deadline and not self.is_hurried:
            await self._wait(min(SCRAPE_POLL_S, self._plan.scrape_wait_s))
