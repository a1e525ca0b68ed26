"""How the service stops."""

from dataclasses import dataclass
from typing import Final

from pydantic import Field

from app.settings.section import Section


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """The times of a drain, in seconds; see the settings of the same names."""

    delay_s: float
    game_wait_s: float
    spread_s: float
    close_timeout_s: float
    scrape_wait_s: float
    leave_timeout_s: float
    restart_hint_s: float
    flush_timeout_s: float

    @property
    def longest_s(self) -> float:
        """From SIGTERM to the end, at most; a pod's grace period must be longer."""
        closing_s = self.spread_s + 3 * self.close_timeout_s
        ending_s = self.scrape_wait_s + self.leave_timeout_s + self.flush_timeout_s
        return self.delay_s + self.game_wait_s + closing_s + ending_s


PATIENT: Final = DrainPlan(5, 20, 15, 0, 15, 0, 0, 0)
QUICK: Final = DrainPlan(0, 0, 0, 0, 0, 0, 0, 0)


class ShutdownSettings(Section):
    """The phases of a drain. Those that are not set depend on the environment."""

    drain_delay_s: float | None = Field(
        None, ge=0, description="SIGTERM: go on accepting so long; 5 in production, else 0"
    )
    drain_game_wait_s: float | None = Field(
        None, ge=0, description="then let games near their end finish within this; 20 in production, else 0"
    )
    drain_spread_s: float | None = Field(
        None, ge=0, description="then end the connections evenly over this; 15 in production, else 0"
    )
    scrape_wait_s: float | None = Field(
        None, ge=0, description="then wait for a last scrape so long; 15 in production, else 0"
    )
    leave_timeout_s: float = Field(
        1.0,
        gt=0,
        description="wait for the event log to tell the others of the end; else they see it after REPLICA_TTL_S",
    )
    restart_hint_s: float = Field(2.0, ge=0, description="a lone replica is back so long after it has stopped")
