"""The table: every hostile input there is."""

import datetime as dt
from typing import Final

from tests.attack.inputs import doors, http, judge, rooms, wire
from tests.attack.model import Attack

ATTACKS: Final[tuple[Attack, ...]] = (
    *http.ATTACKS,
    *wire.ATTACKS,
    *judge.ATTACKS,
    *rooms.ATTACKS,
    *doors.ATTACKS,
)
SLICES: Final = 8


def slice_of(day: dt.date) -> tuple[Attack, ...]:
    """The long ones of a day: each within `SLICES` days."""
    long = [one for one in ATTACKS if not one.is_quick]
    return tuple(long[day.toordinal() % SLICES :: SLICES])


def quick() -> tuple[Attack, ...]:
    """Those of every day."""
    return tuple(one for one in ATTACKS if one.is_quick)
