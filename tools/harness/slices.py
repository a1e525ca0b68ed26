"""Which part of a long suite `make test` runs on a day; within a known number of days it runs every part.

``DAY=2026-11-24 make test`` runs the parts of that day again.
"""

import datetime as dt
import os
from collections.abc import Sequence
from typing import Final, TypeVar

Part = TypeVar("Part")

ATTACK_DAYS: Final = 20
DRILL_DAYS: Final = 20
BENCH_DAYS: Final = 14
CLIENT_DAYS: Final = 7


def today() -> dt.date:
    """The day whose parts are run: DAY, or this one."""
    return dt.date.fromisoformat(os.environ.get("DAY") or dt.datetime.now(dt.UTC).date().isoformat())


def seed() -> int:
    """The number from which the random tests of the day begin."""
    return today().toordinal()


def slice_of(whole: Sequence[Part], days: int, day: dt.date) -> tuple[Part, ...]:
    """The parts of a day, where all are run within so many days."""
    return tuple(whole[day.toordinal() % days :: days])


def days_of(whole: Sequence[Part], days: int) -> list[Part]:
    """All that is run within so many days from today on, in the order of the days."""
    return [part for number in range(days) for part in slice_of(whole, days, today() + dt.timedelta(days=number))]


def summary() -> str:
    """What of the long suites is run, in a line."""
    return (
        f"parts of {today()} (DAY): all attacks are run within {ATTACK_DAYS} days, all drills within {DRILL_DAYS},"
        f" all scenarios of the benchmark within {BENCH_DAYS}, all faults of clients within {CLIENT_DAYS};"
        f" chaos and fuzzing begin from {seed()}"
    )
