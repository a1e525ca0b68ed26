"""Logs and traces: do they arrive, and the lines and spans that matter first."""

from typing import Final

from alerts.config import CONFIG
from dashboards.model import Board, Kind, Panel, Query, RowKind, Source, rate, row, selected

_LOG_BYTES: Final = CONFIG.number("CodeRacerLogBudget", "times") * CONFIG.number("CodeRacerLogBudget", "racing_bytes")
_SERIES: Final = CONFIG.number("CodeRacerSeriesBudget", "series")
"""The budgets of a release, as the alerts have them."""
_STREAM: Final = '{service_name="code-racer"} | json'

LOGS: Final = Board(
    "code-racer-logs",
    "Logs and traces",
    (
        row(
            RowKind.SYMPTOM,
            Panel(
                "Errors and warnings",
                "Each names what is wrong; the fields connection_id, game_id and trace_id lead on.",
                "none",
                (Query(f'{_STREAM} | level=~"error|warning"'),),
                warn=1e9,
                range=(0, 0),
                kind=Kind.LOGS,
                source=Source.LOKI,
                width=12,
                height=9,
            ),
            Panel(
                "Slow or failed messages",
                "Spans that were kept because they were late, failed or were rejected, sampled or not.",
                "none",
                (Query('{ resource.service.name = "code-racer" && span.late != "" }'),),
                warn=1e9,
                range=(0, 0),
                kind=Kind.TABLE,
                source=Source.TEMPO,
                width=12,
                height=9,
            ),
        ),
        row(
            RowKind.SYMPTOM,
            Panel(
                "Refusals by outcome",
                "Lines about refused attempts to connect; repeats are limited, the metric has all.",
                "none",
                (
                    Query(
                        f'sum by (outcome) (count_over_time({_STREAM} | event="ws.refused" [$__auto]))',
                        "{{outcome}}",
                    ),
                ),
                warn=1e6,
                range=(0, 0),
                source=Source.LOKI,
                width=12,
            ),
            Panel(
                "Ended connections",
                "A line each, with its whole life: duration, messages, bytes, round trips, deepest outbox.",
                "none",
                (Query(f'{_STREAM} | event="ws.closed"'),),
                warn=1e9,
                range=(0, 0),
                kind=Kind.LOGS,
                source=Source.LOKI,
                width=12,
            ),
        ),
        row(
            RowKind.SATURATION,
            Panel(
                "Lines by level",
                "Log lines a second; suppressed: not written, as there were more than LOG_REPEATS_PER_S of their kind.",
                "ops",
                (
                    Query(rate("code_racer_log_records_total", "level"), "{{level}}"),
                    Query(rate("code_racer_log_suppressed_total", "event"), "suppressed {{event}}"),
                ),
                warn=1_000,
                range=(0, 1_000),
                width=4,
            ),
            Panel(
                "Lines lost",
                "Lines that could not be written, within the step shown: nobody reads them, or the disk is full.",
                "none",
                (
                    Query(f"sum(increase({selected('code_racer_log_dropped_total')}[$__rate_interval]))", "lost"),
                    Query(
                        f"sum(increase({selected('code_racer_log_writer_restarts_total')}[$__rate_interval]))",
                        "deaths of the writer",
                    ),
                ),
                warn=0.5,
                range=(0, 0),
                alerts=("CodeRacerLogsDropped", "CodeRacerLogWriterDied"),
                width=4,
            ),
            Panel(
                "Spans by what became of them",
                "A second. failed: the collector did not take them; dropped: the queue to it was full.",
                "ops",
                (Query(rate("code_racer_trace_spans_total", "outcome", 'outcome=~"failed|dropped"'), "{{outcome}}"),),
                warn=0.01,
                range=(0, 0),
                alerts=("CodeRacerTracesLost",),
                width=4,
            ),
            Panel(
                "Series as a part of their limit",
                "At 1 (MAX_METRIC_SERIES) further label values are counted as other.",
                "percentunit",
                (
                    Query(
                        f"max by (instance) ({selected('code_racer_metric_series')}"
                        f" / {selected('code_racer_metric_series_limit')})",
                        "{{instance}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerSeriesNearLimit", "above"),
                range=(0.01, 0.5),
                alerts=("CodeRacerSeriesNearLimit",),
                width=4,
            ),
            Panel(
                "Log for each connection",
                "Bytes of log for each connection that is taken, within the step shown; a release has a budget of it.",
                "bytes",
                (
                    Query(
                        f"sum(increase({selected('code_racer_log_bytes_total')}[$__rate_interval])) / sum(increase("
                        + selected("code_racer_ws_handshakes_total", 'outcome="accepted"')
                        + "[$__rate_interval]))",
                        "a connection",
                    ),
                ),
                warn=_LOG_BYTES,
                range=(0, _LOG_BYTES),
                alerts=("CodeRacerLogBudget",),
                width=4,
            ),
            Panel(
                "Series of a replica",
                "What each replica exposes; it grows with a release or its configuration, and never with players.",
                "none",
                (Query(f"max by (instance) ({selected('code_racer_metric_series')})", "{{instance}}"),),
                warn=_SERIES,
                range=(0, _SERIES),
                alerts=("CodeRacerSeriesBudget",),
                width=4,
            ),
        ),
    ),
)
