"""When a connection that has ended is made again: who waits how long, and who gives up; no server and no clock."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client import full_jitter
from app.client.errors import ClientError, Disconnected, Refused
from app.client.reconnection import RETRY_STATUSES, Reconnection
from app.protocol import CLOSE_TABLE, Close, CloseRow

pytestmark = pytest.mark.anyio

CUT = Disconnected(1006, "")
"""What a network that fails looks like."""


class Waiting:
    """A reconnection that waits for nobody: what it would have waited is kept."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []
        self.it = Reconnection(self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.waits_s.append(seconds)

    async def assert_given_up(self, error: ClientError, max_attempts: int = 5) -> None:
        """What ended the connection is raised, and nothing was waited for."""
        before = list(self.waits_s)
        with pytest.raises(type(error)) as raised:
            await self.it.wait(error, max_attempts)
        assert raised.value is error
        assert self.waits_s == before


async def test_after_each_end_in_a_row_it_may_wait_twice_as_long_and_then_gives_up() -> None:
    one = Waiting()
    for _ in range(7):
        await one.it.wait(CUT, 7)
    assert one.it.attempts == 7
    assert len(one.waits_s) == 7
    for wait_s, most_s in zip(one.waits_s, [2, 4, 8, 16, 30, 30, 30], strict=True):
        assert 0 <= wait_s <= most_s
    await one.assert_given_up(CUT, 7)


async def test_no_attempt_at_all_gives_up_at_once() -> None:
    await Waiting().assert_given_up(CUT, max_attempts=0)


async def test_a_welcome_begins_a_new_row() -> None:
    one = Waiting()
    for _ in range(3):
        await one.it.wait(CUT, 1)
        one.it.welcomed()
    assert one.it.attempts == 0
    assert all(wait_s <= 2 for wait_s in one.waits_s)


async def test_a_wait_that_the_server_asked_for_is_no_attempt_and_holds_once() -> None:
    one = Waiting()
    one.it.retry_after(12.5)
    await one.it.wait(CUT, 0)
    assert one.waits_s == [12.5]
    assert one.it.attempts == 0
    await one.assert_given_up(CUT, max_attempts=0)


async def test_to_come_back_at_once_is_a_wait_that_was_asked_for() -> None:
    one = Waiting()
    one.it.retry_after(0.0)  # after a gap
    await one.it.wait(CUT, 0)
    assert one.waits_s == [0.0]


async def test_a_wait_that_was_asked_for_before_a_welcome_is_over() -> None:
    one = Waiting()
    one.it.retry_after(12.5)
    one.it.welcomed()
    await one.assert_given_up(CUT, max_attempts=0)


async def test_a_goodbye_says_whether_to_come_back_and_when() -> None:
    one = Waiting()
    one.it.announced(reconnect=True, retry_after_s=3.0)
    assert not one.it.is_final(Close.DRAINING.code)
    await one.it.wait(Disconnected(Close.DRAINING.code, ""), 0)
    assert one.waits_s == [3.0]


@pytest.mark.parametrize("retry_after_s", [None, 0.0])
async def test_a_goodbye_that_names_no_time_leaves_it_to_the_client(retry_after_s: float | None) -> None:
    one = Waiting()
    one.it.announced(reconnect=True, retry_after_s=retry_after_s)
    await one.it.wait(CUT, 1)
    assert one.it.attempts == 1


async def test_who_is_told_to_stay_away_does_whatever_the_code_until_what_was_objected_to_is_mended() -> None:
    one = Waiting()
    one.it.announced(reconnect=False, retry_after_s=None)
    assert one.it.is_final(Close.DRAINING.code)
    one.it.allow()
    assert not one.it.is_final(Close.DRAINING.code)


async def test_to_connect_anew_forgets_how_earlier_connections_ended() -> None:
    one = Waiting()
    await one.it.wait(CUT, 5)
    one.it.announced(reconnect=False, retry_after_s=None)
    one.it.begin()
    assert one.it.attempts == 0
    assert not one.it.is_final(1006)


@pytest.mark.parametrize("row", CLOSE_TABLE, ids=lambda row: row.reason)
def test_the_close_table_says_after_which_codes_it_comes_back(row: CloseRow) -> None:
    assert Waiting().it.is_final(row.code) is not row.comes_back


async def test_an_end_that_is_final_is_raised_though_a_wait_was_asked_for() -> None:
    one = Waiting()
    one.it.retry_after(1.0)
    await one.assert_given_up(Disconnected(Close.REPLACED.code, "", final=True))


@pytest.mark.parametrize("status", list(HTTPStatus))
async def test_a_refusal_is_final_but_where_it_may_pass(status: HTTPStatus) -> None:
    one = Waiting()
    refused = Refused(status, "")
    if status in RETRY_STATUSES:
        await one.it.wait(refused, 5)
        assert one.it.attempts == 1
    else:
        await one.assert_given_up(refused)
    assert (status in RETRY_STATUSES) == (status in {408, 429, 500, 502, 503, 504})


@given(st.integers(1, 2_000))
def test_the_jitter_is_full_and_has_an_upper_bound_however_many_attempts(attempt: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for draw in (min, max):
            patch.setattr("random.uniform", lambda *bounds, draw=draw: draw(bounds))
            assert full_jitter(attempt) == draw(0, min(2**attempt, 30))
