"""A lock on a file that one process owns: the operating system's, so that it ends with its owner, however that ends.

It is taken on a file beside the one it is about, in which stands who has it. That file stays where it is: whoever
removed it could remove the next one's. Should somebody do so, or come to the owned file by another name (a hard link),
a lock on the owned file itself refuses them; it is of a byte so far behind the end that it is not in the way of
SQLite's own.
"""

import contextlib
import datetime as dt
import fcntl
import json
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Final

from app.eventlog.port import LogInUse

MAX_HOLDER_BYTES: Final = 1_024
_FAR: Final = 1 << 62
"""Which byte of the owned file is locked: SQLite's are at a gigabyte ("File Locking And Concurrency In SQLite")."""


class OwnerLock:
    """Locks `path`; the lock is held by one `OwnerLock` at a time, also within one process (flock(2))."""

    def __init__(self, path: Path) -> None:
        self._owned = path.resolve()
        self._path = self._owned.with_name(f"{self._owned.name}.lock")
        self._files: list[int] = []

    def take(self) -> None:
        """Take it, at once or not at all. What is owned is made, empty, where it does not exist.

        Raises:
            LogInUse: another has it; the message says who, and what to do.
            OSError: the lock file, or what is owned, cannot be made or locked there.
        """
        try:
            file = self._open(self._path, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _lock_far(self._open(self._owned, 0o644))
            os.ftruncate(file, 0)
            os.pwrite(file, _holder(), 0)
        except BlockingIOError:
            held_by = _read_holder(os.pread(file, MAX_HOLDER_BYTES, 0))
            self._close()
            raise LogInUse(
                f"{self._owned} is in use by {held_by}: one process owns an SQLite file; stop that one, or set"
                " EVENT_LOG_URL to another file, or to NATS for many replicas"
            ) from None
        except OSError:
            self._close()
            raise

    def release(self) -> None:
        """Give it back, if it is held; what is owned must be closed before, closing it here ends SQLite's own locks."""
        if self._files:
            with contextlib.suppress(OSError):  # it says nothing of importance any more
                os.ftruncate(self._files[0], 0)
        self._close()

    def _open(self, path: Path, mode: int) -> int:
        file = os.open(path, os.O_RDWR | os.O_CREAT, mode)  # closed in what is executed (PEP 446)
        self._files.append(file)
        return file

    def _close(self) -> None:
        while self._files:  # that beside it last: whoever gets it finds the rest free
            os.close(self._files.pop())


def _lock_far(file: int) -> None:
    """Lock the owned file itself where the system knows locks of an open file. Raises BlockingIOError."""
    if sys.platform == "linux":
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, _FAR, 1, 0)
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
        except BlockingIOError:
            raise
        except OSError:
            return  # a file system without them: the file beside it is all there is


def _holder() -> bytes:
    since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()


def _read_holder(text: bytes) -> str:
    """Tell who has the lock, by what the file says; it may just be being written."""
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
