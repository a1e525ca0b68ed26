"""The process: is it there, is it late, what does it use."""

from typing import Final

from alerts.config import CONFIG
from dashboards.model import Board, Panel, Query, RowKind, quantile, rate, row, selected

RUNTIME: Final = Board(
    "code-racer-runtime",
    "Runtime",
    (
        row(
            RowKind.SYMPTOM,
            Panel(
                "Refuses new connections",
                "1 while a replica does, by why: its loop is late, or its memory is used up.",
                "none",
                (Query(f"max by (instance, cause) ({selected('code_racer_overloaded')})", "{{instance}} {{cause}}"),),
                warn=1,
                range=(0, 0),
                width=6,
                alerts=("CodeRacerOverloaded",),
            ),
            Panel(
                "HTTP: requests",
                "A second, by route and class of status; without probes and scrapes.",
                "ops",
                (
                    Query(
                        rate("code_racer_http_requests_total", "route, status", 'route!="ops"'),
                        "{{route}} {{status}}",
                    ),
                ),
                warn=1_000,
                range=(0, 100),
                width=6,
            ),
            Panel(
                "HTTP: time to answer, and requests in flight",
                "The 99th percentile by route, in seconds; and how many requests each replica is answering.",
                "none",
                (
                    Query(quantile(0.99, "code_racer_http_request_duration_seconds", "route"), "{{route}} s"),
                    Query(
                        f"max by (instance) ({selected('code_racer_http_requests_in_flight')})",
                        "{{instance}} in flight",
                    ),
                ),
                warn=10,
                range=(0, 1),
                width=6,
            ),
            Panel(
                "Requests that were none",
                "HTTP requests a second, refused before they reached the service.",
                "ops",
                (Query(rate("code_racer_http_rejected_total", "reason"), "{{reason}}"),),
                warn=10,
                range=(0, 0),
                width=6,
            ),
        ),
        row(
            RowKind.SATURATION,
            Panel(
                "Event loop lag",
                "How late the loop is for an appointment, one look in a hundred; everything is as late as that.",
                "s",
                (Query(quantile(0.99, "code_racer_event_loop_lag_seconds", "instance"), "{{instance}}"),),
                warn=CONFIG.number("CodeRacerEventLoopLag", "late_s"),
                range=(0, 10),
                alerts=("CodeRacerEventLoopLag",),
            ),
            Panel(
                "Background tasks",
                "Timers, sweep, judging, disconnects under way. It only grows: a leak.",
                "none",
                (Query(f"max by (instance) ({selected('code_racer_background_tasks')})", "{{instance}}"),),
                warn=1_000,
                range=(1, 100),
            ),
            Panel(
                "Age of the signing keys",
                "Since the public keys were fetched; 0 where tokens are signed with a shared secret.",
                "s",
                (Query(f"max by (instance) ({selected('code_racer_signing_keys_age_seconds')})", "{{instance}}"),),
                warn=3_600,
                range=(0, 0),
            ),
        ),
        row(
            RowKind.CAUSE,
            Panel(
                "Draining",
                "1 while a replica shuts down, three minutes at the most; or for as long as an operator drains it.",
                "none",
                (Query(f"max by (instance) ({selected('code_racer_draining')})", "{{instance}}"),),
                warn=1,
                range=(0, 0),
                width=6,
                alerts=("CodeRacerDrainStuck",),
            ),
            Panel(
                "Runs for",
                "Since the start of each replica.",
                "s",
                (Query(f"time() - max by (instance) ({selected('code_racer_start_time_seconds')})", "{{instance}}"),),
                warn=1e9,
                range=(0, 3_600),
                width=6,
            ),
            Panel(
                "Faults",
                "Within the step shown: what nobody had an answer for. Each is in the log as app.fault.",
                "none",
                (
                    Query(
                        f"sum by (instance) (increase({selected('code_racer_faults_total')}[$__rate_interval]))",
                        "{{instance}}",
                    ),
                ),
                warn=0.5,
                range=(0, 0),
                width=6,
                alerts=("CodeRacerFaults",),
            ),
            Panel(
                "Fetches of the signing keys that failed",
                "Within the step shown. Tokens signed with a new key are not known until one works.",
                "none",
                (
                    Query(
                        "sum by (instance) (increase("
                        + selected("code_racer_signing_key_fetches_total", 'outcome="failed"')
                        + "[$__rate_interval]))",
                        "{{instance}}",
                    ),
                ),
                warn=0.5,
                range=(0, 0),
                width=6,
                alerts=("CodeRacerSigningKeysFailing",),
            ),
        ),
    ),
)
