"""Two minutes without the service, on a desktop and on a phone: who writes on and hands in meanwhile wins the race.

``python -m tests.browser.outage --seconds 120`` plays each kind of outage, all at once and in real time.
"""

import argparse
import contextlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.steps import HOST, enter, known
from tools.harness.browser import DESKTOP, PHONE, chromium, overflow, shoot, window
from tools.harness.player import SOLUTION, Player
from tools.harness.proxy import TcpProxy
from tools.harness.server import ServerProcess
from tools.harness.tokens import token

OFFLINE: Final = "offline"
SILENT: Final = "nothing gets through, and nobody is told"
KILLED: Final = "the server is killed and started again"
KINDS: Final = (OFFLINE, SILENT, KILLED)


class Racer:
    """A window in a race of its own, which somebody else is in too."""

    def __init__(self, page: Page, proxy: TcpProxy, rival: Player, url: str) -> None:
        self.page = page
        self.proxy = proxy
        self._rival = rival
        page.goto(url)
        enter(page)
        rival.send("ready")
        expect(page.locator("#statement")).to_contain_text("First time over")

    def hands_in(self) -> None:
        """Write on, and hand in, while nobody hears it."""
        expect(self.page.locator("#connection")).to_contain_text(re.compile(r"connection lost at \d"))
        self.page.locator("#code").fill(SOLUTION)
        self.page.get_by_role("button", name="Submit").click()
        expect(self.page.locator("#verdict")).to_contain_text("as soon as the connection is back")
        expect(self.page.locator("#outage")).to_contain_text(re.compile("It was lost at .*You can write on"))
        assert overflow(self.page) <= 0

    def is_given_up(self) -> None:
        """For the others the player has left by now; the seat of a race stays."""
        self._rival.until("player_left")

    def wins(self, server: ServerProcess) -> None:
        """Come back unasked; what was handed in has counted once."""
        expect(self.page.locator("#winner")).to_have_text("You won!", timeout=60_000)
        expect(self.page.locator("#outage")).to_be_hidden()
        expect(self.page.locator("#verdict")).to_contain_text("Accepted")
        tries = {one["name"]: one["attempts"] for one in known(server, self.page)["players"]}
        assert tries == {"Ann": 1, "bob": 0}


@contextlib.contextmanager
def racer(browser: Browser, server: ServerProcess, size: ViewportSize, *, is_sped: bool) -> Iterator[Racer]:
    """A window that reaches the server by a network of its own."""
    game_id = server.new_game(token(HOST), min_players=2)
    with (
        TcpProxy(int(server.settings["PORT"])) as proxy,
        window(browser, "about:blank", viewport=size) as page,
        Player(server, game_id, token("bob")) as rival,
    ):
        if is_sped:
            page.clock.install()
        yield Racer(page, proxy, rival, f"http://127.0.0.1:{proxy.port}/?game={game_id}")


class Outage:
    """An outage of a kind, for a desktop and a phone; where it is sped up, the time is that of their clocks."""

    def __init__(self, kind: str, server: ServerProcess, racers: list[Racer], *, is_sped: bool) -> None:
        self.kind = kind
        self._server = server
        self._racers = racers
        self._is_sped = is_sped

    def begin(self) -> None:
        """Nobody is reached any more."""
        if self.kind == KILLED:
            self._server.kill()
        for one in self._racers:
            if self.kind == OFFLINE:
                one.page.context.set_offline(True)
            elif self.kind == SILENT:
                one.proxy.partition()

    def hand_in(self) -> None:
        """Both hand in."""
        for one in self._racers:
            one.hands_in()
            shoot(one.page, f"outage-{KINDS.index(self.kind)}-{one.page.evaluate('innerWidth')}")

    def end(self) -> None:
        """All is well again; the others have given both up, where the server lives on and has had time to notice."""
        if self.kind == OFFLINE or (self.kind == SILENT and not self._is_sped):
            for one in self._racers:
                one.is_given_up()
        if self.kind == KILLED:
            self._server.start()
        for one in self._racers:
            if self.kind == OFFLINE:
                one.page.context.set_offline(False)
            elif self.kind == SILENT:
                one.proxy.heal()

    def pass_by(self, seconds: float) -> None:
        """Have the clocks of both go on so far."""
        for one in self._racers:
            one.page.clock.fast_forward(int(seconds * 1000))

    def look(self) -> None:
        """Both have won."""
        for one in self._racers:
            one.wins(self._server)


@contextlib.contextmanager
def outage(kind: str, browser: Browser, server: ServerProcess, *, is_sped: bool) -> Iterator[Outage]:
    """An outage for both sizes of windows."""
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(racer(browser, server, size, is_sped=is_sped)) for size in (DESKTOP, PHONE)]
        yield Outage(kind, server, racers, is_sped=is_sped)


def play(seconds: float, folder: Path) -> list[str]:
    """Play each kind with a server of its own, all at once and in real time; what went wrong, by kind."""
    wrong = []
    with contextlib.ExitStack() as stack:
        browser = stack.enter_context(chromium())
        servers = [stack.enter_context(ServerProcess(folder / str(at))) for at in range(len(KINDS))]
        outages = [
            stack.enter_context(outage(kind, browser, server, is_sped=False))
            for kind, server in zip(KINDS, servers, strict=True)
        ]
        for one in outages:
            one.begin()
        over = time.monotonic() + seconds
        for one in outages:
            one.hand_in()
        time.sleep(max(0, over - time.monotonic()))  # that is what it is about
        for one in outages:
            one.end()
        for one in outages:
            try:
                one.look()
            except AssertionError as error:
                wrong.append(f"{one.kind}: {error}")
    return wrong


def main() -> int:
    """Play them; print what went wrong, and return how many kinds did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    wished = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = play(wished.seconds, Path(folder))
    for kind in KINDS:
        faults = [one for one in wrong if one.startswith(kind)]
        sys.stdout.write(f"{'BAD ' if faults else 'good'}  the page, {wished.seconds:.0f} s: {faults or kind}\n")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
