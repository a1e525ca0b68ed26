"""The player's token: what is replaced after which end, and how often. No server, no socket."""

import asyncio

import pytest

from app.client.errors import ClientError, Disconnected, Refused, Rejected
from app.client.token import Token
from app.protocol import Close

pytestmark = pytest.mark.anyio

REFUSED = Refused(401, "")
EXPIRED = Disconnected(Close.TOKEN_EXPIRED.code, "")


def token(*fresh: str) -> Token:
    """A token that is replaced by these, one after the other."""
    rest = iter(fresh)
    return Token("old", lambda: next(rest))


@pytest.mark.parametrize("error", [REFUSED, EXPIRED], ids=["refused", "expired"])
async def test_a_token_that_is_no_good_is_replaced(error: ClientError) -> None:
    one = token("fresh")
    assert await one.refresh_after(error)
    assert one.value == "fresh"


async def test_a_fresh_one_may_take_its_time() -> None:
    async def fetch() -> str:
        await asyncio.sleep(0)
        return "fetched"

    one = Token("old", fetch)
    assert await one.refresh_after(REFUSED)
    assert one.value == "fetched"


async def test_a_fresh_one_that_is_no_good_either_is_not_replaced() -> None:
    one = token("fresh", "one too many")
    assert await one.refresh_after(REFUSED)
    assert not await one.refresh_after(EXPIRED)
    assert one.value == "fresh"


async def test_once_the_server_has_taken_one_a_fresh_one_is_tried_again() -> None:
    one = token("fresh", "fresher")
    assert await one.refresh_after(EXPIRED)
    one.accepted()
    assert await one.refresh_after(EXPIRED)
    assert one.value == "fresher"


@pytest.mark.parametrize(
    "error",
    [
        Refused(403, ""),
        Refused(503, "", retry_after_s=1.0),
        Disconnected(Close.REPLACED.code, "", final=True),
        Disconnected(1006, ""),
        Rejected("unavailable", "", retry_after_s=1.0),
        ClientError("cannot reach it"),
    ],
    ids=repr,
)
async def test_what_a_token_cannot_mend_costs_none(error: ClientError) -> None:
    one = token("fresh")
    assert not await one.refresh_after(error)
    assert one.value == "old"
    assert await one.refresh_after(REFUSED), "and it may still be tried"


async def test_who_cannot_get_a_fresh_one_goes_on_with_the_old_one() -> None:
    one = Token("old", None)
    assert not one.can_refresh
    assert not await one.refresh_after(REFUSED)
    await one.refresh()
    assert one.value == "old"
    assert token().can_refresh


async def test_a_fresh_one_on_an_open_connection_is_no_second_try() -> None:
    one = token("renewed", "after a refusal")
    await one.refresh()
    assert one.value == "renewed"
    assert await one.refresh_after(REFUSED)
    assert one.value == "after a refusal"


async def test_that_none_can_be_had_is_raised_and_was_the_try() -> None:
    def fail() -> str:
        raise ClientError("no fresh one")

    one = Token("old", fail)
    with pytest.raises(ClientError, match="no fresh one"):
        await one.refresh_after(REFUSED)
    assert one.value == "old"
    assert not await one.refresh_after(REFUSED)
