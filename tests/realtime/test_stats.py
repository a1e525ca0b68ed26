"""What is kept of each connection says what it did, and takes little room."""

import random
import tracemalloc
from statistics import quantiles

import pytest

from app.protocol import Close
from app.realtime.connection.outbox import Outbox, Outboxes
from app.realtime.connection.stats import ConnectionStats
from app.telemetry.observer import Observer, Opened
from app.vocabulary import Initiator
from tools.harness.hubs import Peer

MOST_BYTES = 700
"""Of the round trips of a connection that is pinged for as long as it is remembered."""


def measured(stats: ConnectionStats) -> tuple[float | None, float | None]:
    """The median and the 95th percentile of a connection's record."""
    outbox = Outbox(Peer(), Outboxes(Observer(), 1, 1), lambda _: None)
    ended = Close.NORMAL, Initiator.CLIENT, 0
    closed = stats.closed(Opened("c1", "game", None, "127.0.0.1"), None, ended, "", outbox, None)
    return closed.rtt_p50_s, closed.rtt_p95_s


@pytest.mark.parametrize("count", [2, 63, 64, 65, 200])
def test_of_the_round_trips_the_last_64_count_exactly(count: int) -> None:
    stats, chosen = ConnectionStats(), random.Random(count)  # noqa: S311 - any numbers
    took = [chosen.uniform(0, 60) for _ in range(count)]
    for one in took:
        stats.measured(one)
    cuts = quantiles(took[-64:], n=20, method="inclusive")
    assert measured(stats) == (cuts[9], cuts[18])
    assert stats.rtt_s == took[-1]


def test_round_trips_take_little_room() -> None:
    stats = ConnectionStats()
    tracemalloc.start()
    try:
        for number in range(200):
            stats.measured(number / 7)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < MOST_BYTES
