"""What operators did here lately: who did what, to whom or what, why, and what came of it."""

import time
from collections import deque
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from app.telemetry.observer import Operated
from app.vocabulary import ActionOutcome, OperatorAction

KEPT: Final = 200


class Act(Struct, frozen=True, kw_only=True):
    """One action of an operator, at `at` in epoch seconds."""

    at: float
    replica: str = ""
    operator: str
    action: OperatorAction
    subject: str
    reason: str
    outcome: ActionOutcome
    detail: str | None


class Acts:
    """Keeps the last of them."""

    def __init__(self) -> None:
        self._acts: deque[Act] = deque(maxlen=KEPT)

    def add(self, operated: Operated) -> None:
        """Take one that was done just now, or was not."""
        self._acts.append(
            Act(
                at=time.time(),
                operator=operated.operator,
                action=operated.action,
                subject=operated.subject,
                reason=operated.reason,
                outcome=operated.outcome,
                detail=operated.detail,
            )
        )

    def last(self, limit: int, replica: str) -> list[Act]:
        """List the last ones, the newest first, as those of the `replica` that keeps them."""
        return [replace(act, replica=replica) for act in list(self._acts)[: -limit - 1 : -1]]
