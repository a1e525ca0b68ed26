"""Frames of Python as words: where they are, never what they hold."""

import sysconfig
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import app

_ROOTS: Final = tuple(
    f"{Path(root)}/"
    for root in (Path(app.__file__).parent.parent, sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"))
)
"""Where our own code is, and what is installed, which may be below it, and Python's own."""
MOST_DEEP: Final = 60


def file_of(filename: str) -> str:
    """Return the name of a file of code from where it is installed on: of others only the last part."""
    roots = [root for root in _ROOTS if filename.startswith(root)]
    return filename.removeprefix(max(roots, key=len)) if roots else filename.rpartition("/")[2]


def function_of(code: CodeType) -> str:
    """Name a function."""
    return f"{file_of(code.co_filename)}:{code.co_qualname}"


def place_of(frame: FrameType) -> str:
    """Name a function and the line that it is at."""
    code = frame.f_code
    return f"{file_of(code.co_filename)}:{frame.f_lineno} {code.co_qualname}"


def stack_of(frame: FrameType | None) -> list[str]:
    """List the places of a thread's stack, the outermost first, at most so many of the innermost."""
    places: list[str] = []
    while frame is not None and len(places) < MOST_DEEP:
        places.append(place_of(frame))
        frame = frame.f_back
    return places[::-1]
