"""Alerts on who comes, who is sent away, and who is lost."""

from typing import Final

from alerts.config import CONFIG
from alerts.lost import ABNORMAL_CLOSES
from alerts.model import INSTANCE, KEEPS, WHERE, Alert, Case, Group, Severity, last

JOB: Final = {"job": "code-racer"}
_HANDSHAKES: Final = "code_racer_ws_handshakes_total"
_CLIENT_CLOSES: Final = "code_racer_ws_client_closes_total"
_AUTH: Final = CONFIG["CodeRacerAuthFailureSurge"]
_ORIGIN: Final = CONFIG["CodeRacerOriginRefusalSurge"]
_LOOPING: Final = CONFIG["CodeRacerClientLooping"]
_CLIFF: Final = CONFIG["CodeRacerConnectionCliff"]
_STORM: Final = CONFIG["CodeRacerReconnectStorm"]
_SLOW: Final = CONFIG["CodeRacerSlowConsumers"]
_LIMITED: Final = CONFIG["CodeRacerRateLimitSurge"]
_ERRORS: Final = CONFIG["CodeRacerErrorSurge"]
_OPEN: Final = last("code_racer_ws_connections")
_OPEN_BEFORE: Final = last("code_racer_ws_connections", str(_CLIFF["ago"]))


def _sum(of: str) -> str:
    return f"sum by (cluster, namespace, job) ({of})"


def _handshakes(outcome: str) -> str:
    return f'{_HANDSHAKES}{{{INSTANCE}, outcome="{outcome}"}}'


_MESSAGES_IN: Final = f'code_racer_ws_messages_total{{{INSTANCE}, direction="in", type="ready"}}'


def _errors(code: str) -> str:
    return f'code_racer_ws_errors_total{{{INSTANCE}, code="{code}"}}'


def _answered(outcome: str, window: object) -> str:
    return f'rate({_HANDSHAKES}{{outcome="{outcome}"}}[{window}])'


_UNAUTHORIZED: Final = _sum(_answered("unauthorized", _AUTH["window"]))
AUTH_FAILURES: Final = Alert(
    name="CodeRacerAuthFailureSurge",
    severity=Severity.WARNING,
    expr=(
        f"{_UNAUTHORIZED} > {_AUTH['per_s']}\nand {_UNAUTHORIZED}\n  > {_sum(_answered('accepted', _AUTH['window']))}\n"
    ),
    hold="5m",
    summary="More tokens are refused than taken.",
    description="{{ $value | humanize }} handshakes a second are refused for their tokens, more than are accepted.",
    cases=(
        Case(
            "two a second are refused, one is taken",
            {_handshakes("unauthorized"): "0+120x20", _handshakes("accepted"): "0+60x20"},
            fires=8,
            labels=JOB,
            description="2 handshakes a second are refused for their tokens, more than are accepted.",
        ),
        Case(
            "somebody tries tokens while everybody else plays",
            {_handshakes("unauthorized"): "0+120x20", _handshakes("accepted"): "0+600x20"},
            silent=(7, 15),
        ),
    ),
)

ORIGIN_REFUSALS: Final = Alert(
    name="CodeRacerOriginRefusalSurge",
    severity=Severity.WARNING,
    expr=f"{_sum(_answered('origin_refused', _ORIGIN['window']))} > {_ORIGIN['per_s']}",
    hold="5m",
    summary="Browsers are refused for the page they come from.",
    description="{{ $value | humanize }} handshakes a second come from pages that are not allowed.",
    cases=(
        Case(
            "a front end under a new name",
            {_handshakes("origin_refused"): "0+60x20"},
            fires=7,
            labels=JOB,
            description="1 handshakes a second come from pages that are not allowed.",
        ),
        Case("somebody's local page", {_handshakes("origin_refused"): "0+3x20"}, silent=(7, 15)),
    ),
)


def _ends(client: str, kind: str) -> str:
    return f'{_CLIENT_CLOSES}{{{INSTANCE}, client="{client}", kind="{kind}"}}'


_BY_CLIENT: Final = "sum by (cluster, namespace, job, client)"
_EARLY: Final = f'{_BY_CLIENT} (increase({_CLIENT_CLOSES}{{client!="canary", kind="early"}}[{_LOOPING["window"]}]))'
CLIENT_LOOPING: Final = Alert(
    name="CodeRacerClientLooping",
    severity=Severity.WARNING,
    expr=(
        f"{_EARLY} > {_LOOPING['early']}\n"
        f"and {_EARLY}\n"
        f"  > {_LOOPING['share']} * {_BY_CLIENT} (increase({_CLIENT_CLOSES}[{_LOOPING['window']}]))\n"
    ),
    hold="5m",
    summary="A client reconnects in a loop.",
    description=(
        "{{ $value | humanize }} connections of {{ $labels.client }} ended within two seconds in ten minutes,"
        " more than half of all it had."
    ),
    cases=(
        Case(
            "a release closes at each welcome, while browsers play",
            {_ends("node", "early"): "0+10x30", _ends("node", "client"): "0x30", _ends("browser", "client"): "0+50x30"},
            fires=9,
            labels={**JOB, "client": "node"},
            description="90 connections of node ended within two seconds in ten minutes, more than half of all it had.",
        ),
        Case(
            "a page that people leave at once, among many who play",
            {_ends("browser", "early"): "0+10x30", _ends("browser", "server"): "0+20x30"},
            silent=(12, 28),
        ),
        Case("a canary, whose races are short", {_ends("canary", "early"): "0+10x30"}, silent=(12, 28)),
        Case("one that tries it by hand", {_ends("other", "early"): "0+2x30"}, silent=(12, 28)),
    ),
)

CLIFF: Final = Alert(
    name="CodeRacerConnectionCliff",
    severity=Severity.CRITICAL,
    expr=(
        f"{_sum(_OPEN)}\n"
        f"  < {_CLIFF['left']} * {_sum(_OPEN_BEFORE)}\n"
        f"and {_sum(_OPEN_BEFORE)} > {_CLIFF['connections']}\n"
    ),
    hold="1m",
    keeps=KEEPS,
    summary="More than half of the connections are gone.",
    description="{{ $value }} connections are left; five minutes ago there were more than twice as many.",
    cases=(
        Case(
            "cut off at once",
            {f"code_racer_ws_connections{{{INSTANCE}}}": "1000x10 100x20"},
            fires=12,
            labels=JOB,
            description="100 connections are left; five minutes ago there were more than twice as many.",
        ),
        Case(
            "a rolling restart: what one loses the other gets",
            {
                f"code_racer_ws_connections{{{INSTANCE}}}": "1000x10 0x20",
                'code_racer_ws_connections{job="code-racer", instance="b:8080"}': "0x10 1000x20",
            },
            silent=(11, 12, 14),
        ),
        Case(
            "cut off, and they come back and are cut off",
            {f"code_racer_ws_connections{{{INSTANCE}}}": "1000x10 100 100 100 900 900 100 100 100x20"},
            silent=(11, 30),
            once=(12, 20),
        ),
        Case("the evening ends", {f"code_racer_ws_connections{{{INSTANCE}}}": "1000-20x48"}, silent=(10, 20, 30)),
    ),
)

_ATTEMPTS: Final = _sum(f"rate({_HANDSHAKES}[{_STORM['window']}])")
_USUAL: Final = _sum(f"rate({_HANDSHAKES}[{_STORM['usual']}] offset {_STORM['window']})")
RECONNECT_STORM: Final = Alert(
    name="CodeRacerReconnectStorm",
    severity=Severity.WARNING,
    expr=(f"{_ATTEMPTS} > {_STORM['per_s']}\nand {_ATTEMPTS}\n  > {_STORM['times']} * {_USUAL}\n"),
    hold="2m",
    summary="Many more clients come than usual: they may be coming back again and again.",
    description="{{ $value | humanize }} attempts to connect a second, over five times as many as in the hour before.",
    cases=(
        Case(
            "all come back",
            {_handshakes("accepted"): "0+60x60 3600+9000x20"},
            fires=64,
            labels=JOB,
            description="90.2 attempts to connect a second, over five times as many as in the hour before.",
        ),
        Case("a busy evening", {_handshakes("accepted"): "0+3000x90"}, silent=(70, 85)),
    ),
)

_CUT_OFF: Final = _sum(f"increase(code_racer_ws_slow_consumer_closes_total[{_SLOW['window']}])")
SLOW_CONSUMERS: Final = Alert(
    name="CodeRacerSlowConsumers",
    severity=Severity.WARNING,
    expr=(f"{_CUT_OFF} > {_SLOW['closes']}\nand {_CUT_OFF}\n  > {_SLOW['share']} * {_sum(_OPEN)}\n"),
    hold="1m",
    summary="Many clients read too slowly and are cut off.",
    description="{{ $value | humanize }} clients in ten minutes were cut off for reading too slowly.",
    cases=(
        Case(
            "one in twenty",
            {
                f"code_racer_ws_slow_consumer_closes_total{{{INSTANCE}}}": "0+5x20",
                f"code_racer_ws_connections{{{INSTANCE}}}": "400x20",
            },
            fires=4,
            labels=JOB,
            description="20 clients in ten minutes were cut off for reading too slowly.",
        ),
        Case(
            "a few of very many",
            {
                f"code_racer_ws_slow_consumer_closes_total{{{INSTANCE}}}": "0+5x20",
                f"code_racer_ws_connections{{{INSTANCE}}}": "40000x20",
            },
            silent=(5, 15),
        ),
    ),
)

OUTBOX_GROWTH: Final = Alert(
    name="CodeRacerOutboxGrowth",
    severity=Severity.WARNING,
    expr=f"{last('code_racer_ws_outbox_bytes')} > {CONFIG['CodeRacerOutboxGrowth']['mebibytes']} * 1024 * 1024",
    hold="5m",
    summary="Much waits to be read by clients.",
    description="{{ $value | humanize1024 }}B wait in the outboxes of {{ $labels.instance }}.",
    cases=(
        Case(
            "a hundred megabytes",
            {f"code_racer_ws_outbox_bytes{{{INSTANCE}}}": "0 134217728x20"},
            fires=6,
            labels=WHERE,
            description="128MiB wait in the outboxes of a:8080.",
        ),
        Case("a moment", {f"code_racer_ws_outbox_bytes{{{INSTANCE}}}": "0 134217728 134217728 0x9"}, silent=(3, 8)),
    ),
)

LIMIT_SURGE: Final = Alert(
    name="CodeRacerRateLimitSurge",
    severity=Severity.WARNING,
    expr=(
        "sum by (cluster, namespace, job, scope)"
        f' (rate(code_racer_ws_rate_limited_total{{mode="enforced"}}[{_LIMITED["window"]}])) > {_LIMITED["per_s"]}'
    ),
    hold="10m",
    summary="Clients run into a limit again and again.",
    description="The limit {{ $labels.scope }} is exceeded {{ $value | humanize }} times a second.",
    cases=(
        Case(
            "a client that does not slow down",
            {f'code_racer_ws_rate_limited_total{{{INSTANCE}, scope="messages", mode="enforced"}}': "0+1200x30"},
            fires=13,
            labels={"job": "code-racer", "scope": "messages"},
            description="The limit messages is exceeded 20 times a second.",
        ),
        Case(
            "a dry run refuses nothing",
            {f'code_racer_ws_rate_limited_total{{{INSTANCE}, scope="messages", mode="dry_run"}}': "0+1200x30"},
            silent=(12, 25),
        ),
    ),
)

CONNECTION_LIMIT: Final = Alert(
    name="CodeRacerConnectionLimitNear",
    severity=Severity.WARNING,
    expr=f"{_OPEN} / {last('code_racer_ws_connections_limit')} > {CONFIG['CodeRacerConnectionLimitNear']['above']}",
    hold="5m",
    summary="A replica has nearly all the connections it may have; soon it refuses.",
    description="{{ $labels.instance }} has {{ $value | humanizePercentage }} of its connections.",
    cases=(
        Case(
            "nineteen in twenty",
            {
                f"code_racer_ws_connections{{{INSTANCE}}}": "0 19000x20",
                f"code_racer_ws_connections_limit{{{INSTANCE}}}": "20000x20",
            },
            fires=6,
            labels=WHERE,
            description="a:8080 has 95% of its connections.",
        ),
        Case(
            "what another replica leaves behind in a deploy",
            {
                f"code_racer_ws_connections{{{INSTANCE}}}": "9000 19000 19000 19000 9000x20",
                f"code_racer_ws_connections_limit{{{INSTANCE}}}": "20000x30",
            },
            silent=(4, 6, 20),
        ),
    ),
)

_MESSAGES: Final = _sum(f'rate(code_racer_ws_messages_total{{direction="in"}}[{_ERRORS["window"]}])')
_ERRED: Final = _sum(f'rate(code_racer_ws_errors_total{{code!="rate_limited"}}[{_ERRORS["window"]}])')
ERROR_SURGE: Final = Alert(
    name="CodeRacerErrorSurge",
    severity=Severity.WARNING,
    expr=(f"{_ERRED} > {_ERRORS['per_s']}\nand {_ERRED}\n  > {_ERRORS['share']} * {_MESSAGES}\n"),
    hold="5m",
    summary="Many messages are answered with an error: clients and server may not understand each other.",
    description="{{ $value | humanize }} messages a second are answered with an error, more than a fifth of all.",
    cases=(
        Case(
            "a client with a mistake",
            {_errors("unknown_type"): "0+600x20", _MESSAGES_IN: "0+1200x20"},
            fires=8,
            labels=JOB,
            description="10 messages a second are answered with an error, more than a fifth of all.",
        ),
        Case("the usual few", {_errors("invalid_data"): "0+600x20", _MESSAGES_IN: "0+60000x20"}, silent=(7, 15)),
        Case("they are only too fast", {_errors("rate_limited"): "0+600x20", _MESSAGES_IN: "0+700x20"}, silent=(7, 15)),
    ),
)

CONNECTIONS: Final = Group(
    "code-racer-connections",
    (
        AUTH_FAILURES,
        ORIGIN_REFUSALS,
        ABNORMAL_CLOSES,
        CLIENT_LOOPING,
        CLIFF,
        RECONNECT_STORM,
        SLOW_CONSUMERS,
        OUTBOX_GROWTH,
        LIMIT_SURGE,
        CONNECTION_LIMIT,
        ERROR_SURGE,
    ),
)
