"""A token of one's own ends: the player is told in time, and goes on with another, pasted before its end or after.

Also where the connection is lost meanwhile.
"""

import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect

from tests.browser.steps import DRAFT, is_open, known, new_game
from tools.harness.browser import DESKTOP, PHONE, overflow, shoot, window
from tools.harness.server import ServerProcess
from tools.harness.slices import slice_of, today
from tools.harness.tokens import token

SIZE = slice_of((DESKTOP, PHONE), 2, today())[0]
SOON_S = 55
"""Less than the notice of the end is given before: it is given at once."""
OTHER_SERVERS = "another server's secret, which is long enough"
ENDS_AT = re.compile(r"^Your token ends at \d.*\. Paste a new one, and the race goes on\.$")

KEPT = "It is kept, and told to the server as soon as the connection is back."


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    """A window in a race, by a token that ends soon."""
    with window(browser, f"{new_game(server)}#token={eves(SOON_S)}", viewport=SIZE) as one:
        assert "token" not in one.url, "the token stays in no address"
        one.get_by_role("button", name="I am ready").click()
        one.locator("#code").fill(DRAFT)
        yield one


def eves(ttl_s: float) -> str:
    return token("eve", ttl_s, name="Eve")


def paste(page: Page, text: str) -> str:
    """Paste a token, and go on; return what is wrong with it."""
    page.get_by_label("New token").fill(text)
    page.keyboard.press("Enter")
    state = "() => document.getElementById('fresh-go').ariaDisabled !== 'true'"
    page.wait_for_function(state)
    return page.locator("#fresh-wrong").inner_text()


def paste_offline(page: Page, text: str) -> None:
    """Paste a token that nobody can look at yet."""
    page.get_by_label("New token").fill(text)
    page.keyboard.press("Enter")
    for place in ("#fresh-text", "#told"):
        expect(page.locator(place)).to_have_text(KEPT)


def is_renewal(frame: str | bytes) -> bool:
    return bool(json.loads(frame)["type"] == "auth")


def paste_one_that_ends(page: Page) -> None:
    """Paste one that ends in a moment, but not before it is taken."""
    for ttl_s in (2, 4, 8, 16, 32):
        if not paste(page, eves(ttl_s)):
            return
    pytest.fail("none was taken in time")


def outlive_the_token(page: Page) -> None:
    """Have the page lose its connection, and then its token end; only then, however slow the machine is."""
    for ttl_s in (2, 4, 8, 16, 32):
        ends_at = time.time() + ttl_s
        if paste(page, eves(ttl_s)):
            continue
        page.context.set_offline(True)
        page.wait_for_function("() => /waiting|closed/.test(document.getElementById('connection').dataset.state)")
        if time.time() < ends_at:
            page.wait_for_function("(at) => Date.now() > at", arg=ends_at * 1_000)
            return
        page.context.set_offline(False)
    pytest.fail("none was lost in time")


def test_the_end_is_told_in_time_and_what_is_wrong_with_another_token(page: Page, server: ServerProcess) -> None:
    """The connection goes on; where it is lost before the old token ends, nobody is asked for another again."""
    expect(page.locator("#fresh-text")).to_have_text(ENDS_AT)
    expect(page.locator("#told")).to_have_text(ENDS_AT)
    expect(page.locator("#code")).to_be_focused()
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        assert page.evaluate("document.getElementById('fresh').getBoundingClientRect().bottom <= innerHeight")
        assert overflow(page) <= 0
        shoot(page, f"own-token-ends-{size['width']}")
    sockets: list[WebSocket] = []
    sent: list[str | bytes] = []

    def note(socket: WebSocket) -> None:
        sockets.append(socket)
        socket.on("framesent", lambda frame: sent.append(frame))  # noqa: PLW0108 - it is marked as a handler

    page.on("websocket", note)
    assert paste(page, "nonsense") == "That is no token. A token is one long word with two dots in it."
    shoot(page, "own-token-wrong")
    assert paste(page, token("bob", name="Bob")) == "This token is for Bob, and you are in this race as Eve."
    refused = "The server does not take this token. The token"
    assert paste(page, eves(-60)) == f"{refused} has expired; get a new one."
    assert paste(page, token("eve", secret=OTHER_SERVERS)) == f"{refused}'s signature does not match."
    expect(page.get_by_label("New token")).to_be_focused()
    assert paste(page, eves(3_600)) == ""
    expect(page.locator("#fresh")).to_be_hidden()
    expect(page.locator("#code")).to_be_focused()
    assert sockets == [], "all on one connection"
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text("connection lost")
    page.context.set_offline(False)
    is_open(page)
    if not any(map(is_renewal, sent)):
        sockets[-1].wait_for_event("framesent", is_renewal)
    expect(page.locator("#told")).to_have_text("The new token is taken.")
    expect(page.locator("#fresh")).to_be_hidden()
    expect(page.locator("#code")).to_have_value(DRAFT)
    assert len(known(server, page)["players"]) == 1


def test_one_that_is_pasted_while_there_is_no_connection_brings_back_after_the_end_of_the_old(
    page: Page, server: ServerProcess
) -> None:
    """One that the server does not take is told of as ever, and the old one counts."""
    expect(page.locator("#fresh-text")).to_have_text(ENDS_AT)
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text("connection lost")
    paste_offline(page, token("eve", secret=OTHER_SERVERS))
    page.context.set_offline(False)
    expect(page.locator("#fresh-wrong")).to_contain_text("The server does not take this token.")
    expect(page.locator("#fresh-text")).to_have_text(ENDS_AT)
    outlive_the_token(page)
    paste_offline(page, eves(3_600))
    shoot(page, "own-token-kept")
    page.context.set_offline(False)
    is_open(page)
    expect(page.locator("#told")).to_have_text("The new token is taken.")
    expect(page.locator("#fresh")).to_be_hidden()
    expect(page.locator("#code")).to_have_value(DRAFT)
    assert len(known(server, page)["players"]) == 1


def test_after_the_end_a_token_that_is_pasted_brings_back_into_the_race(page: Page, server: ServerProcess) -> None:
    expect(page.locator("#fresh-text")).to_have_text(ENDS_AT)
    paste_one_that_ends(page)
    page.get_by_label("New token").focus()
    expect(page.locator("#card")).to_contain_text("Your token has run out")
    expect(page.locator("#code")).to_have_value(DRAFT)
    expect(page.get_by_label("New token")).to_be_focused()
    shoot(page, "own-token-ended")
    refused = "The server does not take this token. The token"
    assert paste(page, eves(-60)) == f"{refused} has expired; get a new one."
    page.reload()
    expect(page.locator("#card")).to_contain_text("Your token is not taken")
    expect(page.get_by_label("What you wrote")).to_have_value(DRAFT)
    shoot(page, "own-token-refused")
    assert paste(page, token("bob", name="Bob")) == "This token is for Bob, and you are in this race as Eve."
    assert paste(page, eves(3_600)) == ""
    is_open(page)
    expect(page.locator("#code")).to_have_value(DRAFT)
    expect(page.locator("#fresh")).to_be_hidden()
    page.reload()
    is_open(page)
    assert len(known(server, page)["players"]) == 1
    assert "eyJ" not in page.evaluate("JSON.stringify(localStorage)"), "it goes with its tab"
