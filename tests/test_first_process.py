"""The first process of a container: what it is told is handed on, and nobody stays among the dead."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.harness.server import ROOT, STEP_TIMEOUT_S, until

PROGRAM = """
import ctypes, os, signal, subprocess, sys
from app import first_process, signals
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0  # orphans come here, as to a container's first
signals.block()
first_process.stand_by()
reads = "import sys; sys.stdin.read()"
left = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', '{reads}'], stdout=2).pid)"
print(os.getpid(), subprocess.check_output([sys.executable, "-c", left], text=True).strip(), flush=True)
sys.exit(signal.sigwait(signals.HANDLED))
"""


@pytest.fixture
def first() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        yield running
        running.kill()


def pids(first: subprocess.Popen[str]) -> tuple[int, int]:
    """The program that it has started, and a process whose parent has ended."""
    assert first.stdout is not None
    child, left = map(int, first.stdout.readline().split())
    return child, left


def test_whoever_was_left_to_it_is_gone_when_it_has_ended(first: subprocess.Popen[str]) -> None:
    _, left = pids(first)
    assert Path(f"/proc/{left}").exists()
    os.kill(left, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{left}").exists())
    first.send_signal(signal.SIGTERM)
    assert first.wait(STEP_TIMEOUT_S) == signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGINT])
def test_what_it_is_told_its_program_is_told_and_it_ends_as_that_does(
    first: subprocess.Popen[str], number: int
) -> None:
    pids(first)
    first.send_signal(number)
    assert first.wait(STEP_TIMEOUT_S) == number


def test_a_program_that_is_killed_ends_it(first: subprocess.Popen[str]) -> None:
    child, _ = pids(first)
    os.kill(child, signal.SIGKILL)
    assert first.wait(STEP_TIMEOUT_S) == 128 + signal.SIGKILL
