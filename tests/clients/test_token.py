"""The player's token: what is replaced after which end, and how often. No server, no socket."""

import asyncio

import pytest

from app.protocol import Close
from code_racer_client.errors import ClientError, Disconnected, Refused, Rejected
from code_racer_client.token import NotRenewed, RefreshToken, Token

pytestmark = pytest.mark.anyio

REFUSED = Refused(401, "")
EXPIRED = Disconnected(Close.TOKEN_EXPIRED.code, "")


def token(*fresh: str | Exception) -> Token:
    """A token that is replaced by these, one after the other; an error is raised instead."""
    rest = iter(fresh)

    def refresh() -> str:
        one = next(rest)
        if isinstance(one, Exception):
            raise one
        return one

    return Token("old", refresh)


@pytest.mark.parametrize("error", [REFUSED, EXPIRED], ids=["refused", "expired"])
async def test_a_token_that_is_no_good_is_replaced(error: ClientError) -> None:
    one = token("fresh")
    assert await one.current() == "old"
    assert one.may_be_replaced(error)
    assert await one.current() == "fresh"
    assert await one.current() == "fresh"


async def test_a_fresh_one_may_take_its_time() -> None:
    async def fetch() -> str:
        await asyncio.sleep(0)
        return "fetched"

    one = Token("old", fetch)
    assert one.may_be_replaced(REFUSED)
    assert await one.current() == "fetched"


async def test_a_fresh_one_that_is_no_good_either_is_not_replaced() -> None:
    one = token("fresh", "one-too-many")
    assert one.may_be_replaced(REFUSED)
    assert await one.current() == "fresh"
    assert not one.may_be_replaced(EXPIRED)


async def test_once_the_server_has_taken_one_a_fresh_one_is_tried_again() -> None:
    one = token("fresh", "fresher")
    assert one.may_be_replaced(EXPIRED)
    assert await one.current() == "fresh"
    one.accepted()
    assert one.may_be_replaced(EXPIRED)
    assert await one.current() == "fresher"


async def test_an_application_that_connects_anew_gets_a_fresh_one_where_the_last_was_no_good() -> None:
    one = token("fresh", "fresher")
    assert one.may_be_replaced(REFUSED)
    await one.current()
    assert not one.may_be_replaced(REFUSED)
    one.begin()
    assert await one.current() == "fresher"
    assert one.may_be_replaced(REFUSED)


async def test_an_application_that_connects_anew_keeps_the_token_that_was_good() -> None:
    one = token("one-too-many")
    one.begin()
    assert await one.current() == "old"


@pytest.mark.parametrize(
    "error",
    [
        Refused(401, "a gateway's own", final=False),
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
    assert not one.may_be_replaced(error)
    assert await one.current() == "old"
    assert one.may_be_replaced(REFUSED), "and it may still be tried"


async def test_who_cannot_get_a_fresh_one_goes_on_with_the_old_one() -> None:
    one = Token("old", None)
    assert not one.can_refresh
    assert not one.may_be_replaced(REFUSED)
    assert await one.current() == "old"
    assert token().can_refresh


async def test_a_fresh_one_on_an_open_connection_is_no_second_try() -> None:
    one = token("renewed", "after-a-refusal")
    await one.refresh()
    assert await one.current() == "renewed"
    assert one.may_be_replaced(REFUSED)
    assert await one.current() == "after-a-refusal"


async def test_that_none_can_be_had_now_is_no_try_and_it_is_asked_for_again() -> None:
    away = ConnectionError("the identity provider is away")
    one = token(away, away, "fresh")
    assert one.may_be_replaced(REFUSED)
    for _ in range(2):
        with pytest.raises(NotRenewed, match="ConnectionError") as raised:
            await one.current()
        assert raised.value.error is away
        assert not raised.value.final
    assert await one.current() == "fresh"


async def test_what_a_fresh_one_waited_for_was_cancelled_and_the_client_goes_on() -> None:
    async def refresh() -> str:
        raise asyncio.CancelledError

    one = Token("old", refresh)
    one.may_be_replaced(REFUSED)
    with pytest.raises(NotRenewed):
        await one.current()


async def test_the_application_says_that_there_will_be_none_and_that_ends_it_at_once() -> None:
    """`connect` by the application asks once, and once more at its next."""
    gone = Refused(401, "logged out")
    one = token(gone, gone, "one-too-many")
    one.may_be_replaced(REFUSED)
    for _ in range(2):
        one.begin()
        with pytest.raises(Refused) as raised:
            await one.current()
        assert raised.value is gone
        assert raised.value.final
        assert not one.may_be_replaced(gone)


@pytest.mark.parametrize("character", [" ", "\n", "\r\nX: y", "é", "\0", "=.", '"'])
async def test_a_character_that_no_token_has_is_said_without_the_token(character: str) -> None:
    one = Token(f"marked{character}nonsense", None)
    with pytest.raises(Refused, match="character") as raised:
        await one.current()
    assert raised.value.final
    assert "marked" not in str(raised.value)


@pytest.mark.parametrize("returned", [None, b"bytes"])
async def test_what_is_no_text_is_no_token(returned: object) -> None:
    refresh: RefreshToken = lambda: returned  # type: ignore[assignment, return-value] # noqa: E731 - what it is about
    one = Token("old", refresh)
    one.may_be_replaced(REFUSED)
    with pytest.raises(Refused, match="character"):
        await one.current()


async def test_a_fresh_one_that_comes_after_a_later_one_is_not_taken() -> None:
    early, late = asyncio.Event(), asyncio.Event()
    rest = iter(((late, "first"), (early, "second")))

    async def fetch() -> str:
        event, value = next(rest)
        await event.wait()
        return value

    one = Token("old", fetch)
    first, second = (asyncio.create_task(one.refresh()) for _ in range(2))
    await asyncio.sleep(0)  # one turn: both are under way
    early.set()
    await second
    late.set()
    await first
    assert await one.current() == "second"
