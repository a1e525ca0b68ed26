"""When a connection that has ended is made again: who waits how long, and who gives up; no server and no clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol import CLOSE_TABLE, Close, CloseRow
from code_racer_client import Unusable, full_jitter
from code_racer_client.errors import ClientError, Disconnected, Refused
from code_racer_client.reconnection import Reconnection

CUT = Disconnected(1006, "")
"""What a network that fails looks like."""


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


def tries(max_attempts: int | None, give_up_after_s: float = 0, clock: Clock | None = None) -> Reconnection:
    """One that was just begun."""
    one = Reconnection(max_attempts, give_up_after_s, clock or Clock())
    one.begin()
    return one


def assert_given_up(one: Reconnection, error: ClientError = CUT) -> None:
    """What ended the connection is raised."""
    with pytest.raises(type(error)) as raised:
        one.delay_s(error)
    assert raised.value is error


def test_after_each_end_in_a_row_it_may_wait_twice_as_long_and_then_gives_up() -> None:
    one = tries(7)
    waits_s = [one.delay_s(CUT) for _ in range(7)]
    assert one.attempts == 7
    for wait_s, most_s in zip(waits_s, [2, 4, 8, 16, 30, 30, 30], strict=True):
        assert 0 <= wait_s <= most_s
    assert_given_up(one)


def test_no_attempt_at_all_gives_up_at_once() -> None:
    assert_given_up(tries(0))


def test_a_welcome_begins_a_new_row() -> None:
    one = tries(1)
    for _ in range(3):
        assert one.delay_s(CUT) <= 2
        one.welcomed()
    assert one.attempts == 0


def test_without_a_number_it_goes_on_until_the_outage_has_lasted_too_long() -> None:
    """An outage begins with the first end after a welcome, or where the application connects."""
    clock = Clock()
    one = tries(None, 1_800, clock)
    clock.now += 1_799
    for _ in range(1_000):
        assert one.delay_s(CUT) <= 30
    one.welcomed()
    clock.now += 100_000
    assert one.delay_s(CUT) <= 2
    clock.now += 1_799
    one.delay_s(CUT)
    clock.now += 1
    assert_given_up(one)
    one.begin()
    one.delay_s(CUT)


def test_an_outage_may_last_for_ever_where_that_is_wanted() -> None:
    clock = Clock()
    one = tries(None, 0, clock)
    clock.now += 1e9
    assert one.delay_s(CUT) <= 2


def test_a_wait_that_the_server_asked_for_is_no_attempt_and_holds_once() -> None:
    one = tries(0)
    one.announced(reconnect=True, retry_after_s=12.5)
    assert one.delay_s(CUT) == 12.5
    assert one.attempts == 0
    assert_given_up(one)


def test_after_a_gap_it_comes_back_at_once_and_after_the_next_ones_backs_off() -> None:
    """Those of the same trouble are less than a minute apart."""
    clock = Clock()
    one = tries(0, clock=clock)
    waits_s = []
    for _ in range(50):
        clock.now += 59
        one.gap()
        one.gap()  # what came before it was closed
        waits_s.append(one.delay_s(CUT))
        one.welcomed()
    assert waits_s[0] == 0.0
    assert 0 < waits_s[1] <= 2
    assert 2 < max(waits_s) <= 30
    clock.now += 60
    one.gap()
    assert one.delay_s(CUT) == 0.0


def test_it_says_whether_the_wait_was_asked_for() -> None:
    """Else the machine's sleep ends it."""
    one = tries(1)
    one.announced(reconnect=True, retry_after_s=3.0)
    one.delay_s(CUT)
    assert one.is_asked
    one.delay_s(CUT)
    assert not one.is_asked


def test_what_a_refusal_advises_is_waited_at_least_and_not_by_all_for_the_same_time() -> None:
    waits_s = set()
    for _ in range(100):
        one = tries(0)
        one.retry_after_refusal(10.0)
        waits_s.add(one.delay_s(Refused(503, "", 10.0, final=False)))
    assert min(waits_s) >= 10
    assert max(waits_s) <= 15
    assert len(waits_s) > 90


def test_a_wait_that_was_asked_for_before_a_welcome_is_over() -> None:
    one = tries(0)
    one.announced(reconnect=True, retry_after_s=12.5)
    one.welcomed()
    assert_given_up(one)


def test_a_goodbye_says_whether_to_come_back_and_when() -> None:
    """The time is this client's own: nothing is added."""
    one = tries(0)
    one.announced(reconnect=True, retry_after_s=3.0)
    assert not one.is_final(Close.DRAINING.code)
    assert one.delay_s(Disconnected(Close.DRAINING.code, "")) == 3.0


@pytest.mark.parametrize("retry_after_s", [None, 0.0])
def test_a_goodbye_that_names_no_time_leaves_it_to_the_client(retry_after_s: float | None) -> None:
    one = tries(1)
    one.announced(reconnect=True, retry_after_s=retry_after_s)
    one.delay_s(CUT)
    assert one.attempts == 1


def test_who_is_told_to_stay_away_does_whatever_the_code_until_it_is_mended_and_comes_back_soon() -> None:
    one = tries(5)
    one.announced(reconnect=False, retry_after_s=None)
    assert one.is_final(Close.DRAINING.code)
    one.soon()
    assert not one.is_final(Close.DRAINING.code)
    assert one.delay_s(CUT) <= 2
    assert one.attempts == 0


def test_to_connect_anew_forgets_how_earlier_connections_ended() -> None:
    one = tries(5)
    one.delay_s(CUT)
    one.announced(reconnect=False, retry_after_s=7.0)
    one.begin()
    assert one.attempts == 0
    assert not one.is_final(1006)
    assert one.delay_s(CUT) <= 2


@pytest.mark.parametrize("row", CLOSE_TABLE, ids=lambda row: row.reason)
def test_the_close_table_says_after_which_codes_it_comes_back(row: CloseRow) -> None:
    one = tries(5)
    assert one.is_final(row.code) is (not row.comes_back and row.code >= 4_000)
    one.announced(reconnect=row.comes_back, retry_after_s=None)
    assert one.is_final(row.code) is not row.comes_back


@pytest.mark.parametrize(
    "error",
    [Disconnected(Close.REPLACED.code, "", final=True), Refused(404, "no such game"), Unusable("no token")],
    ids=repr,
)
def test_an_end_that_is_final_is_raised_though_a_wait_was_asked_for(error: ClientError) -> None:
    one = tries(5)
    one.announced(reconnect=True, retry_after_s=1.0)
    assert_given_up(one, error)


def test_a_refusal_that_may_pass_is_an_end_like_others() -> None:
    one = tries(5)
    one.delay_s(Refused(404, "default backend", final=False))
    assert one.attempts == 1


@given(st.integers(1, 2_000))
def test_the_jitter_is_full_and_has_an_upper_bound_however_many_attempts(attempt: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for draw in (min, max):
            patch.setattr("random.uniform", lambda *bounds, draw=draw: draw(bounds))
            assert full_jitter(attempt) == draw(0, min(2**attempt, 30))
