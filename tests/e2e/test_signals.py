"""Every signal there is, at a real server with a real player: no one cuts the connection without a close frame."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from app.signals import ENDING, HANDLED, LEFT_ALONE, name
from tools.harness.player import Player
from tools.harness.processes import children
from tools.harness.server import SECRET, SOURCES, ServerProcess, until
from tools.harness.tokens import token

pytestmark = pytest.mark.long
UNHANDLED = {signal.SIGKILL, signal.SIGSTOP}
FAULTS = {
    signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP,
}  # fmt: skip
STOPPING = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
HARMLESS = {
    signal.SIGCONT, signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGPIPE, signal.SIGXFSZ,
}  # fmt: skip
LOGGED = sorted(HANDLED - ENDING)
STILL_WAITING = {"drain_delay_s": 600, "drain_game_wait_s": 600, "drain_spread_s": 600, "close_timeout_s": 600}


def playing(server: ServerProcess) -> Player:
    player = Player(server, server.new_game(token("host")), token("ann"))
    player.until("player_joined", player_id="ann")
    return player


def ask(player: Player) -> None:
    player.send("ping", {"timestamp": 1})
    player.until("pong")


def test_every_signal_is_in_the_table() -> None:
    assert set(signal.valid_signals()) == UNHANDLED | FAULTS | STOPPING | HARMLESS | set(LOGGED) | ENDING
    assert LEFT_ALONE == UNHANDLED | FAULTS | STOPPING | HARMLESS
    assert {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPROF} <= set(LOGGED)


def test_what_says_nothing_about_the_end_changes_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, playing(server) as player:
        for number in LOGGED:
            os.kill(server.pid, number)
            assert server.wait_for_log("app.signalled", signal=name(number))
            ask(player)
        for number in [*HARMLESS, *STOPPING]:
            os.kill(server.pid, number)
            os.kill(server.pid, signal.SIGCONT)
            ask(player)
        server.until_all_is_logged()
        assert len(server.logged("app.signalled")) == len(LOGGED)
        assert not server.logged("app.draining")
        assert not server.logged("ws.closed")


def test_where_a_blocked_event_loop_stands_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    with ServerProcess(tmp_path, "tools.harness.blocked") as server, playing(server) as player:
        player.send("ready")
        gate = os.open(tmp_path / "gate", os.O_WRONLY)  # returns once the loop stands there
        try:
            os.kill(server.pid, signal.SIGUSR2)
            until(lambda: "in stand_still" in server.stderr)
            assert "logs.py" in server.stderr, "the other threads"
            assert not server.logged("app.signalled")
        finally:
            os.close(gate)
        server.wait_for_log("app.signalled", signal="SIGUSR2")
        ask(player)


@pytest.mark.parametrize("number", sorted(ENDING), ids=name)
@pytest.mark.parametrize("transport", ["lean", "uvicorn"])
def test_who_is_told_to_end_drains(tmp_path: Path, number: signal.Signals, transport: str) -> None:
    server = ServerProcess(tmp_path, ws_transport=transport).start()
    with playing(server) as player:
        os.kill(server.pid, number)
        assert player.until_closed() == (1012, "draining")
        assert player.received[-1]["data"]["retry_after_ms"] > 0
    assert server.wait() == 0
    assert server.logged("app.draining", signal=name(number))
    assert server.records()[-1]["event"] == "app.stopped"


@contextlib.contextmanager
def on_terminal(folder: Path, **settings: object) -> Iterator[tuple[ServerProcess, Callable[[], None]]]:
    """A server on a terminal, and how to have that go."""
    outside, inside = os.openpty()
    with ServerProcess(folder, "tools.harness.on_terminal", terminal=os.ttyname(inside), **settings) as server:
        os.close(inside)
        yield server, partial(os.close, outside)


@pytest.fixture
def hangup_ends() -> Iterator[None]:
    """Whoever began the tests with nohup has left SIGHUP ignored, also for what they start."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangup_ends")
def test_a_terminal_that_goes_ends_what_runs_on_it(tmp_path: Path) -> None:
    """The kernel sends SIGHUP, the shell often another one: that hurries nobody."""
    with on_terminal(tmp_path, drain_delay_s=600) as (server, hang_up), playing(server) as player:
        hang_up()
        server.wait_for_log("app.draining", signal="SIGHUP")
        for number in (signal.SIGHUP, signal.SIGUSR1):
            os.kill(server.pid, number)
        server.wait_for_log("app.signalled", signal="SIGUSR1")
        ask(player)
        os.kill(server.pid, signal.SIGTERM)
        assert player.until_closed() == (1012, "draining")
        assert server.wait() == 0


def test_nohup_holds(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with on_terminal(tmp_path) as (server, hang_up), playing(server) as player:
            hang_up()
            server.wait_for_log("app.signalled", signal="SIGHUP")
            ask(player)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT, signal.SIGTERM), (signal.SIGQUIT,) * 3],
    ids=["INT INT", "TERM INT TERM", "QUIT QUIT QUIT"],
)
def test_a_second_interrupt_or_a_third_signal_waits_for_nobody(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    """Not even for a peer that does not answer the close frame; but everybody is sent one."""
    server = ServerProcess(tmp_path, **STILL_WAITING).start()
    with playing(server) as player:
        stuck = Player(server, server.new_game(token("host")), token("stuck"))
        stuck.ws.protocol.recv_frame = lambda *_: None  # type: ignore[method-assign] # a client that is stuck
        for sent, number in enumerate(numbers, 1):
            assert not server.logged("app.stopped")
            os.kill(server.pid, number)
            server.wait_for_log("app.draining")
            if sent == len(numbers) - 1 and sent > 1:
                server.wait_for_log("app.drain_progressed", phase="closing")
        assert player.until_closed() == (1012, "draining")
        assert server.wait() == 0
        stuck.ws.socket.close()
    assert server.records()[-1]["event"] == "app.stopped"
    assert "Traceback" not in server.stderr
    assert not [record for record in server.records() if record["level"] in {"warning", "error"}]


def blocked(server: ServerProcess) -> bool:
    """Whether its main thread holds SIGTERM back."""
    status = Path(f"/proc/{server.pid}/status").read_text().split()
    return bool(int(status[status.index("SigBlk:") + 1], 16) >> signal.SIGTERM - 1 & 1)


class Starting(ServerProcess):
    """Signalled as soon as it is more than a Python that starts."""

    def __init__(self, folder: Path, number: int, **settings: object) -> None:
        super().__init__(folder, **settings)
        self.number = number

    def _launch(self, stdout: int | IO[bytes]) -> "subprocess.Popen[str]":
        process = self._process = super()._launch(stdout)
        until(lambda: blocked(self))
        process.send_signal(self.number)
        return process


@pytest.mark.parametrize("number", sorted(ENDING), ids=name)
def test_who_is_told_to_end_while_it_starts_ends_cleanly(tmp_path: Path, number: int) -> None:
    server = Starting(tmp_path, number)
    server.start()
    assert server.wait() == 0
    assert server.logged("app.draining", signal=name(number))
    assert server.records()[-1]["event"] == "app.stopped"
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM])
def test_another_signal_while_it_starts_changes_nothing(tmp_path: Path, number: int) -> None:
    with Starting(tmp_path, number) as server, playing(server) as player:
        server.wait_for_log("app.signalled", signal=name(number))
        ask(player)


def test_the_judges_workers_hold_no_signal_back_and_ignore_only_what_ends_the_service_first(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, playing(server):
        workers = children(server.pid)
        assert workers
        for child in workers:
            status = Path(f"/proc/{child}/status").read_text().split()
            masks = {kind: int(status[status.index(f"{kind}:") + 1], 16) for kind in ("SigBlk", "SigIgn")}
            assert masks["SigBlk"] == 0
            ignored = {number for number in signal.Signals if masks["SigIgn"] >> number - 1 & 1}
            assert ignored == {signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ}, "the last two are Python's"


EARLY = """
import os, signal, sys

class Tell:
    def find_spec(self, name, *_):
        if name == "app.settings":  # the first of what takes time
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Tell())
from app.__main__ import main
sys.exit(main(["serve"]))
"""
"""What the installed `code-racer` does, told to end while it still imports the service."""


def test_one_that_comes_while_the_installed_program_imports_itself_is_answered_in_the_end(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": SOURCES, "PORT": "0", "JWT_SECRET": SECRET, "EVENT_LOG_URL": "memory:"}
    done = subprocess.run(
        [sys.executable, "-c", EARLY], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"app.stopped"' in done.stdout


def test_one_that_comes_when_the_drain_is_over_changes_nothing(tmp_path: Path) -> None:
    """It ended the process with the signal, before `app.stopped`."""
    server = ServerProcess(tmp_path, "tools.harness.told_twice").start()
    assert server.stop() == 0
    assert server.logged("app.stopped")
