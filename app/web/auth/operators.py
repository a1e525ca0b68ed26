"""Whose token makes an operator: the ids in OPERATORS, and who has OPERATORS_CLAIM."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Operators:
    """Knows operators by their ids, and by a claim written as name=value; without either there are none."""

    ids: frozenset[str] = frozenset()
    claim: str = ""

    def include(self, player_id: str, claims: Mapping[str, Any]) -> bool:
        """Tell whether a player is one, by verified claims: one of them is the value, or a list that has it."""
        if player_id in self.ids:
            return True
        name, _, wanted = self.claim.partition("=")
        found = claims.get(name) if name else None
        return found == wanted or (isinstance(found, list) and wanted in found)
