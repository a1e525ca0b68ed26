"""Metrics of what comes in, what goes out, and how long it waits."""

from typing import Final

from app.protocol import CLOSE_TABLE, RECEIVED_TYPES, SENT_TYPES
from app.telemetry.catalogue.model import (
    COUNT_BUCKETS,
    FINE_LATENCY_BUCKETS,
    LATENCY_BUCKETS,
    PREFIX,
    SIZE_BUCKETS,
    Kind,
    Metric,
    rows,
)
from app.vocabulary import ClientTrouble, ErrorCode, MessageOutcome, OutboxDepth, Reader

_MESSAGE_ROWS: Final = (
    *(("in", name) for name in RECEIVED_TYPES),
    *(("out", name) for name in SENT_TYPES),
)


class MessagesMetrics:
    """Metrics of what comes in, what goes out, and how long it waits."""

    MESSAGES = Metric(
        f"{PREFIX}ws_messages_total",
        Kind.COUNTER,
        "Messages received and sent, counted when written; the items of a batch count one by one beside it.",
        ("direction", "type"),
        _MESSAGE_ROWS,
    )
    MESSAGE_BYTES = Metric(
        f"{PREFIX}ws_message_bytes",
        Kind.HISTOGRAM,
        "Payload bytes of messages received and sent, UTF-8, before framing.",
        ("direction",),
        rows(("in", "out")),
        SIZE_BUCKETS,
    )
    MESSAGE_DURATION = Metric(
        f"{PREFIX}ws_message_duration_seconds",
        Kind.HISTOGRAM,
        "From a message's arrival to its answer; submit_code ends when the event log has accepted it.",
        ("type", "outcome"),
        rows(RECEIVED_TYPES, MessageOutcome),
        FINE_LATENCY_BUCKETS,
        is_native=True,
    )
    BATCH_SIZE = Metric(
        f"{PREFIX}ws_batch_size", Kind.HISTOGRAM, "Messages in a received batch.", buckets=COUNT_BUCKETS
    )
    ERRORS = Metric(
        f"{PREFIX}ws_errors_total",
        Kind.COUNTER,
        "error messages sent to clients.",
        ("code",),
        rows(ErrorCode),
    )
    TROUBLED = Metric(
        f"{PREFIX}ws_troubled_connections_total",
        Kind.COUNTER,
        "Connections that sent what is not understood, or too much, so that it was refused; each once, at the first.",
        ("trouble",),
        rows(ClientTrouble),
    )
    FANOUT_RECIPIENTS = Metric(
        f"{PREFIX}fanout_recipients",
        Kind.HISTOGRAM,
        "Members of this replica that a durable event was put to.",
        buckets=COUNT_BUCKETS,
    )
    EVENT_DELIVERY = Metric(
        f"{PREFIX}event_delivery_seconds",
        Kind.HISTOGRAM,
        "From an event's acceptance by the log to its writing to a member; slow: it waited for the member's socket.",
        ("reader",),
        rows(Reader),
        FINE_LATENCY_BUCKETS,
        is_native=True,
    )
    OUTBOX_WAIT = Metric(
        f"{PREFIX}ws_outbox_wait_seconds",
        Kind.HISTOGRAM,
        "How long frames waited that could not be written at once; those that were written.",
        buckets=LATENCY_BUCKETS,
        is_native=True,
    )
    OUTBOX_FRAMES = Metric(f"{PREFIX}ws_outbox_frames", Kind.GAUGE, "Frames waiting in all outboxes.")
    OUTBOX_BYTES = Metric(f"{PREFIX}ws_outbox_bytes", Kind.GAUGE, "Bytes waiting in all outboxes.")
    OUTBOX_CONNECTIONS = Metric(
        f"{PREFIX}ws_outbox_connections",
        Kind.GAUGE,
        "Connections by how much waits for them.",
        ("depth",),
        rows(OutboxDepth),
    )
    DISCARDED = Metric(
        f"{PREFIX}ws_messages_discarded_total",
        Kind.COUNTER,
        "Messages that the end of their connection kept from being written: they waited, or no longer fitted.",
        ("reason",),
        rows(dict.fromkeys(row.reason for row in CLOSE_TABLE)),
    )
    DROPPED = Metric(
        f"{PREFIX}ws_dropped_total",
        Kind.COUNTER,
        "Droppable messages not sent: a member read too slowly, or the race ended first.",
        ("kind",),
        rows(("player_progress",)),
    )
    COALESCED = Metric(
        f"{PREFIX}ws_coalesced_total",
        Kind.COUNTER,
        "Droppable messages replaced by a newer one of the same player before they were sent to a member.",
        ("kind",),
        rows(("player_progress",)),
    )
