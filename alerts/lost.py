"""The alert on connections that are lost: many of those that end, many of those that are open, or all of one age."""

import math
from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, Alert, Case, Severity
from app.telemetry.catalogue.model import AGE_BUCKETS

_JOB: Final = {"job": "code-racer"}
_C: Final = CONFIG["CodeRacerAbnormalCloses"]
_WINDOW, _AGES_WINDOW = _C["window"], _C["ages_window"]
_CLOSES: Final = "code_racer_ws_closes_total"
_AGES: Final = "code_racer_ws_lost_age_seconds"


def _sum(of: str) -> str:
    return f"sum by (cluster, namespace, job) ({of})"


def _closes(reason: str, initiator: str) -> str:
    return f'{_CLOSES}{{{INSTANCE}, reason="{reason}", initiator="{initiator}"}}'


_LOST: Final = _sum(f'rate({_CLOSES}{{reason=~"connection_lost|ping_timeout"}}[{_WINDOW}])')
_YOUNG: Final = _sum(f'increase({_AGES}_bucket{{le="{_C["older_than_s"]}"}}[{_AGES_WINDOW}])')
_OLD: Final = (
    f"sum by (cluster, namespace, job, le) (increase({_AGES}_bucket[{_AGES_WINDOW}]))"
    f" - on (cluster, namespace, job) group_left () {_YOUNG}"
)
_OF_ONE_AGE: Final = (
    f"histogram_quantile(0.95, {_OLD})\n"
    f"  < {_C['younger_than_s']} < {_C['alike']} * histogram_quantile(0.5, {_OLD})\n"
    f"and {_sum(f'increase({_AGES}_count[{_AGES_WINDOW}])')} - {_YOUNG} >= {_C['lost']}\n"
)
"""Networks lose connections of any age. Where the older half of those lost is of one age, something cuts them at it."""


def _ages(lost_by: dict[float, str], lost: str) -> dict[str, str]:
    """So many are lost that are no older than a bound, over time; and so many in all."""
    buckets = {f'{_AGES}_bucket{{{INSTANCE}, le="{bound}"}}': values for bound, values in lost_by.items()}
    return {
        **buckets,
        f'{_AGES}_bucket{{{INSTANCE}, le="+Inf"}}': lost,
        f"{_AGES}_count{{{INSTANCE}}}": lost,
        _closes("connection_lost", "network"): lost,
        _closes("normal", "client"): "0+100x90",
        f"code_racer_ws_connections{{{INSTANCE}}}": "300x90",
    }


_A_MINUTE: Final = 6
"""So many connections that would last come each minute, among a hundred short races."""


def _gone(seconds: float, a_minute: float = 0.02) -> float:
    """Tell what part networks have lost at an age: so many of those that are left each minute."""
    return 1 - math.pow(1 - a_minute, seconds / 60)


def _lasting(race_s: float, a_minute: float, cut: bool) -> dict[str, str]:
    """Make series of those that networks lose at any age, until their race ends or all that are left are cut."""
    lost_by = {bound: _A_MINUTE * _gone(min(bound, race_s), a_minute) for bound in AGE_BUCKETS}
    lost = _A_MINUTE * (1 if cut else _gone(race_s, a_minute))
    if cut:
        lost_by |= {bound: _A_MINUTE for bound in AGE_BUCKETS if bound > race_s}
    return _ages({bound: f"0+{count:.3f}x90" for bound, count in lost_by.items()}, f"0+{lost:.3f}x90")


def _after_a_deploy(connections: int) -> dict[str, str]:
    """Make series of connections that all came at once, and of which networks lose some."""
    lost_by = {
        bound: " ".join(f"{connections * _gone(min(60 * minute, bound)):.0f}" for minute in range(91))
        for bound in (*AGE_BUCKETS, 1e9)
    }
    return _ages({bound: lost_by[bound] for bound in AGE_BUCKETS}, lost_by[1e9])


def _cut(minutes: int) -> Case:
    return Case(
        f"a proxy cuts each after {minutes} minutes, among short races",
        _lasting(60 * minutes, 0.02, cut=True),
        fires=9,
        labels=_JOB,
        description="90m connections a second are lost.",
    )


ABNORMAL_CLOSES: Final = Alert(
    name="CodeRacerAbnormalCloses",
    severity=Severity.WARNING,
    expr=(
        f"{_LOST} > {_C['per_s']}\n"
        f"and {_LOST}\n"
        f"  > {_C['share']} * {_sum(f'rate({_CLOSES}[{_WINDOW}])')}\n"
        f"or {_LOST} > {_C['cut_per_s']}\n"
        f"and 60 * {_LOST}\n"
        f"  > {_C['lost_per_connection_minute']} * {_sum(f'avg_over_time(code_racer_ws_connections[{_WINDOW}])')}\n"
        f"or {_LOST} and {_OF_ONE_AGE}"
    ),
    hold="5m",
    summary="Connections end without a goodbye: most of those that end, or those that last are cut at an age.",
    description="{{ $value | humanize }} connections a second are lost.",
    cases=(
        Case(
            "a proxy cuts",
            {_closes("connection_lost", "network"): "0+60x30", _closes("normal", "client"): "0+30x30"},
            fires=11,
            labels=_JOB,
            description="1 connections a second are lost.",
        ),
        Case(
            "a proxy cuts each after a minute, among a thousand short races",
            {
                _closes("connection_lost", "network"): "0+60x30",
                _closes("normal", "client"): "0+1000x30",
                f"code_racer_ws_connections{{{INSTANCE}}}": "560x30",
            },
            fires=15,
            labels=_JOB,
            description="1 connections a second are lost.",
        ),
        _cut(10),
        _cut(15),
        _cut(30),
        Case(
            "networks lose one in fifty each minute, at any age; races end within half an hour",
            _lasting(1800, 0.02, cut=False),
            silent=(12, 40, 85),
        ),
        Case(
            "the same with one in twenty, and races within ten minutes",
            _lasting(600, 0.05, cut=False),
            silent=(12, 40, 85),
        ),
        Case(
            "the same, and connections that last for hours",
            _lasting(7200, 0.02, cut=False),
            silent=(12, 40, 85),
        ),
        Case(
            "the same, after a deploy: all are of one age, a little older each minute",
            _after_a_deploy(600),
            silent=tuple(range(6, 91)),
        ),
        Case(
            "phones go to sleep",
            {_closes("connection_lost", "network"): "0+60x30", _closes("normal", "client"): "0+90x30"},
            silent=(7, 25),
        ),
        Case(
            "a large service of which some are always lost",
            {
                _closes("connection_lost", "network"): "0+60x30",
                _closes("normal", "client"): "0+1000x30",
                f"code_racer_ws_connections{{{INSTANCE}}}": "6000x30",
            },
            silent=(7, 25),
        ),
    ),
)
