"""The service with its files on a small disk: a tmpfs in a mount namespace of its own, which `fill` fills from here."""

import os
import sys
from pathlib import Path
from typing import Final

from tools.harness.server import ServerProcess

BYTES: Final = 32 * 1024 * 1024
FOLDER: Final = "var"
_MOUNTED: Final = f'mkdir -p {FOLDER} && mount -t tmpfs -o size={BYTES} small {FOLDER} && exec "$@"'


def place(server: ServerProcess) -> Path:
    """Return where its disk is found from here."""
    return Path(f"/proc/{server.pid}/root{server.folder.absolute()}/{FOLDER}")


def fill(server: ServerProcess, left: float) -> None:
    """Fill its disk, or empty it, until such a part of it is left."""
    filler = place(server) / "filler"
    with filler.open("ab") as file:
        disk = os.statvfs(filler.parent)
        taken = file.tell() // disk.f_frsize + disk.f_bavail - int(disk.f_blocks * left)
        file.truncate(max(0, min(file.tell(), taken * disk.f_frsize)))
        os.posix_fallocate(file.fileno(), 0, max(1, taken * disk.f_frsize))


def main() -> None:
    """Become the service, over a disk of its own."""
    alone = ("-m",) if os.geteuid() == 0 else ("-r", "-m")  # whoever is not root is it in a namespace of his own
    service = (sys.executable, "-m", "app", *sys.argv[1:])
    os.execvp("unshare", ("unshare", *alone, "sh", "-c", _MOUNTED, "sh", *service))  # noqa: S606 - our own


if __name__ == "__main__":
    main()
