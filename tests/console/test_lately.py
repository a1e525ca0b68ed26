"""What is kept of what was: how connections ended, and which messages were slow."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.console.ends import KEPT, KEPT_OF_A_PLAYER, MOST_PLAYERS, Ends
from app.console.slowest import KEPT as KEPT_SLOW
from app.console.slowest import Slowest
from app.protocol import Close
from app.telemetry.metrics import MetricStore
from app.telemetry.observer import Closed, MessageTrail, Opened
from app.telemetry.recorder import Recorder
from app.telemetry.tracer import Handshake, Link, Value
from app.vocabulary import HandshakeOutcome, HttpRejection, Initiator, MessageOutcome

OPENED = Opened("c1", "g1", "ann", "10.0.0.1")


class Sampled:
    """The span of a message that is traced."""

    trace_id = traceparent = "0" * 32

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Nothing."""

    def delivery(self, link: Link | None, attributes: Mapping[str, Value]) -> "Sampled":
        raise AssertionError((link, attributes))

    def end(self, fault: str = "", ended: float | None = None) -> None:
        """Nothing."""


def closed(player_id: str | None = "ann", **other: Any) -> Closed:
    nothing: dict[str, Any] = dict.fromkeys(Closed.__struct_fields__, 0)
    known = {"connection_id": "c1", "game_id": "g1", "client": "10.0.0.1", "row": Close.SLOW_CONSUMER}
    last = {"initiator": Initiator.SERVER, "duration_s": 1.5, "release": "browser", "trace_id": None, "resume": None}
    return Closed(**nothing | known | last | {"player_id": player_id} | other)


def test_an_end_says_why_and_whose_it_was() -> None:
    ends = Ends()
    ends.closed(closed())
    (end,) = ends.last()
    assert (end.kind, end.code, end.reason, end.initiator) == ("close", 4430, "slow_consumer", "server")
    assert (end.player_id, end.address, end.duration_s) == ("ann", "10.0.0.1", 1.5)
    assert end.detail == Close.SLOW_CONSUMER.when


def test_an_end_has_the_words_that_were_sent_and_the_replica_that_sent_them() -> None:
    ends = Ends()
    ends.replica = "one"
    ends.closed(closed(said="an operator has closed this connection"))
    ends.refused("unauthorized", 401, "no token", "10.0.0.1")
    assert [(end.detail, end.replica) for end in ends.last()] == [
        ("no token", "one"),
        ("an operator has closed this connection", "one"),
    ]


def test_a_flood_of_refusals_pushes_out_no_close() -> None:
    ends = Ends()
    ends.closed(closed())
    for number in range(3 * KEPT):
        ends.refused("unauthorized", 401, "no token", f"10.0.{number}.1")
    listed = ends.last(10 * KEPT)
    assert len(listed) == KEPT + 1
    assert [end.kind for end in listed].count("close") == 1
    assert [end.at for end in listed] == sorted((end.at for end in listed), reverse=True)


def test_a_player_is_remembered_when_others_have_pushed_her_out_of_the_last() -> None:
    ends = Ends()
    for _ in range(2 * KEPT_OF_A_PLAYER):
        ends.closed(closed())
    for number in range(MOST_PLAYERS - 1):
        ends.closed(closed(f"p{number}"))
    assert not [end for end in ends.last() if end.player_id == "ann"]
    assert len(ends.of_player("ann")) == KEPT_OF_A_PLAYER
    ends.closed(closed("one too many"))
    assert ends.of_player("ann") == [], "so many players are remembered, the last ones"
    assert ends.of_player("p0"), "and the others stay"


def test_who_comes_again_and_whose_connections_err_is_counted() -> None:
    ends = Ends()
    for _ in range(3):
        ends.closed(closed(errors=2))
    ends.refused("malformed", 400, "no HTTP", "2001:db8::1")
    ends.refused("malformed", 400, "no HTTP", "2001:db8::2")
    players, addresses = ends.came_again
    assert players.now.top(5) == [("ann", (3, 0))]
    assert addresses.now.top(5) == [("10.0.0.1", (3, 0))]
    assert ends.errors.now.top(5) == [("10.0.0.1", (6, 0))]
    assert ends.refusals.now.top(5) == [("2001:db8::/64", (2, 0))], "a household is one"


def test_the_recorder_tells_of_closes_and_of_refusals_of_each_kind() -> None:
    recorder = Recorder(MetricStore())
    recorder.closed(closed())
    refused = Handshake(0.0, 1.0, HandshakeOutcome.GAME_FULL, 409, "10.0.0.2", "full", "g1", None, "bob")
    recorder.handshake(refused)
    recorder.handshake(Handshake(0.0, 1.0, HandshakeOutcome.ACCEPTED, 101, "10.0.0.3"))
    recorder.handshake_refused(HandshakeOutcome.BAD_REQUEST, 400, "no key", "10.0.0.4")
    recorder.http_rejected(HttpRejection.UNREAD, None, "not taken", "10.0.0.5")
    told = {(end.reason, end.code, end.address) for end in recorder.lately.ends.last()}
    assert told == {
        ("slow_consumer", 4430, "10.0.0.1"),
        ("game_full", 409, "10.0.0.2"),
        ("bad_request", 400, "10.0.0.4"),
        ("unread", None, "10.0.0.5"),
    }
    (of_bob,) = recorder.lately.ends.of_player("bob")
    assert (of_bob.detail, of_bob.game_id) == ("full", "g1")


def test_only_messages_over_the_threshold_are_kept_and_of_them_the_slowest() -> None:
    recorder = Recorder(MetricStore())
    recorder.slow_s = 10.0
    recorder.answered("ping", MessageOutcome.OK, MessageTrail(arrived=1e12), OPENED)
    recorder.answered("ping", MessageOutcome.OK, MessageTrail(arrived=1e12, span=Sampled()), OPENED)
    assert recorder.lately.slowest.rows() == [], "one that is traced is not slow for that"
    recorder.answered("ready", MessageOutcome.OK, MessageTrail(arrived=-100.0), OPENED)
    (slow,) = recorder.lately.slowest.rows()
    assert (slow.type, slow.outcome, slow.connection_id, slow.player_id) == ("ready", "ok", "c1", "ann")
    assert slow.duration_s > 100


@pytest.mark.parametrize("step", [1, -1])
def test_the_slowest_fifty_are_kept_in_whatever_order_they_come(step: int) -> None:
    slowest = Slowest()
    for number in range(3 * KEPT_SLOW)[::step]:
        slowest.add("ready", "ok", float(number), OPENED, None)
    rows = [row.duration_s for row in slowest.rows()]
    assert rows == [float(number) for number in reversed(range(2 * KEPT_SLOW, 3 * KEPT_SLOW))]
