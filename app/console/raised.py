"""What operators change for a time: each change is taken back by itself."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from app.vocabulary import OperatorAction


class Raised(Struct, frozen=True):
    """Something that an operator has changed for a time: what, until when (epoch seconds), and who did."""

    what: str
    until: float
    by: str


@dataclass(frozen=True, slots=True)
class _Change:
    raised: Raised
    undo: Callable[[], None]
    timer: asyncio.TimerHandle


class Changes:
    """Knows what is changed now; the same changed once more lasts from then on."""

    def __init__(self) -> None:
        self._changes: dict[tuple[OperatorAction, str], _Change] = {}

    @property
    def raised(self) -> list[Raised]:
        """What is changed now, the next to end first."""
        return sorted((one.raised for one in self._changes.values()), key=lambda one: one.until)

    def count(self, action: OperatorAction) -> int:
        """Count what is changed now by one kind of action."""
        return sum(of is action for of, _ in self._changes)

    def note(self, action: OperatorAction, what: str, for_s: float, by: str, undo: Callable[[], None]) -> Raised:
        """Note a change of `what` that was just made, to be taken back by `undo` after so long."""
        before = self._changes.pop((action, what), None)
        if before is not None:
            before.timer.cancel()
        raised = Raised(f"{action} {what}".rstrip(), time.time() + for_s, by)
        timer = asyncio.get_running_loop().call_later(for_s, self.undo, action, what)
        self._changes[action, what] = _Change(raised, undo, timer)
        return raised

    def undo(self, action: OperatorAction, what: str) -> bool:
        """Take a change back; False where there is none."""
        change = self._changes.pop((action, what), None)
        if change is None:
            return False
        change.timer.cancel()
        change.undo()
        return True
