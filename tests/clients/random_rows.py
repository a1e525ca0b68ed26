"""Rows that nobody has thought of: calls, handlers and troubles of the network in any order, from a number."""

import random
from itertools import pairwise
from typing import Final

from tests.clients.stage import Told
from tests.clients.table.row import THROWN, Row

ALLOWED: Final = {
    "idle": {"connecting", "closed"},
    "connecting": {"open", "waiting", "closed"},
    "open": {"waiting", "reconnecting", "closed"},
    "waiting": {"connecting", "reconnecting", "closed"},
    "reconnecting": {"open", "waiting", "closed"},
    "closed": {"connecting"},
}
"""Which state may follow on which."""
_CALLS: Final = ("connect", "disconnect", "ask", "send", "ping", "jump")
_TROUBLES: Final = (
    "cut", "cut", "cut", "freeze", "refuse", "heal", "close 1002", "close 1000", "goodbye 4401", "come back",
)  # fmt: skip
_TWICE: Final = ("connect+disconnect", "disconnect+connect", "connect+connect", "connect+ask+disconnect", "send+ask")
_HEARD: Final = (
    "connecting", "open", "waiting", "reconnecting", "closed", "retry", "end", "welcome", "pong", "player_ready",
)  # fmt: skip
_ACTS: Final = ("throw", "reject", "never", "connect", "disconnect", "disconnect and connect", "request", "send")


def random_row(number: int) -> Row:
    """The row of a number: the same each time."""
    draw = random.Random(number)  # noqa: S311 - so that it can be played again
    steps = ["connect"] if draw.random() < 0.8 else []
    for _ in range(draw.randint(1, 9)):
        steps.append(draw.choice((*_CALLS, *_TROUBLES, *_TWICE)))
        if draw.random() < 0.6:
            steps.append("turn")
    handlers = {name: draw.choice(_ACTS) for name in draw.sample(_HEARD, draw.randint(0, 3))}
    return Row(
        f"random {number}",
        ", ".join(steps),
        handlers=handlers,
        options={"ping_interval_s": 1, "pong_timeout_s": 0.5},
        more={
            "is_random": True,
            "times": 2,
            "hears_faults": draw.choice(("yes", "no", "badly")),
            "metrics": draw.choice((None, "throw")),
            "auth": draw.choice(("subprotocol", "subprotocol", "ticket", "message", "query")),
        },
    )


def wrong_at_random(told: Told | None) -> list[str]:
    """In what a client does not end as it may."""
    if told is None or "heard" not in told:
        return [f"no end came: {told}"]
    states = ["idle", *(name for name in told["heard"] if name in ALLOWED)]
    found = [f"{one} after {before}" for before, one in pairwise(states) if one not in ALLOWED[before]]
    found += [f"{name}: {told[name]}" for name in ("left", "loose") if told[name]]
    found += [one for one in told["faults"] if THROWN not in one]
    if told["state"] != "closed":
        found.append(f"it ends {told['state']}")
    if told["seqs"] != sorted(set(told["seqs"])):
        found.append(f"events twice, or out of order: {told['seqs']}")
    return found
