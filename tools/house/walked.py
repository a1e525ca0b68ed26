"""The service of the tree WALK_ROOT under a profiler: who is handed what carries WALK_MARK, written at its end."""

import json
import os
import runpy
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

_DEEPEST: Final = 6
_KEPT: Final = {"GameState", "Player"}
_TEXT: Final = 0x81
_SHORT: Final = 126


class Walk:
    """The functions of `app/` that were handed the message, in order."""

    def __init__(self, root: str, mark: str) -> None:
        self.steps: dict[tuple[str, str], None] = {}
        self._app = f"{root}/app/"
        self._mark = mark
        self._looks = False

    def look(self, frame: FrameType, event: str, result: object) -> None:
        """A function is called or returns: see what it is handed, or hands back."""
        code = frame.f_code
        if self._looks or not code.co_filename.startswith(self._app):
            return
        self._looks = True  # what looking itself calls is no step
        try:
            if event == "call":
                names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
                handed = [frame.f_locals[name] for name in names if name != "self" and name in frame.f_locals]
            else:
                handed = [result] if event == "return" else []
            if any(self._carries(value, 0) for value in handed):
                self.steps[f"app/{code.co_filename.removeprefix(self._app)}", _name(code)] = None
        finally:
            self._looks = False

    def _carries(self, value: object, depth: int) -> bool:
        if isinstance(value, str):
            return self._mark in value
        if isinstance(value, bytes | bytearray):
            return self._mark.encode() in value or self._mark.encode() in _unmasked(value)
        if depth > _DEEPEST or isinstance(value, type) or type(value).__name__ in _KEPT:
            return False
        return any(self._carries(part, depth + 1) for part in _parts(value))


def _name(code: CodeType) -> str:
    return str(getattr(code, "co_qualname", code.co_name))


def _parts(value: object) -> list[object]:
    """What a container or a record holds; of any other object nothing is looked at."""
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, dict):
        return list(value.values())
    kind = type(value)
    fields = getattr(kind, "__struct_fields__", None) or getattr(kind, "__dataclass_fields__", None)
    if fields is None and kind.__name__ == "Frame":
        fields = vars(kind)["__slots__"]
    return [getattr(value, name, None) for name in fields or ()]


def _unmasked(data: bytes | bytearray) -> bytes:
    """The payload of a whole masked text frame; nothing of anything else."""
    if len(data) < 6 or data[0] != _TEXT or not data[1] & 0x80:  # noqa: PLR2004 - two bytes and the mask
        return b""
    at = 2 if data[1] & 0x7F < _SHORT else 4
    mask = data[at : at + 4]
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(data[at + 4 :]))


def main() -> None:
    """Serve under the profiler."""
    root = os.environ["WALK_ROOT"]
    steps = Path.cwd() / "walk.json"
    walk = Walk(root, os.environ["WALK_MARK"])
    sys.path.insert(0, root)
    sys.argv = ["app", "serve"]
    sys.setprofile(walk.look)
    try:
        runpy.run_module("app", run_name="__main__")
    finally:
        sys.setprofile(None)
        steps.write_text(json.dumps(list(walk.steps)), "utf-8")


if __name__ == "__main__":
    main()
