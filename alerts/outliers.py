"""Alerts on one replica that does worse than the others: one rule for every ratio that can go wrong on one alone.

Of each ratio (a `Signal`) the bad part is recorded for each replica. A replica is compared with the other replicas:
those that are not that bad. Where there is no rest, because it is alone or all are alike, it is no outlier.
"""

from dataclasses import dataclass
from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, KEEPS, WHERE, Alert, Case, Group, Recording, Severity

_C: Final = CONFIG["CodeRacerReplicaOutlier"]
_SERVICE: Final = "(cluster, namespace, job)"
_REPLICA: Final = "(cluster, namespace, job, instance)"
_SIGNAL: Final = "(cluster, namespace, job, signal)"
BAD: Final = "instance:code_racer_signal_bad:ratio"
"""Its part that is bad, for each replica and signal; nothing where there are too few events to tell."""


def _grown(counter: str, by: str = _REPLICA) -> str:
    return f"sum by {by} (increase({counter}[{_C['window']}]))"


@dataclass(frozen=True, slots=True)
class Signal:
    """A ratio: `of` counts all there is, `good` what is well of it."""

    name: str
    of: str
    good: str

    def bad(self, by: str = _REPLICA) -> str:
        """Write the bad part; nothing where there are too few events to tell."""
        return f"1 - {_grown(self.good, by)} / ({_grown(self.of, by)} >= {_C['events']})"


HANDSHAKES: Final = Signal(
    "handshakes",
    # not a replica that is about to end, nor a client that went
    'code_racer_ws_handshakes_total{outcome!~"draining|abandoned"}',
    'code_racer_ws_handshakes_total{outcome="accepted"}',
)
_CLIENTS: Final = "code_racer_ws_handshake_clients_total"
CLIENTS: Final = Signal("clients", _CLIENTS, f'{_CLIENTS}{{answer="accepted"}}')
"""The same by address: somebody who tries a thousand tokens is one."""
SIGNALS: Final = (
    HANDSHAKES,
    CLIENTS,
    Signal(
        "messages",
        "code_racer_ws_message_duration_seconds_count",
        'code_racer_ws_message_duration_seconds_count{outcome="ok"}',
    ),
    Signal(
        "requests",
        'code_racer_http_requests_total{route=~"/api/.+"}',  # not what scanners ask for
        'code_racer_http_requests_total{route=~"/api/.+", status!~"4xx|5xx"}',
    ),
    Signal(
        "closes",
        "code_racer_ws_closes_total",
        # those of clients and networks, and ours that belong to the day
        'code_racer_ws_closes_total{reason=~"normal|client_going_away|client_no_code|connection_lost|other'
        '|draining|connection_age|replaced|idle|token_expired"}',
    ),
    Signal(
        "deliveries",
        'code_racer_event_delivery_seconds_count{reader="prompt"}',
        'code_racer_event_delivery_seconds_bucket{reader="prompt", le="0.25"}',
    ),
    Signal(
        "appends",
        'code_racer_event_log_append_seconds_count{outcome="accepted"}',
        'code_racer_event_log_append_seconds_bucket{outcome="accepted", le="0.1"}',
    ),
    Signal(
        "verdicts",
        # not code that runs into its own limit of time: that is its player's
        'code_racer_verdict_seconds_count{outcome!="time_limit"}',
        'code_racer_verdict_seconds_bucket{outcome!~"time_limit|judge_error", le="5.0"}',
    ),
    Signal(
        "runs",
        # a judge that gets no processor says so of good code; endless code at all replicas alike is the players' own
        'code_racer_judge_duration_seconds_count{outcome!="judge_error"}',
        'code_racer_judge_duration_seconds_count{outcome!~"judge_error|time_limit"}',
    ),
)


def _refuses(signal: Signal) -> str:
    """Find the replicas that refuse most of it while those that do not refuse little."""
    bad = f'{BAD}{{signal="{signal.name}"}}'
    return (
        f"{bad} > {_C['refused']}\n"
        f"and on {_SERVICE} avg by {_SERVICE} ({bad} <= {_C['refused']}) < {_C['others_refuse']}\n"
    )


_SHAKES: Final = f'{BAD}{{signal="handshakes"}}'
_ACCEPTED: Final = _grown(HANDSHAKES.good)
_REFUSED_CLIENTS: Final = _grown(f'{_CLIENTS}{{answer="refused"}}')
_REFUSING: Final = (
    f"max by {_REPLICA} (\n{_refuses(CLIENTS)}"
    f"or {_refuses(HANDSHAKES)}"
    f"unless on {_REPLICA} {_ACCEPTED} >= on {_SERVICE} group_left () {_C['accepts']}"
    f" * avg by {_SERVICE} ({_ACCEPTED} and on {_REPLICA} {_SHAKES} <= {_C['refused']})\n"
    f"unless on {_REPLICA} {_REFUSED_CLIENTS} < {_C['few_clients']} * {_grown(CLIENTS.good)}\n)\n"
)
"""By clients; or by attempts, where a proxy shows one address for all.

Who adds bad attempts to one replica leaves it the good ones, which are few where the replica is itself at fault, and
comes from few addresses beside those who play there.
"""
_WORSE: Final = (
    f"{BAD} > {_C['bad']}\n"
    f"and {BAD} > on {_SIGNAL} group_left () {_C['times']} * avg by {_SIGNAL} ({BAD} <= {_C['bad']})\n"
)


def _counted(counter: str, replicas: dict[str, dict[str, int]]) -> dict[str, str]:
    """Count so many a minute for each replica and further labels."""
    return {
        f'{counter}{{job="code-racer", instance="{replica}:8080", {labels}}}': f"0+{count}x30"
        for replica, counts in replicas.items()
        for labels, count in counts.items()
    }


def _handshakes(replica: str, accepted: str, refused: str, outcome: str = "unauthorized") -> dict[str, str]:
    series = f'code_racer_ws_handshakes_total{{job="code-racer", instance="{replica}:8080", outcome='
    return {f'{series}"accepted"}}': accepted, f'{series}"{outcome}"}}': refused}


def _replicas(accepted: str, refused: str, replicas: str = "bc") -> dict[str, str]:
    return {series: values for one in replicas for series, values in _handshakes(one, accepted, refused).items()}


def _clients(**replicas: tuple[float, float]) -> dict[str, str]:
    """So many addresses are accepted and refused a minute, by replica."""
    return {
        f'{_CLIENTS}{{job="code-racer", instance="{replica}:8080", answer="{answer}"}}': f"0+{count:g}x30"
        for replica, counts in replicas.items()
        for answer, count in zip(("accepted", "refused"), counts, strict=True)
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


_WELL: Final = _replicas("0+60x30", "0+1x30")
_QUIET: Final = Case("a quiet night", _WELL | _handshakes("a", "0x30", "0x5 15x25"), silent=(6, 12, 25))


REFUSES: Final = Alert(
    name="CodeRacerReplicaRefuses",
    severity=Severity.CRITICAL,
    expr=_REFUSING,
    hold="2m",
    keeps=KEEPS,
    summary="One replica refuses most who come to it; the others do not.",
    description="{{ $labels.instance }} refuses {{ $value | humanizePercentage }} of the attempts to connect.",
    cases=(
        Case(
            "a wrong secret on one of three",
            _WELL | _handshakes("a", "0x30", "0+60x30"),
            fires=3,
            labels=WHERE,
            description="a:8080 refuses 100% of the attempts to connect.",
        ),
        Case(
            "the page's address is missing in the settings of one",
            _WELL | _handshakes("a", "0+15x30", "0+45x30", "origin_refused"),
            fires=3,
            labels=WHERE,
            description="a:8080 refuses 75% of the attempts to connect.",
        ),
        Case(
            "somebody whom a game's hash pins to one replica tries tokens",
            _WELL | _handshakes("a", "0+60x30", "0+600x30"),
            silent=(4, 12, 25),
        ),
        Case(
            "the same, and fewer play there than elsewhere",
            _WELL | _handshakes("a", "0+35x30", "0+600x30", "rate_limited"),
            silent=(4, 12, 25),
        ),
        Case(
            "three of five players, one attempt each, on one that has twice as many as the others",
            _WELL | _handshakes("a", "0+48x30", "0+72x30", "origin_refused") | _clients(a=(4, 6), b=(5, 0), c=(5, 0)),
            fires=6,
            labels=WHERE,
            description="a:8080 refuses 60% of the attempts to connect.",
        ),
        Case(
            "three in five attempts, as many as the others have",
            _WELL | _handshakes("a", "0+24x30", "0+36x30"),
            fires=3,
            labels=WHERE,
            description="a:8080 refuses 60% of the attempts to connect.",
        ),
        Case(
            "at night few play there, and somebody tries tokens from one address",
            _replicas("0+3x30", "0x30") | _handshakes("a", "0+1x30", "0+60x30") | _clients(a=(0.5, 0.1), b=(2, 0)),
            silent=(4, 12, 25),
        ),
        Case(
            "the same, seen as one address with the players', and more play there",
            _replicas("0+3x30", "0x30") | _handshakes("a", "0+2x30", "0+60x30") | _clients(a=(0.1, 0.1), b=(0.1, 0)),
            silent=(4, 12, 25),
        ),
        Case("forged tokens everywhere", _replicas("0+20x30", "0+60x30", "abc"), silent=(4, 12, 25)),
        Case("all have a wrong secret", _replicas("0x30", "0+60x30", "abc"), silent=(4, 12, 25)),
        Case("there is no other replica", _handshakes("a", "0x30", "0+60x30"), silent=(4, 12, 25)),
        Case(
            "the others refuse much too",
            _replicas("0+60x30", "0+20x30") | _handshakes("a", "0x30", "0+60x30"),
            silent=(4, 12, 25),
        ),
        Case("a drain", _WELL | _handshakes("a", "0+60x5 300x25", "0x5 0+60x25", "draining"), silent=(6, 12, 25)),
        _QUIET,
    ),
)


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
            _WELL | _handshakes("a", "0+60x30", "0+540x30"),
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
        Case("there is no other replica", _handshakes("a", "0x30", "0+60x30"), silent=(12, 25)),
        _QUIET,
    ),
)

REFUSED: Final = Alert(
    name="CodeRacerHandshakesRefused",
    severity=Severity.WARNING,
    expr=f"{HANDSHAKES.bad(_SERVICE)} > {_C['refused']}",
    hold="5m",
    summary="Most attempts to connect are refused.",
    description="{{ $value | humanizePercentage }} of the attempts to connect in ten minutes were refused.",
    cases=(
        Case(
            "a lone replica with a wrong secret",
            _handshakes("a", "0x30", "0+60x30"),
            fires=6,
            labels={"job": "code-racer"},
            description="100% of the attempts to connect in ten minutes were refused.",
        ),
        Case(
            "all have a wrong secret",
            _replicas("0x30", "0+60x30", "abc"),
            fires=6,
            labels={"job": "code-racer"},
            description="100% of the attempts to connect in ten minutes were refused.",
        ),
        Case(
            "nine of twenty",
            {
                f'code_racer_ws_handshakes_total{{{INSTANCE}, outcome="accepted"}}': "0+11x30",
                f'code_racer_ws_handshakes_total{{{INSTANCE}, outcome="game_full"}}': "0+9x30",
            },
            silent=(8, 25),
        ),
        Case("a quiet night", _handshakes("a", "0 2x30", "0x5 15x25"), silent=(8, 12, 25)),
    ),
)

OUTLIERS: Final = Group(
    "code-racer-outliers",
    (*(Recording(BAD, one.bad(), {"signal": one.name}) for one in SIGNALS), REFUSES, OUTLIER, REFUSED),
)
