"""Where lines of the log go: a stream, or a file that does not grow without end."""

import contextlib
import os
from collections.abc import Sequence
from io import FileIO, RawIOBase
from pathlib import Path
from select import PIPE_BUF

from app.settings import LOG_FOLDER


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting: a FIFO that nobody reads is an error, not a start that never ends."""
    return os.open(path, flags | os.O_NONBLOCK, 0o666)


def _opened(file: Path) -> FileIO:
    opened = open(file, "ab", buffering=0, opener=_open_at_once)  # noqa: SIM115 - Path.open has no opener; the sink closes it
    os.set_blocking(opened.fileno(), True)
    return opened


class Sink:
    """Where lines go, unbuffered: that one failed is known, and half of a line does not spoil the next."""

    def __init__(self, raw: RawIOBase) -> None:
        self.raw = raw
        self.is_shared = False
        self._torn = False

    def write(self, lines: Sequence[bytes]) -> int:
        """Write lines; count those written before one could not be: disk full, stdout closed, reader asleep."""
        mended = b"\n" if self._torn else b""
        data = b"".join((mended, *lines))
        done = self._write(data)
        if done == len(data):
            self._torn = False
            return len(lines)
        left = done - len(mended)
        if left < 0:
            return 0
        count = 0
        while left >= len(lines[count]):
            left -= len(lines[count])
            count += 1
        self._torn = left > 0
        return count

    def _write(self, data: bytes) -> int:
        done = 0
        with contextlib.suppress(OSError, ValueError):  # the service goes on; what was not written is counted
            while done < len(data) and (count := self.raw.write(self._next(data, done))) is not None:
                done += count
        return done

    def _next(self, data: bytes, done: int) -> bytes:
        """Choose what is written next: whole lines that a pipe takes at once, where others write to it too."""
        if not self.is_shared:
            return data[done:]
        end = data.rfind(b"\n", done, done + PIPE_BUF)
        return data[done : (end if end >= 0 else data.find(b"\n", done)) + 1]


class FileSink(Sink):
    """A file; once it would be longer than `max_bytes` it is put aside as ``NAME.1``, in place of the one before."""

    def __init__(self, file: Path, max_bytes: int) -> None:
        """Open it, to be at most `max_bytes` long; 0: it grows, or somebody else sees to it. Raises OSError."""
        if file.parent == LOG_FOLDER:  # elsewhere a misspelt path would begin a log that nobody finds
            file.parent.mkdir(exist_ok=True)
        super().__init__(_opened(file))
        self._file = file
        self._max_bytes = max_bytes

    def write(self, lines: Sequence[bytes]) -> int:
        """Write lines, into a new file where they would make this one too long."""
        if self._max_bytes:
            with contextlib.suppress(OSError, ValueError):  # it grows on, rather than losing lines
                self._put_aside(sum(map(len, lines)))
        return super().write(lines)

    def close(self) -> None:
        """Close the file."""
        self.raw.close()

    def _put_aside(self, more: int) -> None:
        size = os.fstat(self.raw.fileno()).st_size  # of what is no plain file, 0
        if not size or size + more <= self._max_bytes:
            return
        self._file.replace(self._file.with_name(f"{self._file.name}.1"))
        before, self.raw = self.raw, _opened(self._file)
        before.close()
