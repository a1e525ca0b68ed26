"""The pace of a game: how fast what is stored, and sent to everybody in it, may come about.

A message of 40 bytes that leads to an event for all costs their number; so does coming in, which also costs whoever
comes a snapshot and what they missed. Each player has a rate of their own, so that nobody uses up the others', and the
game has one for all of it. Nothing is refused that nobody asked for: verdicts, deadlines, the end of a connection.
"""

import math
import random
import time
from typing import Final

from app.rate_limits import LimitPolicy, RatePerKey, TooFast
from app.settings import LimitSettings
from app.vocabulary import LimitScope

EVENTS: Final = 2
"""What a player does leads to so many events at most: ready and a countdown, code and its verdict, here and gone."""


class Pace:
    """Holds the rates of all games on this replica, each by itself, whether or not it is loaded.

    `limits` and `policy` are those of all else that is bounded in a game too.
    """

    def __init__(self, limits: LimitSettings, policy: LimitPolicy) -> None:
        self.limits = limits
        self.policy = policy
        self._commands = RatePerKey(limits.commands_per_second, limits.command_burst)
        self._entries = RatePerKey(limits.entries_per_minute / 60, limits.entry_burst)
        self._deliveries = RatePerKey(limits.event_deliveries_per_second, limits.event_delivery_burst)

    def take_command(self, game_id: str, player_id: str, members: int) -> None:
        """Count a command of a player, which leads to an event for so many members. Raises TooFast."""
        wait_s = self._commands.take(f"{game_id} {player_id}", time.monotonic())
        self._refuse(LimitScope.COMMANDS, wait_s, player_id)
        self.take_deliveries(game_id, player_id, members)

    def take_entry(self, game_id: str, player_id: str, client: str) -> None:
        """Count an entry of a player, before anything is read of the game. Raises TooFast."""
        wait_s = self._entries.take(f"{game_id} {player_id}", time.monotonic())
        self._refuse(LimitScope.ENTRIES, wait_s, player_id, client)

    def look(self, game_id: str, player_id: str, client: str) -> None:
        """Refuse an entry that would be refused, without taking it. Raises TooFast."""
        wait_s = self._entries.look(f"{game_id} {player_id}", time.monotonic())
        self._refuse(LimitScope.ENTRIES, wait_s, player_id, client)

    def take_deliveries(
        self, game_id: str, player_id: str, members: int, missed: int = 0, client: str | None = None
    ) -> None:
        """Count that so many members are sent what a player does, who is sent so many missed events. Raises TooFast."""
        cost = min(EVENTS * members + missed, self.limits.event_delivery_burst)
        wait_s = self._deliveries.take(game_id, time.monotonic(), cost)
        if wait_s:  # the others wait too: they come back one after the other, as fast as there is room for them
            spread_s = EVENTS * members**2 / self.limits.event_deliveries_per_second
            wait_s += random.uniform(0, spread_s)  # noqa: S311 - jitter
        self._refuse(LimitScope.EVENT_DELIVERIES, wait_s, player_id, client)

    def _refuse(self, scope: LimitScope, wait_s: float, player_id: str, client: str | None = None) -> None:
        wait_ms = math.ceil(wait_s * 1000)
        if wait_ms and self.policy.refuses(scope, wait_ms, player_id=player_id, client=client):
            raise TooFast(wait_s)
