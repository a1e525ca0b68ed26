"""Whose a game is: its id says it, so that nobody has to be asked and nothing has to be remembered."""

import uuid
from pathlib import Path
from typing import Final

from msgspec import Struct

_RANDOM_BITS: Final = 0xFFFFFFFF
"""The last 32 bits of an id, which are random in every version 4 (RFC 9562 section 5.4)."""


class Share(Struct, frozen=True):
    """One worker's part of all games: the `number`th, from 0, of `of`."""

    number: int
    of: int

    def owner(self, game_id: str) -> int:
        """Return the number of the worker that a game belongs to. Raises ValueError: this is no game's id."""
        return (uuid.UUID(game_id).int & _RANDOM_BITS) % self.of

    def new_game_id(self) -> str:
        """Draw the id of a game that belongs to this worker: `of` are drawn, on average."""
        while self.owner(game_id := str(uuid.uuid4())) != self.number:
            pass
        return game_id

    def part_of(self, file: Path) -> Path:
        """Name a file that each worker has its own of: `code-racer.db` is `code-racer.1of2.db` of the first of two."""
        return file if self.of == 1 else file.with_name(f"{file.stem}.{self.number + 1}of{self.of}{file.suffix}")


ALONE: Final = Share(0, 1)
"""Of one process that has all games."""
