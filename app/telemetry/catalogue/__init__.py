"""The catalogue: every metric, every log event and every span, declared once.

Instruments, documentation, dashboards, alerts and tests are built from it or checked against it: a signal enters here
first, in the module of its area; the recorder, the alerts and the boards have modules of the same names. Labels are
closed enums, or values of the configuration (also where these are addresses: the replicas that the canary was told to
race on); the number of series never depends on what clients do.
"""

from typing import Final

from app.telemetry.catalogue.canary import CANARY_METRICS, CanaryMetrics
from app.telemetry.catalogue.connections import ConnectionsMetrics
from app.telemetry.catalogue.event_log import EventLogMetrics
from app.telemetry.catalogue.games import GamesMetrics
from app.telemetry.catalogue.log_events import COMMON_FIELDS, EVENTS, FOREIGN_FIELDS, TRACE_FIELDS, Events, LogEvent
from app.telemetry.catalogue.messages import MessagesMetrics
from app.telemetry.catalogue.model import FINE_LATENCY_BUCKETS, LATENCY_BUCKETS, OTHER, PREFIX, Kind, Metric, listed
from app.telemetry.catalogue.runtime import RuntimeMetrics
from app.telemetry.catalogue.spans import SPANS, SpanKind, SpanSpec
from app.telemetry.catalogue.supervisor import SUPERVISOR_METRICS, SupervisorMetrics

__all__ = [
    "CANARY_METRICS",
    "COMMON_FIELDS",
    "EVENTS",
    "FINE_LATENCY_BUCKETS",
    "FOREIGN_FIELDS",
    "LATENCY_BUCKETS",
    "METRICS",
    "OTHER",
    "PREFIX",
    "SPANS",
    "SUPERVISOR_METRICS",
    "TRACE_FIELDS",
    "CanaryMetrics",
    "Events",
    "Kind",
    "LogEvent",
    "Metric",
    "Metrics",
    "SpanKind",
    "SpanSpec",
    "SupervisorMetrics",
]


class Metrics(ConnectionsMetrics, MessagesMetrics, GamesMetrics, EventLogMetrics, RuntimeMetrics):
    """All metric families of the service, by name."""


METRICS: Final = listed(Metrics)
"""The same, in order."""
