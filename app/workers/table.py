"""A number for each of many keys, in memory that the workers of one machine share; of too many some are forgotten.

Nobody locks it: a number is read and written whole. Of two workers that change the same one in the same moment one has
its way, so whatever is counted by it may come out one too low.
"""

import hashlib
import mmap
import os
import struct
from pathlib import Path
from typing import Final

FILE: Final = "numbers"
_ENTRY: Final = struct.Struct("@Qd")
"""A key's hash, 0 where the place is free, and its number."""
_TAG: Final = struct.Struct("@Q")
_NUMBER: Final = struct.Struct("@d")
_GROUP: Final = 8
"""Places among which a key has its own."""
_GROUPS: Final = 8_192
BYTES: Final = _GROUPS * _GROUP * _ENTRY.size
"""A mebibyte, for 65,536 keys."""


class SharedTable:
    """Keeps numbers in a file of the workers' folder. Of those in one group's way the lowest is forgotten.

    Raises OSError: the file cannot be made, or there is no room for it.
    """

    def __init__(self, folder: Path) -> None:
        descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, BYTES)  # a page that could not be had later would end the process
            self._memory = mmap.mmap(descriptor, BYTES)
        finally:
            os.close(descriptor)

    def get(self, key: str) -> float:
        """Return the number of a key, 0.0 where it has none."""
        place = self._find(tag := _tag_of(key))
        return float(_NUMBER.unpack_from(self._memory, place + _TAG.size)[0]) if self._tag_at(place) == tag else 0.0

    def put(self, key: str, number: float) -> None:
        """Give a key a number, above 0."""
        tag = _tag_of(key)
        _ENTRY.pack_into(self._memory, self._find(tag), tag, number)

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()

    def _tag_at(self, place: int) -> int:
        return int(_TAG.unpack_from(self._memory, place)[0])

    def _find(self, tag: int) -> int:
        """Find the place of a key, or else that of its group whose number is lowest."""
        first = tag % _GROUPS * _GROUP * _ENTRY.size
        lowest, lowest_at = float("inf"), first
        for place in range(first, first + _GROUP * _ENTRY.size, _ENTRY.size):
            found, number = _ENTRY.unpack_from(self._memory, place)
            if found == tag:
                return place
            if number < lowest:
                lowest, lowest_at = number, place
        return lowest_at


def _tag_of(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=_TAG.size).digest()) or 1
