"""Who is looked for: a player of whom an operator has a name, an id, or a part of one."""

from msgspec import Struct


class Whom(Struct, frozen=True):
    """A part of an id or a name as it is typed, small or capital; empty: whoever it is."""

    text: str

    @classmethod
    def of(cls, text: str) -> "Whom":
        """Look for what was typed."""
        return cls(text.strip().casefold())

    def fits(self, player_id: str, name: str | None) -> bool:
        """Tell whether it is a part of the id or of the name."""
        return self.text in player_id.casefold() or (name is not None and self.text in name.casefold())

    def names(self, player_id: str, name: str | None) -> bool:
        """Tell whether it is the whole id or the whole name."""
        return self.text == player_id.casefold() or (name is not None and self.text == name.casefold())
