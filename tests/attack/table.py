"""The table: every hostile input there is."""

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
