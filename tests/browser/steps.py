"""What the tests of the page do again and again: a race, and a player who enters it."""

from typing import Any

from playwright.sync_api import Page, expect

from tools.harness.server import ServerProcess
from tools.harness.tokens import token

HOST = "host"
DRAFT = "def solve(numbers, limit):\n    return 0  # my draft\n"


def new_game(server: ServerProcess, **wishes: object) -> str:
    """The link to a game that one player can start."""
    return f"{server.http_url}/?game={server.new_game(token(HOST), **{'min_players': 1, **wishes})}"


def enter(page: Page, name: str = "Ann") -> None:
    """Come into the game of the page, and be ready."""
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="I am ready").click()


def race(page: Page, name: str = "Ann") -> None:
    """Come into the game of the page, and begin."""
    enter(page, name)
    expect(page.locator("#statement")).to_contain_text("First time over")


def is_open(page: Page) -> None:
    """The page is connected, or will be soon."""
    expect(page.locator("#connection")).to_have_attribute("data-state", "open")


def known(server: ServerProcess, page: Page) -> dict[str, Any]:
    """The game of the page, as the service knows it."""
    game_id = page.url.partition("game=")[2]
    asked = {"authorization": f"Bearer {token(HOST)}"}
    return dict(page.request.get(f"{server.http_url}/api/games/{game_id}", headers=asked).json())
