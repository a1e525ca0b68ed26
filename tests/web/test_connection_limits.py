"""Limits on connecting, without sockets: what is counted, refused, and free again."""

from typing import Any

import pytest

from app.eventlog.embedded import MemoryCoordination
from app.rate_limits import LimitPolicy
from app.realtime.cluster.presence import Presence
from app.settings import load_settings
from app.telemetry.observer import Limited, Observer
from app.vocabulary import HandshakeOutcome, LimitScope
from app.web.error_answers import ErrorAnswer, RequestRefused
from app.web.handshake.connection_limits import ConnectionLimits
from tools.harness.server import SECRET

HERE, THERE = "192.0.2.1", "198.51.100.7"


class SeenLimits(Observer):
    """Keeps which limits were exceeded."""

    def __init__(self) -> None:
        self.limits: list[Limited] = []

    def limited(self, limited: Limited) -> None:
        self.limits.append(limited)


def unexpected(*_: object) -> None:
    raise AssertionError


def limits(
    seen: SeenLimits | None = None, dry_run: frozenset[LimitScope] = frozenset(), **settings: Any
) -> ConnectionLimits:
    players, addresses = (Presence(MemoryCoordination(), "here", lambda _: True, unexpected) for _ in range(2))
    policy = LimitPolicy(dry_run, seen or SeenLimits())
    chosen = load_settings(environment="production", jwt_secret=SECRET, **settings)
    return ConnectionLimits(chosen, policy, players, addresses, per_address=True)


def refusal_of(one: ConnectionLimits, client: str) -> ErrorAnswer:
    with pytest.raises(RequestRefused) as refused:
        one.acquire(client)
    return refused.value.answer


def test_a_replica_has_so_many_slots_and_one_that_is_released_is_free_again() -> None:
    one = limits(max_connections=2)
    first, _ = one.acquire(HERE), one.acquire(THERE)
    problem = refusal_of(one, HERE)
    assert (problem.status, problem.outcome) == (503, HandshakeOutcome.OVERLOADED)
    first.release()
    one.acquire(HERE)


def test_an_address_has_so_many_of_them_and_takes_none_from_another() -> None:
    one = limits(max_connections_per_address=1)
    slot = one.acquire(HERE)
    problem = refusal_of(one, HERE)
    assert (problem.status, problem.outcome) == (429, HandshakeOutcome.RATE_LIMITED)
    one.acquire(THERE)
    slot.release()
    one.acquire(HERE)


def test_the_addresses_of_one_household_count_as_one() -> None:
    one = limits(max_connections_per_address=1)
    one.acquire("2001:db8::1")
    refusal_of(one, "2001:db8::2")
    one.acquire("2001:db8:0:1::1")


def test_a_player_has_so_many_and_who_is_refused_one_holds_none() -> None:
    one = limits(max_connections_per_player=1)
    first, second = one.acquire(HERE), one.acquire(THERE)
    first.assign("ann")
    with pytest.raises(RequestRefused, match="MAX_CONNECTIONS_PER_PLAYER"):
        second.assign("ann")
    second.release()
    first.release()
    one.acquire(HERE).assign("ann")


def test_an_attempt_that_waits_takes_no_place_of_its_player() -> None:
    one = limits(max_connections_per_player=1)
    waiting, other = one.acquire(HERE), one.acquire(THERE)
    waiting.look("ann")
    other.look("ann")
    other.assign("ann")
    with pytest.raises(RequestRefused, match="MAX_CONNECTIONS_PER_PLAYER"):
        waiting.assign("ann")
    waiting.release()
    with pytest.raises(RequestRefused, match="MAX_CONNECTIONS_PER_PLAYER"):
        one.acquire(HERE).look("ann")


def test_one_attempt_too_many_is_counted_once_however_often_a_dry_run_looks() -> None:
    seen = SeenLimits()
    one = limits(seen, frozenset({LimitScope.CONNECTIONS_PER_PLAYER}), max_connections_per_player=1)
    one.acquire(HERE).assign("ann")
    second = one.acquire(THERE)
    second.look("ann")
    second.assign("ann")
    assert [(limited.scope, limited.enforced) for limited in seen.limits] == [
        (LimitScope.CONNECTIONS_PER_PLAYER, False)
    ]


def test_attempts_have_a_rate_and_whoever_is_refused_is_told_when_to_come_back() -> None:
    one = limits(handshakes_per_second=0.001, handshake_burst=1)
    one.acquire(HERE).release()
    problem = refusal_of(one, HERE)
    assert (problem.status, problem.outcome) == (503, HandshakeOutcome.OVERLOADED)
    assert (problem.retry_after_ms or 0) > 900_000


def test_a_look_takes_no_slot() -> None:
    one = limits(max_connections=1)
    one.check(HERE)
    one.acquire(HERE)
    with pytest.raises(RequestRefused):
        one.check(THERE)


def test_a_dry_run_counts_and_lets_through() -> None:
    seen = SeenLimits()
    one = limits(seen, frozenset({LimitScope.CONNECTIONS}), max_connections=1)
    one.acquire(HERE)
    one.acquire(THERE)
    assert [(limited.scope, limited.enforced) for limited in seen.limits] == [(LimitScope.CONNECTIONS, False)]
