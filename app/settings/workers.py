"""Processes that serve one port together, and when one that died is started again."""

from pydantic import Field

from app.settings.section import Section


class WorkerSettings(Section):
    """The workers of `serve --workers`, and their supervisor's patience."""

    worker_timeout_s: float = Field(
        30.0,
        gt=0,
        description="--workers (not offered yet): a worker that says nothing for so long is killed, and started again",
    )
    worker_restart_delay_s: float = Field(
        0.5,
        ge=0,
        description="--workers (not offered yet): from a worker's death to its next start; then doubled",
    )
    worker_restart_max_delay_s: float = Field(10.0, ge=0, description="--workers (not offered yet): at most so long")
    worker_steady_s: float = Field(
        60.0, gt=0, description="--workers (not offered yet): a death of one that lived for so long is the first again"
    )
    worker_max_deaths: int = Field(
        8,
        ge=1,
        description="--workers (not offered yet): the service ends with so many deaths of one in succession",
    )
