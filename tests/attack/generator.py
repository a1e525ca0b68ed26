"""Runs one attack: ``python -m tests.attack.generator ID``.

It is told where by a line, begins at the next, and ends with the third.

Between its answer and the third line its sockets stay as they are.
"""

import inspect
import json
import resource
import sys

from tests.attack.fight import Fight
from tests.attack.model import Aim
from tests.attack.table import ATTACKS


def main() -> None:
    """Run it."""
    attack = next(one for one in ATTACKS if one.id == sys.argv[1])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    aim = Aim(**json.loads(sys.stdin.readline()))
    fight = Fight(attack, aim)
    acting = attack.act(fight) if inspect.isgeneratorfunction(attack.act) else None
    if acting is not None:
        next(acting)
    _say({"ready": True})
    sys.stdin.readline()
    fight.begin()
    for _ in acting if acting is not None else attack.act(fight) or ():
        pass
    tally = fight.tally
    seen = {name: number for name, number in tally.seen.items() if number}
    _say({"seen": seen, "sent": tally.sent, "pieces": tally.pieces, "opened": tally.opened})
    sys.stdin.readline()


def _say(document: object) -> None:
    print(json.dumps(document), flush=True)  # noqa: T201 - how its starter gets to know


if __name__ == "__main__":
    main()
