"""Count, walk, or draw: see `tools.house`."""

import argparse
import sys
from pathlib import Path
from typing import TextIO

from tools.house.counts import Exceptions, count, faults
from tools.house.picture import picture
from tools.house.walk import walk

HERE = Path(__file__).parents[2]


def main() -> int:
    """Say what was counted; the exit code is 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tools.house", description="Count what the structure may have.")
    parser.add_argument("what", nargs="?", choices=("count", "walk", "picture"), default="count")
    parser.add_argument("--root", type=Path, default=HERE, help="another tree")
    arguments = parser.parse_args()
    if arguments.what == "picture":
        _say(picture(arguments.root))
        return 0
    exceptions = Exceptions.read()
    if arguments.what == "walk":
        steps = walk(arguments.root)
        for file, functions in steps.items():
            _say(f"{file:40} {' '.join(functions)}")
        _say(f"{len(steps)} files, at most {exceptions.walk}")
        return int(len(steps) > exceptions.walk)
    counts = count(arguments.root)
    found = faults(counts, exceptions)
    _say(
        f"telemetry calls outside app/telemetry: {len(counts.calls)}, at most {exceptions.calls}; "
        f"docstrings that only say where to look: {len(counts.pointers)}, at most {exceptions.pointers}"
    )
    for fault in found:
        _say(fault, sys.stderr)
    return int(bool(found))


def _say(text: str, stream: TextIO = sys.stdout) -> None:
    stream.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
