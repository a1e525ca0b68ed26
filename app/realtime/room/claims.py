"""Who judges a submission, and how often that was tried: over all replicas and restarts."""

import asyncio
from typing import Final

from app.eventlog import Coordination
from app.settings import JudgeSettings

TRIES_TTL_S: Final = 86_400.0
"""How long after the last time it is remembered how often a submission was taken up: longer than any race lasts."""
MIN_CLAIM_S: Final = 30.0


class JudgingClaims:
    """Claims submissions for this replica; on an embedded log there is nobody else to claim them.

    A submission is one replica's for twice as long as judging can take; then, not judged, it is anybody's again.
    """

    def __init__(self, coordination: Coordination, settings: JudgeSettings) -> None:
        self._coordination = coordination
        self._ttl_s = max(MIN_CLAIM_S, 2 * (settings.judge_time_limit_s + settings.judge_kill_grace_s))
        self._own: set[tuple[str, int]] = set()

    async def begin(self, game_id: str, seq: int) -> int:
        """Begin a try of judging a submission: which one it is; 0 where the submission is another replica's.

        Raises LogUnavailable.
        """
        if not await self._claim(game_id, seq):
            return 0
        return await self._coordination.count(f"judge {game_id} {seq}", TRIES_TTL_S)

    async def _claim(self, game_id: str, seq: int) -> bool:
        """Claim a submission: where others share the log, only the first to ask judges it."""
        if not self._coordination.shared or (game_id, seq) in self._own:
            return True
        granted = await self._coordination.claim(f"judge {game_id} {seq}", self._ttl_s)
        if granted:
            self._own.add((game_id, seq))
            asyncio.get_running_loop().call_later(self._ttl_s, self._own.discard, (game_id, seq))
        return granted
