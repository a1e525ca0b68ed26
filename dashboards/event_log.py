"""The event log: does it take what happens, how fast, and how late is it heard."""

from typing import Final

from alerts.config import CONFIG
from dashboards.model import Board, Kind, Panel, Query, RowKind, buckets, quantiles, rate, row, selected

EVENT_LOG: Final = Board(
    "code-racer-event-log",
    "Event log",
    (
        row(
            RowKind.SYMPTOM,
            Panel(
                "Takes appends",
                "1 while the event log of a replica took the last thing. 0: nobody can join, be ready or submit. Why,"
                " where it is NATS: the board NATS.",
                "none",
                (Query(f"min by (instance) ({selected('code_racer_event_log_connected')})", "{{instance}}"),),
                warn=1,
                range=(1, 1),
                alerts=("CodeRacerEventLogDown",),
                below=True,
            ),
            Panel(
                "Failed operations",
                "A second, by what was asked of the log.",
                "ops",
                (Query(rate("code_racer_event_log_errors_total", "op"), "{{op}}"),),
                warn=0.01,
                range=(0, 0),
                alerts=("CodeRacerEventLogDown",),
            ),
            Panel(
                "Appends by outcome",
                "A second. conflict: the game had moved on, the command was decided again.",
                "ops",
                (Query(rate("code_racer_event_log_append_seconds_count", "outcome"), "{{outcome}}"),),
                warn=5_000,
                range=(0, 1_000),
            ),
        ),
        row(
            RowKind.SYMPTOM,
            Panel(
                "Append",
                "What the log takes to accept a commit; players wait for it. From 100 ms for one in ten it is slow.",
                "s",
                quantiles("code_racer_event_log_append_seconds", 0.5, 0.9, 0.99, matchers='outcome="accepted"'),
                warn=CONFIG.number("CodeRacerEventLogSlow", "late_s"),
                range=(0, 10),
                alerts=("CodeRacerEventLogSlow",),
            ),
            Panel(
                "Append, all of it",
                "How many in which time.",
                "s",
                buckets("code_racer_event_log_append_seconds"),
                warn=1e6,
                range=(0, 1_000),
                kind=Kind.HEATMAP,
            ),
            Panel(
                "Heard after",
                "From a commit's acceptance by the log to its application on a replica.",
                "s",
                quantiles("code_racer_event_log_lag_seconds", 0.5, 0.99),
                warn=0.25,
                range=(0, 10),
            ),
        ),
        row(
            RowKind.CAUSE,
            Panel(
                "Games in memory",
                "Games that a replica has loaded: those with players, and those being looked at. To take up: those that"
                " it has found in the log after its start, or as another has gone, and has not come to yet.",
                "none",
                (
                    Query(f"sum by (instance) ({selected('code_racer_rooms')})", "{{instance}}"),
                    Query(f"sum by (instance) ({selected('code_racer_games_to_take_up')})", "to take up {{instance}}"),
                ),
                warn=20_000,
                range=(0, 100),
            ),
            Panel(
                "Events read to load a game",
                "How long the histories are that are replayed when a game is loaded.",
                "none",
                quantiles("code_racer_event_log_replayed_events", 0.5, 0.99),
                warn=5_000,
                range=(0, 1_000),
            ),
            Panel(
                "Commits from the future",
                "A second. The clock of the log's machine is ahead of the replica's.",
                "ops",
                (Query(rate("code_racer_event_log_clock_skews_total"), "from the future"),),
                warn=0.1,
                range=(0, 100),
            ),
        ),
    ),
)
