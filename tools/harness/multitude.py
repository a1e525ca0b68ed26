"""A service that seems to have a hundred thousand connections more: they are made up, what shows them is not.

It is run as the program is: `python -m tools.harness.multitude serve`.
"""

import sys
from collections.abc import Iterator
from itertools import chain
from types import SimpleNamespace
from typing import Any, Final

from app import __main__ as program
from app.realtime.connection.registry import Connections
from app.telemetry.observer import Opened

SIZE: Final = 100_000
_GAMES: Final = 1_000
_BEHIND_EACH: Final = 500
"""One in so many is behind with its messages; the others are as one is who plays."""


class MadeUp(SimpleNamespace):
    """Has what the console reads of a session, and is itself alone, as one is."""

    __hash__ = object.__hash__  # type: ignore[assignment] # which it has not, as it is compared by what it has


def made_up(number: int, idle: SimpleNamespace) -> MadeUp:
    """Make one; of the figures of one who is idle only the outbox may be another."""
    opened = Opened(
        f"made-up-{number}",
        f"00000000-0000-4000-8000-{number % _GAMES:012d}",
        f"player-{number}",
        f"198.51.100.{number % 250}",
        release="code-racer-page/1.0.0",
    )
    is_behind = number % _BEHIND_EACH == 0
    return MadeUp(
        connection_id=opened.connection_id,
        player_id=opened.player_id,
        opened=opened,
        link=None,
        is_open=True,
        has_joined=False,
        stats=idle.stats,
        outbox=SimpleNamespace(**vars(idle.outbox) | {"bytes": number}) if is_behind else idle.outbox,
    )


def multitude() -> list[MadeUp]:
    """Make all of them; most share their figures."""
    stats = {"started": 0.0, "messages_in": 9, "bytes_in": 900, "errors": 0, "last_error": None, "rtt_s": 0.02}
    outbox = {"bytes": 0, "deepest": 0, "discarded": 0, "messages_out": 90, "bytes_out": 9_000}
    idle = SimpleNamespace(stats=SimpleNamespace(**stats), outbox=SimpleNamespace(**outbox))
    return [made_up(number, idle) for number in range(SIZE)]


def main() -> int:
    """Run the program with the multitude among its connections, wherever these are counted or walked over."""
    them, walk, count = multitude(), Connections.__iter__, Connections.__len__

    def walk_all(connections: Connections) -> Iterator[Any]:
        return chain(walk(connections), them)

    Connections.__iter__ = walk_all  # type: ignore[method-assign] # it stands in for a multitude
    Connections.__len__ = lambda connections: count(connections) + SIZE  # type: ignore[method-assign]
    return program.main()


if __name__ == "__main__":
    sys.exit(main())
