"""A lock on a file that one process owns: the operating system's, so that it ends with its owner, however that ends.

It is taken on a file beside the one it is about (SQLite's own locks on the database file must not be disturbed), in
which stands who has it. That file stays where it is: whoever removed it could remove the next one's.
"""

import contextlib
import datetime as dt
import fcntl
import json
import os
import socket
from pathlib import Path
from typing import Final

from app.eventlog.port import LogInUse

MAX_HOLDER_BYTES: Final = 1_024


class OwnerLock:
    """The lock of `path`; it is held by one `OwnerLock` at a time, also within one process (flock(2))."""

    def __init__(self, path: Path) -> None:
        self._owned = path.resolve()
        self._path = self._owned.with_name(f"{self._owned.name}.lock")
        self._file: int | None = None

    def take(self) -> None:
        """Take it, at once or not at all.

        Raises:
            LogInUse: another has it; the message says who, and what to do.
            OSError: the lock file cannot be made or locked there.
        """
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)  # closed in what is executed (PEP 446)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, _holder(), 0)
        except BlockingIOError:
            held_by = _read_holder(os.pread(file, MAX_HOLDER_BYTES, 0))
            os.close(file)
            raise LogInUse(
                f"{self._owned} is in use by {held_by}: one process owns an SQLite file; stop that one, or set"
                " EVENT_LOG_URL to another file, or to NATS for many replicas"
            ) from None
        except OSError:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Give it back, if it is held."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # it says nothing of importance any more
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def _holder() -> bytes:
    since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()


def _read_holder(text: bytes) -> str:
    """Who it says has it; it may just be being written."""
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
