"""A ping is answered in one step where it is usual: it is answered and counted as it is the usual way."""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from app.protocol import PongData, encode_message, pong
from app.rate_limits import LimitPolicy
from app.realtime.connection.inbox import LARGEST_TIMESTAMP, Inbox
from app.realtime.connection.registry import Connections
from app.realtime.identity import Identity
from app.settings import load_settings
from app.telemetry.metrics import MetricStore
from app.telemetry.observer import Opened
from app.telemetry.recorder import Recorder
from tools.harness.hubs import Peer
from tools.harness.server import SECRET, samples

NOW = 1_764_309_383_000
WHOLE = st.integers(-LARGEST_TIMESTAMP, LARGEST_TIMESTAMP)
PINGS = st.fixed_dictionaries(
    {"timestamp": WHOLE | st.integers() | st.floats(allow_nan=False, allow_infinity=False)},
    optional={"rtt_ms": st.integers(-1, 600_000)},
)
SETTINGS = load_settings(jwt_secret=SECRET, event_log_url="memory:", messages_per_second=0.0015, message_burst=50)
ECHO = Inbox._echo
Said = list[tuple[dict[str, Any], bool]]


async def nobody(token: str) -> Identity:
    """No ping brings a token."""
    raise AssertionError(token)


async def answers(pings: Said, *, is_blocked: bool) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """What a connection is sent that says these (some with an id), in bytes too, and what was counted."""
    recorder = Recorder(MetricStore())
    connections = Connections(SETTINGS, nobody, LimitPolicy(frozenset(), recorder), lambda: NOW, lambda _: None)
    peer, room = Peer(), SimpleNamespace()
    session = connections.open(Opened("c1", "game", None, "127.0.0.1"), peer)
    session.join(Identity("ann", "Ann", 2e12), room)  # of which no ping asks anything
    session.begin()
    session.inbox.quota.take_many(time.perf_counter(), 0, 45)  # five more may come
    if is_blocked:
        peer.is_writable = False
        session.on_blocked()
    for data, has_id in pings:
        session.on_text(json.dumps({"type": "ping", "data": data, **({"id": "m1"} if has_id else {})}).encode())
    peer.is_writable = True
    session.on_writable()
    counted = samples(recorder.store.render("")[0].decode())
    told = [
        {"type": one["type"]} if one["type"] == "error" else {**one, "wire": wire}  # an error says how long to wait
        for one, wire in zip(peer.messages, peer.written, strict=True)
    ]
    return told, {key: value for key, value in counted.items() if "seconds" not in key or "seconds_count" in key}


@given(st.lists(st.tuples(PINGS, st.booleans()), max_size=8), st.booleans())
@example([({"timestamp": 1}, False), ({"timestamp": 10**40}, False), ({"timestamp": 2, "rtt_ms": 3}, False)], False)
def test_it_is_answered_and_counted_as_the_usual_way(pings: Said, is_blocked: bool) -> None:
    short = asyncio.run(answers(pings, is_blocked=is_blocked))
    with patch.object(Inbox, "_echo", lambda *_: False):
        usual = asyncio.run(answers(pings, is_blocked=is_blocked))
    assert short[0] == usual[0]
    assert {key: (short[1][key], value) for key, value in usual[1].items() if short[1][key] != value} == {}


@given(WHOLE, st.integers(0, 2**53))
def test_a_prepared_answer_is_the_one_that_would_be_encoded(timestamp: int, server_time: int) -> None:
    assert pong(timestamp, server_time) == encode_message(PongData(timestamp, server_time))


def test_the_usual_one_is_taken_in_one_step() -> None:
    taken: list[bool] = []

    def echo(*arguments: Any) -> bool:
        taken.append(ECHO(*arguments))
        return taken[-1]

    with patch.object(Inbox, "_echo", echo):
        asyncio.run(answers([({"timestamp": NOW}, False), ({"timestamp": 1, "rtt_ms": 4}, False)], is_blocked=False))
    assert taken == [True, True]
