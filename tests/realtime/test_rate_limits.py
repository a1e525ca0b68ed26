"""Rates, bounded tables and dry runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rate_limits import MAX_KEYS, LimitPolicy, RateLimit, RatePerKey, Recent
from app.telemetry.observer import Limited, Observer
from app.vocabulary import LimitScope


def test_a_burst_then_the_rate() -> None:
    limit = RateLimit(10, 5)
    assert [limit.take(100.0) for _ in range(5)] == [0.0] * 5
    assert limit.take(100.0) == pytest.approx(0.1)
    assert limit.take(100.0) == pytest.approx(0.1), "being refused costs nothing"
    assert limit.take(100.1) == 0
    assert limit.take(100.1) > 0
    assert limit.take(1000.0, 5) == 0
    assert limit.take(1000.0, 1) > 0


def test_a_rate_of_nothing_is_no_limit() -> None:
    limit = RateLimit(0, 1)
    assert {limit.take(1.0, 1_000_000) for _ in range(100)} == {0.0}


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 100),
    gaps=st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_no_more_than_burst_and_rate_ever_pass(rate: float, burst: int, gaps: list[float]) -> None:
    limit, now, passed = RateLimit(rate, burst), 50.0, 0
    begin = now
    for gap in gaps:
        now += gap
        passed += limit.take(now) == 0
        assert passed <= burst + rate * (now - begin) + 1e-6 * (1 + passed) + 1e-9


@given(rate=st.floats(0.1, 1000), burst=st.integers(1, 50), tries=st.integers(1, 100))
def test_whoever_waits_as_told_is_let_in(rate: float, burst: int, tries: int) -> None:
    limit, now = RateLimit(rate, burst), 10.0
    for _ in range(tries):
        wait_s = limit.take(now)
        if wait_s:
            now += wait_s * 1.000001 + 1e-9
            assert limit.take(now) == 0


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    costs=st.lists(st.integers(1, 40), min_size=1, max_size=100),
)
def test_what_is_spent_unasked_is_waited_for(rate: float, burst: int, costs: list[int]) -> None:
    limit, now, spent = RateLimit(rate, burst), 10.0, 0
    for cost in costs:
        spent += cost
        now += limit.spend(now, cost)
        assert spent <= burst + rate * (now - 10.0) + 1e-6 * spent


def test_each_key_has_a_rate_of_its_own_and_the_table_is_bounded() -> None:
    limits = RatePerKey(1, 1)
    assert limits.take("a", 1.0) == 0
    assert limits.take("a", 1.0) > 0
    assert limits.take("b", 1.0) == 0
    for number in range(MAX_KEYS + 10):
        limits.take(str(number), 1.0)
    assert len(limits._limits) == MAX_KEYS


def test_what_is_long_ago_is_forgotten() -> None:
    recent = Recent(60, 3)
    assert [recent.add(moment) for moment in (0.0, 10.0, 59.0)] == [1, 2, 3]
    assert recent.add(61.0) == 3
    assert recent.add(200.0) == 1


class Seen(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.limits: list[Limited] = []

    def limited(self, limited: Limited) -> None:
        self.limits.append(limited)


def test_a_dry_run_counts_and_refuses_nothing() -> None:
    seen = Seen()
    policy = LimitPolicy(frozenset({LimitScope.MESSAGES}), seen)
    assert not policy.refuses(LimitScope.MESSAGES, 5)
    assert policy.refuses(LimitScope.BYTES, 5)
    assert [(limit.scope, limit.enforced) for limit in seen.limits] == [("messages", False), ("bytes", True)]
