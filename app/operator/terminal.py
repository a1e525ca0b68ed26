"""The terminal that `top` draws in: whole frames, single keys, and as it was at the end, whatever ends it."""

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

_BEGIN: Final = "\x1b[?1049h\x1b[?25l"
_END: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_TO_END_OF_LINE: Final = "\x1b[K"
_TO_END: Final = "\x1b[J"


class Size(NamedTuple):
    """Columns and lines."""

    columns: int
    lines: int


class Terminal:
    """What a person sees and types. No colours, no more than four sequences that every terminal has had for decades."""

    def __init__(self) -> None:
        self._keyboard = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._keyboard)

    @staticmethod
    def is_there() -> bool:
        """Tell whether there is one, in which the cursor can be moved."""
        return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)  # the terminal is set back, whichever ends it
        tty.setcbreak(self._keyboard)
        self._write(_BEGIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, termios.error):  # it may be gone
            self._write(_END)
            termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._before)

    @property
    def size(self) -> Size:
        """How large it is now."""
        return Size(*shutil.get_terminal_size((80, 24)))

    def draw(self, lines: Sequence[str]) -> None:
        """Show a frame in place of the last one."""
        self._write(_HOME + f"{_TO_END_OF_LINE}\r\n".join(lines) + _TO_END_OF_LINE + _TO_END)

    def key(self, also: int, timeout_s: float) -> str:
        """Wait for a key, for something to read from the descriptor `also`, or for the time; return the key, if any."""
        ready, _, _ = select.select([self._keyboard, also], [], [], timeout_s)
        if self._keyboard not in ready:
            return ""
        typed = os.read(self._keyboard, 64)
        if not typed:
            raise KeyboardInterrupt  # it was closed
        return typed.decode("ascii", "replace")[:1]

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "ascii", "replace"))
        sys.stdout.buffer.flush()
