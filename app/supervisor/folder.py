"""The folder that workers share for as long as one of them or their supervisor lives; the next supervisor removes it.

It is locked (flock(2)) through a descriptor that the workers inherit, so it is locked as long as any of them runs,
whoever was killed. A cleaner of the folder for temporary files leaves what is locked (tmpfiles.d(5)), and so do we.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PREFIX: Final = "code-racer-workers-"


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A folder that is there, and the descriptor that keeps it locked."""

    path: str
    held: int


@contextlib.contextmanager
def shared_folder() -> Iterator[SharedFolder]:
    """Have a folder while in the block; those that nobody uses any more are removed. Raises OSError."""
    _remove_left(Path(tempfile.gettempdir()))
    folder = _made()
    try:
        yield folder
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)
        os.close(folder.held)


def _made() -> SharedFolder:
    while True:
        path = tempfile.mkdtemp(prefix=PREFIX)
        held = hold(Path(path))
        if held is not None:  # else another that starts has taken it for one that was left
            return SharedFolder(path, held)


def hold(folder: Path) -> int | None:
    """Lock a folder, at once or not at all: None where another has it, or it is gone. Raises OSError."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        if isinstance(error, BlockingIOError):
            return None
        raise
    if os.fstat(held).st_nlink:
        return held
    os.close(held)
    return None


def is_any_held() -> bool:
    """Return whether workers of this user run, whether they have a supervisor or not."""
    return any(_is_held(one) for one in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


def _is_held(folder: Path) -> bool:
    with contextlib.suppress(OSError):  # it is none of ours
        held = hold(folder)
        if held is None:
            return folder.exists()
        os.close(held)
    return False


def _remove_left(folder: Path) -> None:
    """Remove what supervisors of ours that were killed have left, and whose workers have ended too."""
    for left in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it is another user's, or none of ours, or cannot be locked: it stays
            held = hold(left) if left.lstat().st_uid == os.getuid() else None
            if held is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(held)
