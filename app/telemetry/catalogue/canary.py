"""Metrics of the canary, a process of its own."""

from typing import Final

from app.telemetry.catalogue.model import DURATION_BUCKETS, LATENCY_BUCKETS, OTHER, PREFIX, Kind, Metric, listed, rows
from app.vocabulary import CanaryOutcome


class CanaryMetrics:
    """The metric families of the canary."""

    RACES = Metric(
        f"{PREFIX}canary_races_total",
        Kind.COUNTER,
        "Races that the canary set up and played, by how they ended; with --each by the address of the replica.",
        ("replica", "outcome"),
        rows(("", OTHER), CanaryOutcome),  # an empty value is the same as none: the service as a whole
        is_open=True,
    )
    RECONNECTS = Metric(
        f"{PREFIX}canary_reconnects_total", Kind.COUNTER, "Times that a player of the canary connected again."
    )
    HANDSHAKE = Metric(
        f"{PREFIX}canary_handshake_seconds",
        Kind.HISTOGRAM,
        "From a canary player's connecting to its welcome.",
        buckets=LATENCY_BUCKETS,
    )
    MESSAGE = Metric(
        f"{PREFIX}canary_message_seconds",
        Kind.HISTOGRAM,
        "From a canary player's message to its acknowledgement.",
        buckets=LATENCY_BUCKETS,
    )
    DELIVERY = Metric(
        f"{PREFIX}canary_delivery_seconds",
        Kind.HISTOGRAM,
        "From a canary player's message to its event at the other player.",
        buckets=LATENCY_BUCKETS,
    )
    RACE = Metric(
        f"{PREFIX}canary_race_seconds",
        Kind.HISTOGRAM,
        "A whole race of the canary that ended as it should.",
        buckets=DURATION_BUCKETS,
    )
    LAST_OK = Metric(
        f"{PREFIX}canary_last_ok_timestamp_seconds",
        Kind.GAUGE,
        "When a race of the canary last ended as it should, in epoch seconds; 0: none has.",
    )
    CERTIFICATE_END = Metric(
        f"{PREFIX}canary_certificate_end_timestamp_seconds",
        Kind.GAUGE,
        "When the certificate that the canary met ends, in epoch seconds; +Inf: it has met none.",
    )


CANARY_METRICS: Final = listed(CanaryMetrics)
"""All of them, in order."""
