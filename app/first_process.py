"""The first process of a container: it starts the program, hands on what it is told, and takes whatever ends.

A process whose parent has ended is left to the first one, and stays among those that count for the container's limit
until it is asked for. The judge's are left so: those of a worker that was killed, and what a killed one had started.
"""

import contextlib
import os
import signal
from typing import Final

from app import signals

_FROM_A_PROCESS: Final = 0
"""A signal's code is at most that where a process sent it (sigaction(2)). A terminal's comes to the child as well."""
_KILLED: Final = 128
"""Added to the number of the signal that killed the child, as shells do."""


def stand_by() -> None:
    """Go on in a child, its signals as they were. This process ends as that does, and does nothing else meanwhile."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    child = os.fork()
    if child:
        os._exit(_until_ended(child))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _until_ended(child: int) -> int:
    """Hand signals on to the child until it has ended; return its exit code."""
    while True:
        told = signal.sigwaitinfo(signals.HANDLED | {signal.SIGCHLD})
        if told.si_signo != signal.SIGCHLD:
            if told.si_code <= _FROM_A_PROCESS:
                os.kill(child, told.si_signo)
        elif (code := _take_ended(child)) is not None:
            return code if code >= 0 else _KILLED - code


def _take_ended(child: int) -> int | None:
    """Take all that have ended; return the child's exit code if it is among them."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                return os.waitstatus_to_exitcode(ended[1])
    return None
