"""The service on a disk of which as large a part is left as stands in the file ``disk-left``.

A fake: what it is told of the disk is made up, as only root could give it a real one to be filled.
"""

import os
import sys
from pathlib import Path

from app import process
from app.__main__ import main

LEFT = Path("disk-left")
_true = os.statvfs


def _small(path: Path) -> os.statvfs_result:
    told = list(_true(path))
    left = float(LEFT.read_text() or 1) if LEFT.exists() else 1.0
    told[4] = int(told[2] * left)  # f_bavail of f_blocks
    return os.statvfs_result(told)


if __name__ == "__main__":
    process.os.statvfs = _small  # type: ignore[attr-defined] # the fault
    sys.exit(main())
