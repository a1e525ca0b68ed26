"""What the process does with each signal (docs/operations.md has the table).

Players see a close frame whatever comes, but for SIGKILL and for those by which the kernel says that the process is
broken. Handlers, not SIG_IGN: what is ignored stays ignored in child processes.
"""

import faulthandler
import os
import signal
import sys
from typing import Final

ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU})
"""They drain: told to stop, by a person or a supervisor; out of processor time (RLIMIT_CPU)."""
LEFT_ALONE: Final = frozenset(
    {
        signal.SIGKILL, signal.SIGSTOP,  # nobody can handle them
        signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS,
        signal.SIGTRAP,  # faults: going on is no choice
        signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT,  # the shell's job control
        signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH,  # nothing by default
        signal.SIGPIPE, signal.SIGXFSZ,  # ignored by Python, which raises OSError instead
    }
)  # fmt: skip
HANDLED: Final = frozenset(signal.valid_signals() - LEFT_ALONE)
"""Those that would end the process by default. What is not in `ENDING` is logged, and that is all."""


def block() -> None:
    """Keep signals waiting until `unblock`: while the process starts there is nobody to answer them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)


def unblock() -> None:
    """Deliver the signals that wait, and those to come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def show_stacks() -> None:
    """Have SIGUSR2 write every thread's stack to stderr besides, even while the event loop stands still.

    To be called when its handler is there. Names of files and functions, no values: nothing secret is in a stack.
    """
    if sys.stderr is not None:  # else descriptor 2 may be a file of ours
        faulthandler.register(signal.SIGUSR2, sys.stderr, all_threads=True, chain=True)


def hide_stacks() -> None:
    """Undo `show_stacks`."""
    faulthandler.unregister(signal.SIGUSR2)


def ends(number: int, *, on_terminal: bool) -> bool:
    """Return whether the signal says that the process must end: SIGHUP does where the terminal goes that it runs on."""
    return number in ENDING or (number == signal.SIGHUP and on_terminal)


def has_terminal() -> bool:
    """Return whether the process has a controlling terminal, whose end ends it too."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN


def name(number: int) -> str:
    """Return the name of a signal, as ``kill -l`` has it."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"SIGRTMIN+{number - signal.SIGRTMIN}"
