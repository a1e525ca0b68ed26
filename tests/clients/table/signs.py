"""Rows about what the platform says: the network is back, the page is shown again, the machine has slept."""

from typing import Final

from tests.clients.table.calls import AROUND_A_CUT
from tests.clients.table.ends import PROBLEM
from tests.clients.table.row import BROWSER, Row

SLEPT: Final = "jump"
"""Of the clock, over the machine's sleep."""

SIGNS = (
    *(
        Row(
            f"{sign} ends the wait",
            f"connect, welcome, cut, retry, {sign}, open, disconnect, closed",
            AROUND_A_CUT,
            more={"waits_stay": True},
            only=None if sign == SLEPT else BROWSER,
        )
        for sign in ("online", "pageshow", "show", SLEPT)
    ),
    *(
        Row(
            f"{sign} has an open connection looked at",
            f"connect, open, pong, {sign}, pong, disconnect, closed",
            "connecting open closed",
            only=BROWSER,
        )
        for sign in ("online", "pageshow", "show", SLEPT)
    ),
    Row(
        "a connection that has died in the machine's sleep is noticed after it, long before the next ping",
        f"connect, open, pong, freeze, {SLEPT}, retry, open, disconnect, closed",
        AROUND_A_CUT,
        options={"pong_timeout_s": 1},
    ),
    *(
        Row(
            f"{sign} in an attempt that comes to nothing has the next made at once, and no more than that one",
            f"swallow, connect, connecting, {sign}, refuse, retry, retry, disconnect, closed",
            "connecting waiting retry connecting waiting retry closed",
            options={"open_timeout_s": 0.2},
            more={"waits_stay": True},
            expected={"sockets": 2},
            only=None if sign == SLEPT else BROWSER,
        )
        for sign in ("online", "pageshow", "show", SLEPT)
    ),
    Row(
        "that the network is gone is told at once, and costs no try",
        "connect, welcome, offline, waiting, retry, online, open, disconnect, closed",
        AROUND_A_CUT,
        more={"waits_stay": True},
        expected={"sockets": 2, "attempts": [0]},
        only=BROWSER,
    ),
    Row(
        "to be hidden ends no wait",
        "connect, welcome, cut, retry, hide, disconnect, closed",
        "connecting open waiting retry closed",
        more={"waits_stay": True},
        only=BROWSER,
    ),
    Row(
        "what the server asked to wait is waited",
        "connect, retry, online, disconnect, closed",
        "connecting waiting retry closed",
        more={
            "waits_stay": True,
            "answer": ["503 x", PROBLEM, '{"status": 503, "reason": "draining", "retry_after_ms": 60000}'],
        },
        expected={"attempts": [0]},
        only=BROWSER,
    ),
)
