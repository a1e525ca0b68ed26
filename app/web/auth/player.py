"""A player as tokens name them: the id and the name."""

import uuid
from typing import Final

MAX_PLAYER_ID: Final = 128
PLAYER_IDS: Final = f"1 to {MAX_PLAYER_ID} printable characters"
MAX_NAME: Final = 40
GUEST: Final = "guest-"


def is_player_id(text: str) -> bool:
    """Tell whether it may name a player."""
    return 0 < len(text) <= MAX_PLAYER_ID and text.isprintable()


def clean_name(name: str) -> str:
    """Make a name fit to be shown: printable, trimmed, of bounded length, never empty."""
    printable = "".join(letter for letter in name if letter.isprintable()).strip()
    return printable[:MAX_NAME] or "player"


def guest_id() -> str:
    """Make a fresh id for a guest."""
    return f"{GUEST}{uuid.uuid4()}"


def is_guest_id(player_id: str) -> bool:
    """Tell whether it names a guest: whose tokens we make ourselves, for anybody who asks."""
    return player_id.startswith(GUEST)
