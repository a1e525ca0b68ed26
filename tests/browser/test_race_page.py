"""Two people race in two browser windows: real Chromium, the real page, a screenshot of each step."""

import re

from playwright.sync_api import Browser, expect

from app import __version__
from tools.harness.browser import PHONE, overflow, shoot, window
from tools.harness.player import SOLUTION, WRONG
from tools.harness.server import ServerProcess


def test_a_race_in_two_windows_ends_with_a_ranking(browser: Browser, server: ServerProcess) -> None:
    faults: list[str] = []
    release = {"client": f"code-racer-page/{__version__}"}
    before = server.metric("ws_client_connections_total", **release)
    with (
        window(browser, f"{server.http_url}/", faults) as ann,
        window(browser, f"{server.http_url}/", faults, viewport=PHONE, color_scheme="dark") as bob,
    ):
        ann.get_by_label("Your name").fill("Ann")
        ann.locator("#problem").select_option("running-total")
        ann.get_by_role("button", name="Create a game").click()
        field = ann.get_by_label("Link to this game")
        expect(field).to_have_value(re.compile(r"/\?game="))
        bob.goto(field.input_value())
        bob.get_by_label("Your name").fill("Bob")
        bob.keyboard.press("Enter")
        expect(ann.locator("#players")).to_contain_text("Bob")
        expect(ann.locator("#connection")).to_contain_text("connected")
        expect(ann.locator("#rtt")).to_contain_text("ms")
        shoot(ann, "1-waiting")
        ann.get_by_role("button", name="I am ready").click()
        bob.get_by_role("button", name="I am ready").click()
        expect(ann.locator("#clock")).to_contain_text("Starts in")

        expect(ann.locator("#statement")).to_contain_text("First time over")
        expect(ann.locator("#code")).to_be_focused()
        bob.locator("#code").fill(WRONG)
        bob.get_by_role("button", name="Submit").click()
        expect(bob.locator("#verdict")).to_contain_text("Wrong answer")
        expect(bob.locator("#test-rows")).to_contain_text("failed")
        expect(ann.locator("#players")).to_contain_text("1 tried")
        shoot(ann, "2-running")
        shoot(bob, "3-running-phone-dark")

        ann.locator("#code").fill("")
        for line in ("def solve(numbers, limit):", "return 0"):
            ann.keyboard.type(line)
            ann.keyboard.press("Enter")
        assert ann.locator("#code").input_value() == "def solve(numbers, limit):\n    return 0\n    "
        ann.locator("#code").fill(SOLUTION)
        ann.keyboard.press("Control+Enter")
        expect(ann.locator("#winner")).to_have_text("You won!")
        expect(bob.locator("#winner")).to_have_text("Ann won")
        rows = bob.locator("#ranks tr")
        expect(rows).to_have_count(2)
        expect(rows.first).to_contain_text("Ann")
        expect(rows.last).to_contain_text("Bob")
        shoot(ann, "4-finished")
        shoot(bob, "5-finished-phone-dark")
        assert server.metric("ws_client_connections_total", **release) == before + 2
        for page in (ann, bob):
            assert overflow(page) <= 0, "the page scrolls sideways"
    assert faults == []


def test_an_outage_that_the_browser_knows_of_is_shown_at_once_and_so_is_its_end(
    browser: Browser, server: ServerProcess
) -> None:
    """No timer helps: the page's clock stands still."""
    with window(browser, f"{server.http_url}/") as page:
        page.clock.install()
        page.get_by_label("Your name").fill("Ann")
        page.keyboard.press("Enter")
        expect(page.locator("#connection")).to_have_attribute("data-state", "open")
        page.clock.pause_at(page.evaluate("Date.now()") + 1_000)
        page.context.set_offline(True)
        expect(page.locator("#connection")).to_contain_text("connection lost")
        page.context.set_offline(False)
        expect(page.locator("#connection")).to_have_attribute("data-state", "open")
