"""Alerts on the event log of one replica."""

from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, KEEPS, WHERE, Alert, Case, Severity, last
from alerts.share import page_and_ticket


def _appended(fast: str, slow: str) -> dict[str, str]:
    """Make series of appends that took under 100 ms, and of further ones under 250 ms."""
    family = "code_racer_event_log_append_seconds"
    return {
        f'{family}_bucket{{{INSTANCE}, outcome="accepted", le="0.1", part="fast"}}': fast,
        f'{family}_bucket{{{INSTANCE}, outcome="accepted", le="0.25", part="fast"}}': fast,
        f'{family}_bucket{{{INSTANCE}, outcome="accepted", le="+Inf", part="fast"}}': fast,
        f'{family}_bucket{{{INSTANCE}, outcome="accepted", le="0.25", part="slow"}}': slow,
        f'{family}_bucket{{{INSTANCE}, outcome="accepted", le="+Inf", part="slow"}}': slow,
        f'{family}_count{{{INSTANCE}, outcome="accepted", part="fast"}}': fast,
        f'{family}_count{{{INSTANCE}, outcome="accepted", part="slow"}}': slow,
    }


_CONNECTED: Final = last("code_racer_event_log_connected")
EVENT_LOG_DOWN, EVENT_LOG_DOWN_ONE = page_and_ticket(
    Alert(
        name="CodeRacerEventLogDown",
        severity=Severity.CRITICAL,
        expr=f"{_CONNECTED} == 0",
        hold="1m",
        keeps=KEEPS,
        summary="The event log takes nothing: nobody can join, get ready or submit.",
        description="The event log of {{ $labels.instance }} has taken nothing for a minute.",
        cases=(
            Case(
                "lost",
                {f"code_racer_event_log_connected{{{INSTANCE}}}": "1 0x20"},
                fires=2,
                labels=WHERE,
                description="The event log of a:8080 has taken nothing for a minute.",
            ),
            Case(
                "lost, and every other scrape fails",
                {f"code_racer_event_log_connected{{{INSTANCE}}}": "1 0 stale 0 stale 0 stale 0 stale"},
                fires=2,
                labels=WHERE,
                description="The event log of a:8080 has taken nothing for a minute.",
            ),
            Case("a start", {f"code_racer_event_log_connected{{{INSTANCE}}}": "_ 0 1x9"}, silent=(2, 5)),
        ),
    ),
    all_of_them=_CONNECTED,
    well="code_racer_event_log_connected",
)

_SLOW: Final = CONFIG["CodeRacerEventLogSlow"]
EVENT_LOG_SLOW: Final = Alert(
    name="CodeRacerEventLogSlow",
    severity=Severity.WARNING,
    expr=(
        "histogram_quantile(0.9, sum by (cluster, namespace, job, instance, le)"
        f' (rate(code_racer_event_log_append_seconds_bucket{{outcome="accepted"}}[{_SLOW["window"]}])))'
        f" > {_SLOW['late_s']}\n"
        "and sum by (cluster, namespace, job, instance)"
        f' (increase(code_racer_event_log_append_seconds_count{{outcome="accepted"}}[{_SLOW["window"]}]))'
        f" >= {_SLOW['appends']}\n"
    ),
    hold="5m",
    summary="The event log takes long: so does all that players do in a game.",
    description="One append in ten takes the event log of {{ $labels.instance }} over {{ $value | humanizeDuration }}.",
    cases=(
        Case(
            "a busy disk",
            _appended(fast="0+60x20", slow="0+60x20"),
            fires=6,
            labels=WHERE,
            description="One append in ten takes the event log of a:8080 over 220ms.",
        ),
        Case("one in a hundred", _appended(fast="0+990x20", slow="0+10x20"), silent=(7, 15)),
        Case("two appends in a quiet night", _appended(fast="0x20", slow="0 2x20"), silent=(2, 7, 15)),
    ),
)

EVENT_LOG: Final = (EVENT_LOG_DOWN, EVENT_LOG_DOWN_ONE, EVENT_LOG_SLOW)
"""These stand in the group of the games, which stand still without the event log."""
