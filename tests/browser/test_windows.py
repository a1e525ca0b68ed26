"""Whoever leaves a race, or plays it in more than one window, decides it: nothing is left, or taken over, unasked."""

from playwright.sync_api import Browser, ViewportSize, expect

from tests.browser.steps import DRAFT, enter, is_open, known, new_game, race
from tools.harness.browser import DESKTOP, PHONE, open_page, shoot, window
from tools.harness.player import SOLUTION, WRONG, Player
from tools.harness.server import ServerProcess
from tools.harness.slices import slice_of, today
from tools.harness.tokens import token

SIZE = slice_of((DESKTOP, PHONE), 2, today())[0]
"""Where a test has no `size`, as it is about no window, it has one on a day and the other on the next."""


def test_a_second_window_takes_over_and_the_first_is_told(
    browser: Browser, server: ServerProcess, size: ViewportSize
) -> None:
    link = new_game(server)
    with window(browser, link, viewport=size) as first:
        race(first)
        first.locator("#code").fill(WRONG)
        second = open_page(first.context.new_page(), link, [])
        expect(second.locator("#known")).to_contain_text("You are in this race as Ann")
        shoot(second, "second-window")
        second.get_by_role("button", name="Play here as Ann").click()
        is_open(second)
        expect(second.locator("#code")).to_have_value(WRONG)
        expect(first.locator("#card")).to_contain_text("You play this race in another window")
        expect(first.locator("#code")).not_to_be_editable()
        shoot(first, "replaced")
        second.locator("#code").fill(DRAFT)
        second.reload()
        first.get_by_role("button", name="Play here").click()
        is_open(first)
        expect(first.locator("#card")).to_be_hidden()
        expect(first.locator("#code")).to_have_value(DRAFT)
        expect(first.locator("#code")).to_be_editable()
        expect(second.locator("#card")).to_contain_text("another window")
        first.reload()
        is_open(first)
        assert len(known(server, first)["players"]) == 1


def test_a_window_that_was_replaced_asks_before_it_takes_the_race_back(
    browser: Browser, server: ServerProcess, size: ViewportSize
) -> None:
    link = new_game(server)
    with window(browser, link, viewport=size) as first:
        race(first)
        second = open_page(first.context.new_page(), link, [])
        second.get_by_role("button", name="Play here as Ann").click()
        expect(first.locator("#card")).to_contain_text("You play this race in another window")
        first.reload()
        expect(first.locator("#known")).to_contain_text("You are in this race as Ann")
        is_open(second)
        first.get_by_role("button", name="Play here as Ann").click()
        expect(second.locator("#card")).to_contain_text("another window")
        first.reload()
        is_open(first)


def test_the_lobby_has_the_way_back_into_a_race_that_was_left_by_a_link(
    browser: Browser, server: ServerProcess, size: ViewportSize
) -> None:
    with window(browser, new_game(server), viewport=size) as page:
        race(page)
        page.locator("#code").fill(DRAFT)
        page.get_by_role("link", name="Code Racer").click()
        expect(page.locator("#known")).to_contain_text("You are in a race as Ann")
        shoot(page, f"way-back-{size['width']}")
        page.get_by_role("button", name="Back to the race").click()
        is_open(page)
        expect(page.locator("#code")).to_have_value(DRAFT)
        page.locator("#code").fill(SOLUTION)
        page.keyboard.press("Control+Enter")
        expect(page.locator("#winner")).to_have_text("You won!")
        page.get_by_role("link", name="Another race").click()
        expect(page.locator("#problem option")).not_to_have_count(1)
        expect(page.locator("#known")).to_be_hidden()


def test_who_leaves_without_a_connection_may_stay_until_it_is_back(
    browser: Browser, server: ServerProcess, size: ViewportSize
) -> None:
    """Nothing is given up before the server has heard of it."""
    link = new_game(server, min_players=2)
    with window(browser, link, viewport=size) as page, Player(server, link[-36:], token("bob")) as bob:
        page.on("dialog", lambda dialog: dialog.accept())
        enter(page)
        bob.send("ready")
        expect(page.locator("#statement")).to_contain_text("First time over")
        page.locator("#code").fill(DRAFT)
        for choice in ("Stay", "Leave"):
            page.context.set_offline(True)
            expect(page.locator("#connection")).to_contain_text("connection lost")
            page.get_by_role("button", name="Leave").click()
            expect(page.locator("#leaving")).to_contain_text("as soon as the connection is back")
            expect(page.locator("#code")).to_have_value(DRAFT)
            shoot(page, f"leaves-offline-{size['width']}")
            if choice == "Stay":
                page.get_by_role("button", name="Stay").click()
                expect(page.locator("#leaving")).to_be_empty()
            page.context.set_offline(False)
            if choice == "Stay":
                is_open(page)
                expect(page.locator("#code")).to_have_value(DRAFT)
                assert page.evaluate("Object.keys(localStorage).length") == 1
        assert bob.until("player_left")["data"]["player_id"] != "bob"
        expect(page.get_by_role("button", name="Create a game")).to_be_visible()
        assert page.evaluate("Object.keys(localStorage).length") == 0


def test_a_copy_of_the_tab_asks_before_it_takes_over(
    browser: Browser, server: ServerProcess, size: ViewportSize
) -> None:
    with window(browser, new_game(server), viewport=size) as first:
        race(first)
        with first.context.expect_page() as opened:
            first.evaluate("void window.open(location.href)")
        copy = opened.value
        expect(copy.locator("#known")).to_contain_text("You are in this race as Ann")
        is_open(first)
        copy.get_by_role("button", name="Play here as Ann").click()
        expect(first.locator("#card")).to_contain_text("You play this race in another window")
        copy.reload()
        is_open(copy)


def test_a_window_with_a_token_of_ones_own_asks_before_it_takes_over(browser: Browser, server: ServerProcess) -> None:
    """By a link that has the token, by one without, in a copy of the tab; the token is in no storage of all windows."""
    link = new_game(server)
    with window(browser, f"{link}#token={token('eve', name='Eve')}", viewport=SIZE) as first:
        first.get_by_role("button", name="I am ready").click()
        first.locator("#code").fill(WRONG)
        last = first
        for kind in (
            "the link again",
            "a link without the token",
            "a copy of the tab",
            "a reload of one that was replaced",
        ):
            if kind == "a copy of the tab":
                with first.context.expect_page() as opened:
                    last.evaluate("void window.open(location.href)")
                page = opened.value
            elif kind == "a reload of one that was replaced":
                page = first
                page.reload()
            else:
                address = link if "without" in kind else f"{link}#token={token('eve', name='Eve')}"
                page = open_page(first.context.new_page(), address, [])
            expect(page.locator("#known")).to_contain_text("You are in this race as Eve, perhaps in another window")
            is_open(last)
            shoot(page, "second-own-window")
            page.get_by_role("button", name="Play here as Eve").click()
            is_open(page)
            expect(page.locator("#code")).to_have_value(WRONG)
            expect(last.locator("#card")).to_contain_text("You play this race in another window")
            last = page
        assert len(known(server, last)["players"]) == 1
        assert "eyJ" not in last.evaluate("JSON.stringify(localStorage)")


def test_who_has_no_window_with_the_token_any_more_is_asked_for_it(browser: Browser, server: ServerProcess) -> None:
    link = new_game(server)
    with window(browser, f"{link}#token={token('eve', name='Eve')}", viewport=SIZE) as first:
        first.get_by_role("button", name="I am ready").click()
        first.locator("#code").fill(DRAFT)
        page = open_page(first.context.new_page(), link, [])
        first.close()
        page.get_by_role("button", name="Play here as Eve").click()
        expect(page.get_by_role("alert")).to_have_text(
            "No other window has your token any more. Paste it to go on as Eve."
        )
        expect(page.get_by_label("Your token", exact=True)).to_be_focused()
        page.keyboard.insert_text(token("eve", name="Eve"))
        page.get_by_role("button", name="Join", exact=True).click()
        is_open(page)
        expect(page.locator("#code")).to_have_value(DRAFT)
