"""Who judges a submission, and how often that was tried: over all replicas and restarts."""

import asyncio
from typing import Final

from app.eventlog import EventLog

TRIES_TTL_S: Final = 86_400.0
"""How often a submission was taken up is remembered so long after the last time: longer than any race lasts."""


class JudgingClaims:
    """Claims submissions for this replica, each for `ttl_s`; on an embedded log there is nobody else to claim them."""

    def __init__(self, log: EventLog, ttl_s: float) -> None:
        self._log = log
        self._ttl_s = ttl_s
        self._own: set[tuple[str, int]] = set()

    async def begin(self, game_id: str, seq: int) -> int:
        """Begin a try of judging a submission: which one it is; 0 where the submission is another replica's.

        Raises LogUnavailable.
        """
        if not await self._claim(game_id, seq):
            return 0
        return await self._log.count(f"judge {game_id} {seq}", TRIES_TTL_S)

    async def _claim(self, game_id: str, seq: int) -> bool:
        """Whether a submission is to be judged here: where others share the log, the first to ask does it."""
        if not self._log.shared or (game_id, seq) in self._own:
            return True
        granted = await self._log.claim(f"judge {game_id} {seq}", self._ttl_s)
        if granted:
            self._own.add((game_id, seq))
            asyncio.get_running_loop().call_later(self._ttl_s, self._own.discard, (game_id, seq))
        return granted
