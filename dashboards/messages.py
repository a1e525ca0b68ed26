"""What is said, how fast it is answered, and what waits to be read."""

from typing import Final

from alerts.config import CONFIG
from dashboards.model import Board, Kind, Panel, Query, RowKind, buckets, quantile, quantiles, rate, row, selected

_ACCEPTED: Final = rate("code_racer_ws_handshakes_total", matchers='outcome="accepted"')

MESSAGES: Final = Board(
    "code-racer-messages",
    "Messages and latency",
    (
        row(
            RowKind.SYMPTOM,
            Panel(
                "Messages",
                "A second, in and out; one event to 50 members is 50 out.",
                "ops",
                (Query(rate("code_racer_ws_messages_total", "direction"), "{{direction}}"),),
                warn=100_000,
                range=(0.01, 10_000),
                width=6,
            ),
            Panel(
                "Received, by type",
                "Messages of clients a second; `other` are those of no known type.",
                "ops",
                (Query(rate("code_racer_ws_messages_total", "type", 'direction="in"'), "{{type}}"),),
                warn=50_000,
                range=(0, 10_000),
                width=6,
            ),
            Panel(
                "Errors by code",
                "error messages to clients, a second. unavailable and internal are ours.",
                "ops",
                (Query(rate("code_racer_ws_errors_total", "code"), "{{code}}"),),
                warn=CONFIG.number("CodeRacerErrorSurge", "per_s"),
                range=(0, 5),
                width=6,
                alerts=("CodeRacerErrorSurge",),
            ),
            Panel(
                "Clients in trouble",
                "The part of those who come whose messages are refused. Nearly all too fast: a limit is too low.",
                "percentunit",
                (
                    Query(
                        f"{rate('code_racer_ws_troubled_connections_total', 'trouble')} / on () group_left ()"
                        f" ({_ACCEPTED} > 0)",
                        "{{trouble}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerClientsMisunderstood", "share"),
                range=(0, 1),
                width=6,
                alerts=("CodeRacerClientsMisunderstood", "CodeRacerPlayersLimited"),
            ),
        ),
        row(
            RowKind.SYMPTOM,
            Panel(
                "Handling, all of it",
                "From a message's arrival to its answer: how many in which time.",
                "s",
                buckets("code_racer_ws_message_duration_seconds"),
                warn=1e6,
                range=(0, 10_000),
                kind=Kind.HEATMAP,
            ),
            Panel(
                "Handling, p99 by type",
                "The objective is 50 ms. One type alone: what it does. All: the event loop.",
                "s",
                (Query(quantile(0.99, "code_racer_ws_message_duration_seconds", "type", 'outcome="ok"'), "{{type}}"),),
                warn=0.05,
                range=(0, 10),
                alerts=("CodeRacerMessageBudgetBurn",),
            ),
            Panel(
                "Faults in messages",
                "Messages a second that ended in a fault of ours, by type.",
                "ops",
                (Query(rate("code_racer_ws_message_duration_seconds_count", "type", 'outcome="error"'), "{{type}}"),),
                warn=0.1,
                range=(0, 0),
                alerts=("CodeRacerMessageBudgetBurn",),
            ),
        ),
        row(
            RowKind.SYMPTOM,
            Panel(
                "Delivery, all of it",
                "From an event's acceptance by the log to its writing to each member: how many in which time.",
                "s",
                buckets("code_racer_event_delivery_seconds"),
                warn=1e6,
                range=(0, 10_000),
                kind=Kind.HEATMAP,
            ),
            Panel(
                "Delivery, p99",
                "The objective for members that read is 250 ms; slow: what waited for the member's socket.",
                "s",
                (Query(quantile(0.99, "code_racer_event_delivery_seconds", "reader"), "{{reader}}"),),
                warn=0.25,
                range=(0, 10),
                alerts=("CodeRacerDeliveryBudgetBurn",),
            ),
            Panel(
                "Members told of an event",
                "How many members of a replica an event was put to.",
                "none",
                quantiles("code_racer_fanout_recipients", 0.5, 0.99),
                warn=101,
                range=(0, 100),
            ),
        ),
        row(
            RowKind.SATURATION,
            Panel(
                "Waiting to be read",
                "Bytes in all outboxes of a replica: what clients have not taken yet.",
                "bytes",
                (Query(f"sum by (instance) ({selected('code_racer_ws_outbox_bytes')})", "{{instance}}"),),
                warn=CONFIG.number("CodeRacerOutboxGrowth", "mebibytes") * 1024**2,
                range=(0, 1_000_000),
                alerts=("CodeRacerOutboxGrowth",),
            ),
            Panel(
                "Cut off for reading too slowly",
                "Connections within the step shown (4430). A few are phones; many are our network or a broken client.",
                "none",
                (
                    Query(
                        f"sum(increase({selected('code_racer_ws_slow_consumer_closes_total')}[$__rate_interval]))",
                        "cut off",
                    ),
                ),
                warn=CONFIG.number("CodeRacerSlowConsumers", "closes"),
                range=(0, 0),
                alerts=("CodeRacerSlowConsumers",),
            ),
            Panel(
                "Messages not sent",
                "A second: progress that slow readers did not get, and what waited at the end of a connection.",
                "ops",
                (
                    Query(rate("code_racer_ws_dropped_total", "kind"), "{{kind}} dropped"),
                    Query(rate("code_racer_ws_coalesced_total", "kind"), "{{kind}} replaced"),
                    Query(rate("code_racer_ws_messages_discarded_total"), "waited at the end"),
                ),
                warn=1_000,
                range=(0, 0),
            ),
        ),
    ),
)
