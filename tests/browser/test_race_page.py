"""Two people race in two browser windows: real Chromium, the real page, a screenshot of each step."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from app import __version__
from tools.harness.player import SOLUTION, WRONG
from tools.harness.server import ServerProcess

SHOTS = Path(__file__).parents[2] / "var" / "screenshots"
STEP_MS = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=STEP_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
            ],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "server", countdown_s=1) as process:
        yield process


def window(browser: Browser, url: str, faults: list[str], **options: object) -> Page:
    """A window of its own, with its own storage; what goes wrong in it is collected."""
    page = browser.new_context(**options).new_page()  # type: ignore[arg-type] # Playwright's own options

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(message.text)

    page.set_default_timeout(STEP_MS)
    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(url)
    return page


def shoot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def test_a_race_in_two_windows_ends_with_a_ranking(browser: Browser, server: ServerProcess) -> None:
    faults: list[str] = []
    ann = window(browser, f"{server.http_url}/", faults, viewport={"width": 1200, "height": 900})
    ann.get_by_label("Your name").fill("Ann")
    ann.locator("#problem").select_option("running-total")
    ann.get_by_role("button", name="Create a game").click()
    field = ann.get_by_label("Link to this game")
    expect(field).to_have_value(re.compile(r"/\?game="))
    link = field.input_value()

    phone = {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"}
    bob = window(browser, link, faults, **phone)
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
    assert server.metric("ws_client_connections_total", client=f"code-racer-page/{__version__}") == 2
    for page in (ann, bob):
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, "the page scrolls sideways"
        page.context.close()
    assert faults == []


def test_a_lost_server_is_shown_and_the_race_goes_on_after_it_is_back(browser: Browser, server: ServerProcess) -> None:
    faults: list[str] = []
    page = window(browser, f"{server.http_url}/", faults)
    page.get_by_label("Your name").fill("Ann")
    page.locator("#min-players").fill("1")
    page.locator("#problem").select_option("running-total")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="I am ready").click()
    expect(page.locator("#statement")).to_contain_text("First time over")
    server.kill()
    expect(page.locator("#connection")).to_contain_text("connection lost")
    server.start()
    expect(page.locator("#connection")).to_have_attribute("data-state", "open")
    page.locator("#code").fill(SOLUTION)
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#winner")).to_have_text("You won!")
    page.context.close()


def test_a_link_to_a_game_that_is_gone_says_so(browser: Browser, server: ServerProcess) -> None:
    page = window(browser, f"{server.http_url}/?game=7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2aff", [])
    page.get_by_label("Your name").fill("Ann")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("alert")).to_contain_text("no such game")
    page.context.close()


def test_an_outage_that_the_browser_knows_of_is_shown_at_once_and_so_is_its_end(
    browser: Browser, server: ServerProcess
) -> None:
    """No timer helps: the page's clock stands still."""
    page = window(browser, f"{server.http_url}/", [])
    page.clock.install()
    page.get_by_label("Your name").fill("Ann")
    page.keyboard.press("Enter")
    expect(page.locator("#connection")).to_have_attribute("data-state", "open")
    page.clock.pause_at(page.evaluate("Date.now()") + 1_000)
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text("connection lost")
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_have_attribute("data-state", "open")
    page.context.close()
