"""`code-racer top` in a real terminal: it shows what is there, obeys keys, and leaves the terminal as it was."""

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tools.harness.console import Console
from tools.harness.player import Player
from tools.harness.server import ROOT, SOURCES, STEP_TIMEOUT_S, ServerProcess
from tools.harness.tokens import token

OVER = "\x1b[?25h\x1b[?1049l"


class Screen:
    """`top` on a terminal of 80 columns and 24 lines, as over ssh."""

    def __init__(self, url: str) -> None:
        self._keys, self._terminal = os.openpty()
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.modes = termios.tcgetattr(self._terminal)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.harness.on_terminal", "top", "--url", url, "--every-s", "0.2"],
            cwd=ROOT, stdin=self._terminal, stdout=self._terminal, stderr=self._terminal,
            env={"PATH": "/usr/bin", "PYTHONPATH": SOURCES, "TERM": "vt100", "TERMINAL": os.ttyname(self._terminal)},
        )  # fmt: skip
        self.said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(STEP_TIMEOUT_S)
        os.close(self._keys)
        os.close(self._terminal)

    def press(self, key: bytes) -> None:
        """Type a key; what was said before it is forgotten."""
        self.said = ""
        os.write(self._keys, key)

    def until(self, text: str) -> None:
        """Read until it says so."""
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while text not in self.said:
            ready, _, _ = select.select([self._keys], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"it never said {text!r}: {self.said[-3000:]}"
            self.said += os.read(self._keys, 65_536).decode()

    def ended(self) -> int:
        """Its exit code, once it has set the terminal back."""
        self.until(OVER)
        code = self._process.wait(STEP_TIMEOUT_S)
        assert termios.tcgetattr(self._terminal) == self.modes
        return code


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("top"), replica="alone") as running:
        yield running


def test_it_shows_what_is_there_again_and_again_and_ends_with_q(server: ServerProcess) -> None:
    game = server.new_game(token("ann"))
    with Screen(server.http_url) as screen, Player(server, game, token("ann")) as ann:
        ann.until("welcome")
        screen.until("1 connection")
        screen.until("ann")
        ann.send("nonsense")
        ann.until("error")
        screen.until("unknown_type")
        screen.press(b"g")
        screen.until("GAMES")
        screen.until(game)
        screen.press(b"h")
        screen.until("HOT")
        screen.press(b"x")
        screen.until("CLOSES")
        screen.press(b"q")
        assert screen.ended() == 0
        assert "Traceback" not in screen.said


def test_it_ends_with_control_c(server: ServerProcess) -> None:
    with Screen(server.http_url) as screen:
        screen.until("code-racer")
        screen.press(b"\x03")
        assert screen.ended() == 0
        assert "Traceback" not in screen.said


def test_a_service_that_goes_is_told_and_the_last_frame_stays(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, replica="alone") as server, Screen(server.http_url) as screen:
        screen.until("1 replica")
        server.stop()
        screen.until("nobody listens there")
        assert "alone" in screen.said
        server.start()
        screen.said = ""
        screen.until("q quits")
        screen.press(b"q")
        assert screen.ended() == 0


def test_once_prints_one_frame_without_a_terminal(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Console(capsys, server.http_url, token="").text("top", "--once").splitlines()
    assert lines[0].startswith("code-racer  ")
    assert any(line.split()[:2] == ["alone", "ready"] for line in lines)
    assert len(lines) <= 24
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in "".join(lines)
