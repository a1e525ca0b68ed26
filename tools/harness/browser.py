"""Windows of a real browser, for the race page."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

from tools.harness.server import ROOT

SHOTS: Final = ROOT / "var" / "screenshots"
STEP_MS: Final = 30_000
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; it asks nobody on the internet for anything."""
    expect.set_options(timeout=STEP_MS)
    arguments = [
        "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def window(browser: Browser, url: str, faults: list[str] | None = None, **options: Any) -> Iterator[Page]:
    """A window with a storage of its own; what goes wrong in it is collected in `faults`."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    try:
        yield open_page(context.new_page(), url, [] if faults is None else faults)
    finally:
        context.close()


def open_page(page: Page, url: str, faults: list[str]) -> Page:
    """Have a page go to a URL, and collect what goes wrong in it."""

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(message.text)

    page.set_default_timeout(STEP_MS)
    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(url)
    return page


def shoot(page: Page, name: str) -> Path:
    """Keep a picture of the page."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    path = SHOTS / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
