"""Metrics of the supervisor of `serve --workers`, a process of its own."""

from typing import Final

from app.telemetry.catalogue.model import PREFIX, Kind, Metric, listed, rows
from app.vocabulary import WorkerEnd, WorkerState


class SupervisorMetrics:
    """The metric families of the supervisor."""

    WORKERS = Metric(
        f"{PREFIX}workers",
        Kind.GAUGE,
        "Workers, by what they do: starting, ready, not ready, draining, or down until the next try.",
        ("state",),
        rows(WorkerState),
    )
    RESTARTS = Metric(
        f"{PREFIX}worker_restarts_total",
        Kind.COUNTER,
        "Workers started again: one died, was killed as it said nothing (WORKER_TIMEOUT_S), ended unasked, or SIGHUP.",
        ("reason",),
        rows(WorkerEnd),
    )


SUPERVISOR_METRICS: Final = listed(SupervisorMetrics)
"""The same, in order."""
