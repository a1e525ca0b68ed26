"""The alert on one replica that does worse than the others: one rule for every ratio that can go wrong on one alone.

A replica is compared with the other replicas: those that are not that bad. Where there is no rest, because it is alone
or all are alike, it is no outlier.
"""

from typing import Final

from alerts.model import WHERE, Alert, Case, Group, Recording, Severity
from alerts.refusals import REFUSED, REFUSES
from alerts.signals import BAD, CONFIGURED, QUIET, SIGNALS, WELL, handshakes

_SIGNAL: Final = "(cluster, namespace, job, signal)"
_WORSE: Final = (
    f"{BAD} > {CONFIGURED['bad']}\n"
    f"and {BAD} > on {_SIGNAL} group_left () {CONFIGURED['times']} * avg by {_SIGNAL} ({BAD} <= {CONFIGURED['bad']})\n"
)


def _counted(counter: str, replicas: dict[str, dict[str, int]]) -> dict[str, str]:
    """Count so many a minute for each replica and further labels."""
    return {
        f'{counter}{{job="code-racer", instance="{replica}:8080", {labels}}}': f"0+{count}x30"
        for replica, counts in replicas.items()
        for labels, count in counts.items()
    }


def _timed(histogram: str, labels: str, limit: str, late: dict[str, int]) -> dict[str, str]:
    """So many of a hundred a minute are over a limit, by replica."""
    return {
        series: values
        for kind, more, good in (("count", "", 0), ("bucket", f', le="{limit}"', 1))
        for series, values in _counted(
            f"{histogram}_{kind}", {one: {labels + more: 100 - good * bad} for one, bad in late.items()}
        ).items()
    }


_VERDICTS: Final = "code_racer_verdict_seconds"
_RUNS: Final = "code_racer_judge_duration_seconds_count"
_LIMIT: Final = 'outcome="time_limit"'
_WRONG, _ERROR, _LE = 'outcome="wrong_answer"', 'outcome="judge_error"', 'le="5.0"'


def _verdicts(late: dict[str, int]) -> dict[str, str]:
    """So many of a hundred verdicts a minute are late, by replica."""
    return _timed(_VERDICTS, _WRONG, "5.0", late)


def _worse(name: str, signal: str, part: int, series: dict[str, str]) -> Case:
    description = f"{part}% of the {signal} of a:8080 are bad; not so elsewhere."
    return Case(name, series, fires=11, labels={**WHERE, "signal": signal}, description=description)


OUTLIER: Final = Alert(
    name="CodeRacerReplicaOutlier",
    severity=Severity.WARNING,
    expr=_WORSE,
    hold="10m",
    summary="One replica does much worse than the others.",
    description="{{ $value | humanizePercentage }} of the {{ $labels.signal }} of {{ $labels.instance }} are bad;"
    " not so elsewhere.",
    cases=(
        _worse(
            "somebody whom a game's hash pins to one replica tries tokens",
            "handshakes",
            90,
            WELL | handshakes("a", "0+60x30", "0+540x30"),
        ),
        _worse(
            "one refuses messages",
            "messages",
            30,
            _counted(
                "code_racer_ws_message_duration_seconds_count",
                {
                    "a": {'type="ready", outcome="ok"': 70, 'type="other", outcome="rejected"': 30},
                    "b": {'type="ready", outcome="ok"': 95, 'type="other", outcome="rejected"': 5},
                },
            ),
        ),
        _worse(
            "one with a wrong secret lets nobody make a game",
            "requests",
            40,
            _counted(
                "code_racer_http_requests_total",
                {
                    one: {
                        'route="/api/games", method="POST", status="2xx"': 60 - bad,
                        'route="/api/games", method="POST", status="4xx"': bad,
                        'route="/api/problems", method="GET", status="2xx"': 40,
                        'route="other", method="GET", status="4xx"': 900,
                    }
                    for one, bad in (("a", 40), ("b", 1), ("c", 2))
                },
            ),
        ),
        _worse(
            "one cuts its players off",
            "closes",
            30,
            _counted(
                "code_racer_ws_closes_total",
                {
                    "a": {'reason="normal"': 30, 'reason="slow_consumer"': 30, 'reason="connection_age"': 40},
                    "b": {'reason="normal"': 55, 'reason="slow_consumer"': 5, 'reason="connection_age"': 40},
                },
            ),
        ),
        _worse(
            "events are late on one",
            "deliveries",
            30,
            _timed("code_racer_event_delivery_seconds", 'reader="prompt"', "0.25", {"a": 30, "b": 1, "c": 1}),
        ),
        _worse(
            "the event log is slow for one",
            "appends",
            50,
            _timed("code_racer_event_log_append_seconds", 'outcome="accepted"', "0.1", {"a": 50, "b": 2, "c": 2}),
        ),
        _worse(
            "the judge of one is out of order",
            "verdicts",
            25,
            _counted(f"{_VERDICTS}_count", {"a": {_WRONG: 75, _ERROR: 25}, "b": {_WRONG: 100}})
            | _counted(f"{_VERDICTS}_bucket", {"a": {f"{_WRONG}, {_LE}": 75, f"{_ERROR}, {_LE}": 25}})
            | _counted(f"{_VERDICTS}_bucket", {"b": {f"{_WRONG}, {_LE}": 100}}),
        ),
        _worse("the judge of one is slow, and fails nobody", "verdicts", 40, _verdicts({"a": 40, "b": 1, "c": 1})),
        Case("the judges of all are slow", _verdicts({"a": 90, "b": 80, "c": 80}), silent=(12, 25)),
        Case(
            "nineteen verdicts, all of them late, where the others have many",
            _timed(_VERDICTS, _WRONG, "5.0", {"b": 1, "c": 1})
            | {f'{_VERDICTS}_count{{job="code-racer", instance="a:8080", {_WRONG}}}': "0+2x9 18x21"},
            silent=(12, 25),
        ),
        Case(
            "somebody's endless code keeps one judge, which tells the others in time",
            _verdicts({"a": 0, "b": 0}) | _counted(f"{_VERDICTS}_count", {"a": {_LIMIT: 100}}),
            silent=(12, 25),
        ),
        _worse(
            "the judge of one gets no processor: good code runs into its limit of time",
            "runs",
            40,
            _counted(_RUNS, {"a": {_WRONG: 60, _LIMIT: 40}, "b": {_WRONG: 96, _LIMIT: 4}}),
        ),
        Case(
            "endless code everywhere",
            _counted(_RUNS, {"a": {_WRONG: 60, _LIMIT: 40}, "b": {_WRONG: 70, _LIMIT: 30}}),
            silent=(12, 25),
        ),
        Case(
            "one worker of a machine is late, the others are not",
            {
                series.replace("a:8080", "host:9101").replace("b:8080", "host:9102").replace("c:8080", "host:9103"): of
                for series, of in _timed(
                    "code_racer_event_delivery_seconds", 'reader="prompt"', "0.25", {"a": 1, "b": 40, "c": 1}
                ).items()
            },
            fires=11,
            labels={"job": "code-racer", "instance": "host:9102", "signal": "deliveries"},
            description="40% of the deliveries of host:9102 are bad; not so elsewhere.",
        ),
        Case(
            "the event log is slow for all",
            _timed("code_racer_event_log_append_seconds", 'outcome="accepted"', "0.1", {"a": 50, "b": 50, "c": 40}),
            silent=(12, 25),
        ),
        Case("there is no other replica", handshakes("a", "0x30", "0+60x30"), silent=(12, 25)),
        QUIET,
    ),
)

OUTLIERS: Final = Group(
    "code-racer-outliers",
    (*(Recording(BAD, one.bad(), {"signal": one.name}) for one in SIGNALS), REFUSES, OUTLIER, REFUSED),
)
