"""Commands that start others: a group of processes of its own, as a terminal's Ctrl+C reaches it."""

import os
import signal
import subprocess
from typing import Any


def ctrl_c(process: "subprocess.Popen[Any]", timeout_s: float) -> None:
    """Send SIGINT to the group that `process` leads, as Ctrl+C does, and wait until it has ended.

    Raises:
        subprocess.TimeoutExpired: it did not end; then the group is killed, so that nothing is left of it.
    """
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
