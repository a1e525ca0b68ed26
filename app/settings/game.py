"""The times of a game."""

from pydantic import Field

from app.settings.section import Section


class GameSettings(Section):
    """How long a game waits: for its start, for a lost player, for the judge."""

    waiting_game_ttl_s: float = Field(3_600, ge=1, description="a game that never starts expires after this")
    countdown_s: float = Field(3.0, ge=0, le=60, description="from all ready to the start")
    reconnect_grace_s: float = Field(30.0, ge=0, description="a lost player stays in the game so long")
    judge_grace_s: float = Field(30.0, ge=0, description="how long a game's end waits for the judge")
    free_verdicts_per_game: int = Field(
        5, ge=0, description="verdicts unsupported and judge_error that cost a player no try, per game"
    )
    finished_linger_s: float = Field(60.0, ge=0, description="connections stay open so long after the end")
