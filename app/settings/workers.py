"""Processes that serve one port together, and when one that died is started again."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from app.settings.section import Section

MAX_WORKERS: Final = 64
AUTO: Final = "auto"
"""One worker for each core."""


def number_of_workers(text: str) -> int | None:
    """Read a number of processes; None: one for each core. Raises ValueError."""
    if text == AUTO:
        return None
    if text.isascii() and text.isdigit() and 0 < int(text) <= MAX_WORKERS:
        return int(text)
    raise ValueError(f"{text!r} is no number of processes from 1 to {MAX_WORKERS}, and not {AUTO}")


def _processes(value: str) -> str:
    if value:
        number_of_workers(value)
    return value


Processes = Annotated[str, AfterValidator(_processes)]
"""A number of processes, auto, or nothing."""


class WorkerSettings(Section):
    """How many workers there are, and their supervisor's patience."""

    workers: Processes = Field(
        "",
        description="processes that serve PORT together, or auto: one for each core; empty: WEB_CONCURRENCY, else one",
    )
    web_concurrency: Processes = Field(
        "", description="WORKERS, as other servers call it, and as platforms set it; heard where that is not set"
    )
    worker_timeout_s: float = Field(
        30.0, gt=0, description="WORKERS: one that says nothing for so long is killed, and started again"
    )
    worker_lock_timeout_s: float = Field(
        1.0,
        gt=0,
        description="WORKERS: one that stands still while it writes what all share is waited for so long; then"
        " whoever needs that is answered 503",
    )
    worker_restart_delay_s: float = Field(
        0.5, ge=0, description="WORKERS: from one's death to its next start; then doubled"
    )
    worker_restart_max_delay_s: float = Field(10.0, ge=0, description="WORKERS: from a death to the next start at most")
    worker_steady_s: float = Field(
        60.0, gt=0, description="WORKERS: a death of one that lived for so long is the first again"
    )
    worker_max_deaths: int = Field(
        8, ge=1, description="WORKERS: the service ends with so many deaths of one in succession"
    )
