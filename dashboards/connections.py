"""Who comes, who is sent away, who is lost."""

from typing import Final

from alerts.config import CONFIG
from dashboards.model import Board, Kind, Panel, Query, RowKind, buckets, quantile, quantiles, rate, row, selected

_OURS: Final = "unavailable|internal_error|overloaded|draining"

_PLACE: Final = 'cluster=~"$cluster", namespace=~"$namespace"'
"""The canary is a job, and an instance, of its own."""


def _of_canary(buckets_of: str) -> str:
    return f"histogram_quantile(0.95, sum by (le) (rate({buckets_of}{{{_PLACE}}}[$__rate_interval])))"


_EARLY: Final = selected("code_racer_ws_client_closes_total", 'kind="early"')

CONNECTIONS: Final = Board(
    "code-racer-connections",
    "Connections",
    (
        row(
            RowKind.SYMPTOM,
            Panel(
                "Open connections",
                "By replica. All of one replica gone: it restarted. All gone: the way to us is cut.",
                "none",
                (Query(f"sum by (instance) ({selected('code_racer_ws_connections')})", "{{instance}}"),),
                warn=18_000,
                range=(0, 100),
                width=6,
            ),
            Panel(
                "Lost since five minutes ago",
                "The part of the connections of five minutes ago that is gone; half of them at once is a cliff.",
                "percentunit",
                (
                    Query(
                        f"clamp_min(1 - sum({selected('code_racer_ws_connections')})"
                        f" / (sum({selected('code_racer_ws_connections')} offset 5m) > 0), 0) or vector(0)",
                        "lost",
                    ),
                ),
                warn=CONFIG.number("CodeRacerConnectionCliff", "left"),
                range=(0, 1),
                alerts=("CodeRacerConnectionCliff",),
                width=6,
            ),
            Panel(
                "Refused by our fault",
                "Attempts a second that a valid client made and that failed; they count against the objective.",
                "ops",
                (Query(rate("code_racer_ws_handshakes_total", "outcome", f'outcome=~"{_OURS}"'), "{{outcome}}"),),
                warn=0.1,
                range=(0, 0),
                alerts=("CodeRacerHandshakeBudgetBurn",),
                width=6,
            ),
            Panel(
                "What the canary waits for, p95",
                "From connecting to the welcome, from a message to its answer, and to its event with the other player,"
                " by"
                " the way players come. Slow here and not in the service's own figures: it is the way.",
                "s",
                tuple(
                    Query(_of_canary(f"code_racer_canary_{step}_seconds_bucket"), step)
                    for step in ("handshake", "message", "delivery")
                ),
                warn=CONFIG.number("CodeRacerCanarySlow", "late_s"),
                range=(0, 10),
                alerts=("CodeRacerCanarySlow",),
                width=6,
            ),
        ),
        row(
            RowKind.SYMPTOM,
            Panel(
                "Attempts to connect",
                "All of them, a second. Five times as many as in the hour before may be a storm of reconnects.",
                "ops",
                (Query(rate("code_racer_ws_handshakes_total"), "attempts"),),
                warn=CONFIG.number("CodeRacerReconnectStorm", "per_s"),
                range=(0, 20),
                alerts=("CodeRacerReconnectStorm",),
                width=5,
            ),
            Panel(
                "Handshake",
                "From the request to its answer.",
                "s",
                quantiles("code_racer_ws_handshake_duration_seconds", 0.5, 0.99),
                warn=1,
                range=(0, 10),
                width=4,
            ),
            Panel(
                "Lost connections",
                "Connections a second that ended without a goodbye: reset, or no answer to a ping.",
                "ops",
                (
                    Query(
                        rate("code_racer_ws_closes_total", "reason", 'reason=~"connection_lost|ping_timeout"'),
                        "{{reason}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerAbnormalCloses", "per_s"),
                range=(0, 20),
                alerts=("CodeRacerAbnormalCloses",),
                width=5,
            ),
            Panel(
                "Reconnects",
                "Clients a second that came back: resumed where they were, or were given the whole state.",
                "ops",
                (Query(rate("code_racer_ws_resumes_total", "outcome"), "{{outcome}}"),),
                warn=50,
                range=(0, 20),
                width=5,
            ),
            Panel(
                "What players say they wait, p95",
                "From connecting to the open connection, to the first snapshot, and from a loss until they are back: as"
                " clients tell it (hello), who may lie. Slow here and not at the canary: it is the players' networks.",
                "s",
                tuple(
                    Query(quantile(0.95, f"code_racer_ws_client_{step}_seconds"), step)
                    for step in ("open", "join", "outage")
                ),
                warn=10,
                range=(0, 300),
                width=5,
            ),
        ),
        row(
            RowKind.OUTLIERS,
            Panel(
                "Closes by reason",
                "Ended connections a second, by the rows of the close table and who ended them.",
                "ops",
                (Query(rate("code_racer_ws_closes_total", "reason, initiator"), "{{reason}} by {{initiator}}"),),
                warn=50,
                range=(0, 20),
                width=4,
            ),
            Panel(
                "Gone within two seconds, by client",
                "Connections in ten minutes that ended at once, by release or kind of client: many of one: a loop.",
                "none",
                (
                    Query(
                        f"sum by (client) (increase({_EARLY}[10m]))",
                        "{{client}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerClientLooping", "early"),
                range=(0, 1000),
                alerts=("CodeRacerClientLooping",),
                width=4,
            ),
            Panel(
                "Refused by the client's fault",
                "Attempts a second, by why: tokens, origins, paths, full or finished games, limits.",
                "ops",
                (
                    Query(
                        rate("code_racer_ws_handshakes_total", "outcome", f'outcome!~"accepted|abandoned|{_OURS}"'),
                        "{{outcome}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerOriginRefusalSurge", "per_s"),
                range=(0, 20),
                alerts=("CodeRacerAuthFailureSurge", "CodeRacerOriginRefusalSurge"),
                width=4,
            ),
            Panel(
                "How long connections last",
                "A band near the bottom: clients come and are lost at once.",
                "s",
                buckets("code_racer_ws_connection_duration_seconds"),
                warn=1e6,
                range=(0, 1000),
                kind=Kind.HEATMAP,
                width=4,
            ),
            Panel(
                "How old lost connections are",
                "A line at one age: something cuts them when they are that old.",
                "s",
                buckets("code_racer_ws_lost_age_seconds"),
                warn=1e6,
                range=(0, 1000),
                kind=Kind.HEATMAP,
                width=4,
            ),
            Panel(
                "Failed attempts, as clients tell it",
                "Attempts a second that came to nothing before a client was in: also those that never reached us.",
                "ops",
                (Query(rate("code_racer_ws_client_failed_attempts_total", "client"), "{{client}}"),),
                warn=5,
                range=(0, 100),
                width=4,
            ),
        ),
        row(
            RowKind.SATURATION,
            Panel(
                "Share of the limit",
                "Connections as a part of MAX_CONNECTIONS; at 1 new ones are refused.",
                "percentunit",
                (
                    Query(
                        f"max by (instance) ({selected('code_racer_ws_connections')}"
                        f" / {selected('code_racer_ws_connections_limit')})",
                        "{{instance}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerConnectionLimitNear", "above"),
                range=(0, 0.1),
                alerts=("CodeRacerConnectionLimitNear",),
                width=6,
            ),
            Panel(
                "Limits exceeded",
                "Times a second, by limit; in dry run nothing is refused.",
                "ops",
                (Query(rate("code_racer_ws_rate_limited_total", "scope, mode"), "{{scope}} {{mode}}"),),
                warn=CONFIG.number("CodeRacerRateLimitSurge", "per_s"),
                range=(0, 10),
                alerts=("CodeRacerRateLimitSurge",),
                width=6,
            ),
            Panel(
                "Certificate ends in",
                "The certificate that the canary meets, by canary; infinite where it meets none.",
                "s",
                (
                    Query(
                        f"code_racer_canary_certificate_end_timestamp_seconds{{{_PLACE}}} - time()",
                        "{{instance}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerCertificateExpiring", "ticket_days") * 86_400,
                range=(0, float("inf")),
                below=True,
                kind=Kind.STAT,
                alerts=("CodeRacerCertificateExpiring",),
                width=6,
            ),
            Panel(
                "New certificates and secrets refused",
                "After SIGHUP, where their files are the service's: of no use, so those before stay.",
                "none",
                (
                    Query(
                        "sum by (instance) (increase("
                        + selected("code_racer_certificate_loads_total", 'outcome="refused"')
                        + "[$__rate_interval]))",
                        "certificate {{instance}}",
                    ),
                    Query(
                        "sum by (instance) (increase("
                        + selected("code_racer_secret_loads_total", 'outcome="refused"')
                        + "[$__rate_interval]))",
                        "secrets {{instance}}",
                    ),
                ),
                warn=1,
                range=(0, float("inf")),
                width=6,
            ),
        ),
    ),
)
