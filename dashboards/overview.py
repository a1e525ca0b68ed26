"""The first look: are objectives met, who is hurting, what has changed."""

from typing import Final

from alerts.config import CONFIG
from alerts.objectives import OBJECTIVES, Objective
from dashboards.model import Board, Kind, Panel, Query, RowKind, quantile, quantiles, rate, row, selected

_MANY: Final = 1e6
_PLACE: Final = 'cluster=~"$cluster", namespace=~"$namespace"'
_CANARY_ALL: Final = f"rate(code_racer_canary_races_total{{{_PLACE}}}[$__rate_interval])"
_CANARY_EACH: Final = f'rate(code_racer_canary_races_total{{{_PLACE}, replica!=""}}[$__rate_interval])'
_CANARY_OK_EACH: Final = _CANARY_EACH.replace('replica!=""', 'replica!="", outcome="ok"')
_CANARY_OK: Final = f'rate(code_racer_canary_races_total{{{_PLACE}, outcome="ok"}}[$__rate_interval])'
_RUNNING: Final = selected("code_racer_games", 'state="running"')
_OF_OURS: Final = f'job=~"{"|".join(map(str, CONFIG["jobs"].values()))}"'
"""A Prometheus scrapes much else, and all of it has `up`."""
_RECORDED: Final = f'{_PLACE}, job=~"$job"'
"""Objectives are of all replicas together."""


def _budget(objective: Objective) -> Panel:
    errors = objective.errors("30d")
    return Panel(
        f"Budget: {objective.name}",
        f"Left of the error budget of 30 days ({1 - objective.target:.1%}); below zero the objective is missed.",
        "percentunit",
        (Query(f"1 - {errors}{{{_RECORDED}}} / {1 - objective.target:.4g}", "left"),),
        warn=0,
        range=(-_MANY, 1),
        alerts=(objective.alert,),
        kind=Kind.STAT,
        below=True,
        width=3,
        height=4,
    )


def _burn(objective: Objective) -> Query:
    return Query(f"{objective.errors('1h')}{{{_RECORDED}}} / {1 - objective.target:.4g}", objective.name)


OVERVIEW: Final = Board(
    "code-racer-overview",
    "Overview",
    (
        row(
            RowKind.SYMPTOM,
            Panel(
                "Replicas ready",
                "The part of the scraped replicas that takes new connections; not all: some start, drain or wait for "
                "what they need.",
                "percentunit",
                (Query(f"avg({selected('code_racer_ready')}) or vector(0)", "ready"),),
                warn=1,
                range=(1, 1),
                alerts=("CodeRacerNotReady",),
                kind=Kind.STAT,
                below=True,
                width=3,
                height=4,
            ),
            Panel(
                "Scraped",
                "The part of the known replicas, canaries, supervisors and servers of NATS that answers Prometheus.",
                "percentunit",
                (Query(f"avg({selected('up', _OF_OURS)}) or vector(0)", "up"),),
                warn=1,
                range=(1, 1),
                alerts=("CodeRacerDown", "CodeRacerAbsent", "CodeRacerScrapesFlapping", "CodeRacerWatchdog"),
                kind=Kind.STAT,
                below=True,
                width=2,
                height=4,
            ),
            Panel(
                "Connections",
                "Open WebSocket connections. A cliff means that something cut them: look at the closes.",
                "none",
                (Query(f"sum({selected('code_racer_ws_connections')})", "connections"),),
                warn=50_000,
                range=(0, 100),
                kind=Kind.STAT,
                width=2,
                height=4,
            ),
            Panel(
                "Races",
                "Games that run now.",
                "none",
                (Query(f"sum({_RUNNING})", "running"),),
                warn=10_000,
                range=(0, 100),
                kind=Kind.STAT,
                width=2,
                height=4,
            ),
            *map(_budget, OBJECTIVES),
        ),
        row(
            RowKind.SYMPTOM,
            Panel(
                "What fires",
                "Alerts that fire now, each with the way to its runbook; CodeRacerWatchdog always does.",
                "none",
                (
                    Query(
                        f'ALERTS{{{_PLACE}, alertname=~"CodeRacer.*", alertstate="firing"}}',
                        "{{alertname}} {{severity}}",
                    ),
                ),
                warn=1,
                range=(1, 1),
                kind=Kind.TABLE,
                width=6,
                height=7,
            ),
            Panel(
                "Burn rate over an hour",
                "How fast the error budgets burn: 1 uses one up in 30 days; from 14.4 it pages.",
                "none",
                tuple(map(_burn, OBJECTIVES)),
                warn=14.4,
                range=(0, _MANY),
                alerts=tuple(objective.alert for objective in OBJECTIVES),
                width=6,
                height=7,
            ),
            Panel(
                "Hurt by us",
                "Handshakes and messages a second that failed by the service's fault.",
                "ops",
                (
                    Query(
                        rate(
                            "code_racer_ws_handshakes_total",
                            "outcome",
                            'outcome=~"unavailable|internal_error|overloaded|draining"',
                        ),
                        "handshake {{outcome}}",
                    ),
                    Query(
                        rate("code_racer_ws_errors_total", "code", 'code=~"unavailable|internal"'),
                        "message {{code}}",
                    ),
                ),
                warn=0.1,
                range=(0, 0),
                alerts=("CodeRacerHandshakeBudgetBurn", "CodeRacerMessageBudgetBurn"),
                width=6,
                height=7,
            ),
            Panel(
                "Canary races that fail",
                "Of the races that the canary plays as players do; the service may look well all the same. Of those on"
                " each replica, where it plays such (--each).",
                "percentunit",
                (
                    Query(
                        f"1 - sum by (instance) ({_CANARY_OK}) / sum by (instance) ({_CANARY_ALL})",
                        "{{instance}}",
                    ),
                    Query(
                        f"1 - sum by (instance, replica) ({_CANARY_OK_EACH})"
                        f" / sum by (instance, replica) ({_CANARY_EACH})",
                        "on {{replica}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerCanaryFailing", "share"),
                range=(0, 1),
                alerts=("CodeRacerCanaryFailing", "CodeRacerCanaryDown"),
                width=6,
                height=7,
            ),
        ),
        row(
            RowKind.SYMPTOM,
            Panel(
                "Message handling",
                "From a message's arrival to its answer; the objective is 50 ms for 99.9 %.",
                "s",
                quantiles("code_racer_ws_message_duration_seconds", 0.5, 0.99, matchers='outcome=~"ok|error"'),
                warn=0.05,
                range=(0, 10),
                width=6,
                height=7,
            ),
            Panel(
                "Event delivery",
                "From an event's acceptance by the log to its writing to a member that reads; the objective is 250 ms.",
                "s",
                quantiles("code_racer_event_delivery_seconds", 0.5, 0.99, matchers='reader="prompt"'),
                warn=0.25,
                range=(0, 10),
                alerts=("CodeRacerDeliveryBudgetBurn",),
                width=6,
                height=7,
            ),
            Panel(
                "Ping round trip",
                "Round trip of protocol pings: the players' networks, and this service's event loop.",
                "s",
                (
                    Query(quantile(0.5, "code_racer_ws_ping_rtt_seconds"), "p50"),
                    Query(quantile(0.99, "code_racer_ws_ping_rtt_seconds"), "p99"),
                ),
                warn=1,
                range=(0, 10),
                alerts=("CodeRacerPingBudgetBurn",),
                width=6,
                height=7,
            ),
            Panel(
                "Submissions by verdict",
                "Judged submissions a second. judge_error is ours, the others are the players'.",
                "ops",
                (Query(rate("code_racer_submissions_total", "verdict"), "{{verdict}}"),),
                warn=100,
                range=(0, 50),
                width=6,
                height=7,
            ),
        ),
        row(
            RowKind.CAUSE,
            Panel(
                "What changed: versions",
                "Replicas by version, and how many run with which settings (a hash of them) and with which secrets.",
                "none",
                (
                    Query(
                        f"count by (version, revision) ({selected('code_racer_build_info')})",
                        "version {{version}} {{revision}}",
                    ),
                    Query(f"count by (hash) ({selected('code_racer_config_info')})", "settings {{hash}}"),
                    Query(
                        "count by (name, fingerprint) ("
                        + selected("code_racer_secret_info", 'fingerprint!="none"')
                        + ")",
                        "{{name}} {{fingerprint}}",
                    ),
                ),
                warn=1_000,
                range=(1, 1),
                height=7,
            ),
            Panel(
                "Starts within 15 minutes",
                "How often replicas have started; more than three of one replica, with no drain before, is a crash"
                " loop.",
                "none",
                (
                    Query(
                        f"sum by (instance) (changes({selected('code_racer_start_time_seconds')}[15m]))",
                        "{{instance}}",
                    ),
                ),
                warn=4,
                range=(0, 0),
                alerts=("CodeRacerCrashLooping",),
                height=7,
            ),
            Panel(
                "What operators changed",
                "Bans, drains and what else holds for a time, by replica; who, why, until when: code-racer changes.",
                "none",
                (
                    Query(
                        f"max by (instance, action) ({selected('code_racer_operator_changes')})",
                        "{{instance}} {{action}}",
                    ),
                ),
                warn=1_000,
                range=(0, 0),
                height=7,
            ),
        ),
    ),
)
