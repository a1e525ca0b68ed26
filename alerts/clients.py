"""Alerts on what clients do, counted by clients: one that does it a thousand times is one."""

from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, KEEPS, Alert, Case, Group, Severity

JOB: Final = {"job": "code-racer"}
_MISUNDERSTOOD: Final = CONFIG["CodeRacerClientsMisunderstood"]
_LIMITED: Final = CONFIG["CodeRacerPlayersLimited"]
_TROUBLED: Final = "code_racer_ws_troubled_connections_total"
_ACCEPTED: Final = 'code_racer_ws_handshakes_total{outcome="accepted"}'
_ERRORS: Final = "code_racer_ws_errors_total"
_CLOSES: Final = "code_racer_ws_closes_total"
_NO_MESSAGES: Final = f'{_CLOSES}{{reason=~"binary_unsupported|invalid_utf8|message_too_big|wire_protocol_error"}}'


def _sum(counts: str) -> str:
    return f"sum by (cluster, namespace, job) ({counts})"


def _share(troubled: str, window: object) -> str:
    return f"{_sum(troubled)} / {_sum(f'increase({_ACCEPTED}[{window}])')}"


def _connections(accepted: str, **troubled: str) -> dict[str, str]:
    return {f'code_racer_ws_handshakes_total{{{INSTANCE}, outcome="accepted"}}': accepted} | {
        f'{_TROUBLED}{{{INSTANCE}, trouble="{kind}"}}': values for kind, values in troubled.items()
    }


_WINDOW: Final = _MISUNDERSTOOD["window"]
_RUBBISH: Final = f'increase({_TROUBLED}{{trouble="not_understood"}}[{_WINDOW}]) or increase({_NO_MESSAGES}[{_WINDOW}])'
_TOO_FAST: Final = f'increase({_TROUBLED}{{trouble="too_fast"}}[{_LIMITED["window"]}])'

MISUNDERSTOOD: Final = Alert(
    name="CodeRacerClientsMisunderstood",
    severity=Severity.WARNING,
    expr=(
        f"{_share(_RUBBISH, _WINDOW)} > {_MISUNDERSTOOD['share']}\n"
        f"and {_sum(_RUBBISH)} >= {_MISUNDERSTOOD['connections']}\n"
    ),
    hold="5m",
    summary="More than a few clients say what the server does not understand: a release of them may be broken.",
    description="{{ $value | humanizePercentage }} of the clients that come send what is not understood.",
    cases=(
        Case(
            "one client in twenty sends rubbish, a message each",
            _connections("0+200x40", not_understood="0+10x40"),
            fires=6,
            labels=JOB,
            description="5% of the clients that come send what is not understood.",
        ),
        Case(
            "one in twenty sends binary frames, and is closed for it",
            _connections("0+200x40", not_understood="0x40")
            | {f'{_CLOSES}{{{INSTANCE}, code="1003", reason="binary_unsupported", initiator="server"}}': "0+10x40"},
            fires=6,
            labels=JOB,
            description="5% of the clients that come send what is not understood.",
        ),
        Case(
            "one client sends rubbish all the time",
            _connections("0+200x40", not_understood="0 1x40")
            | {f'{_ERRORS}{{{INSTANCE}, code="invalid_json"}}': "0+600x40"},
            silent=(7, 15, 35),
        ),
        Case(
            "a few of few in a quiet night", _connections("0+1x60", not_understood="0x20 1 2 3 4x40"), silent=(22, 30)
        ),
        Case(
            "a restart sets the counters back",
            _connections("0+200x20 0+200x20", not_understood="900x20 0x20"),
            silent=(22, 35),
        ),
    ),
)

LIMITED: Final = Alert(
    name="CodeRacerPlayersLimited",
    severity=Severity.CRITICAL,
    expr=(
        f"{_share(_TOO_FAST, _LIMITED['window'])} > {_LIMITED['share']}\n"
        f"and {_sum(_TOO_FAST)} >= {_LIMITED['connections']}\n"
    ),
    hold="5m",
    keeps=KEEPS,
    summary="Nearly all players are told that they are too fast: a limit is too low for the game.",
    description="{{ $value | humanizePercentage }} of the players who come have messages refused as too fast.",
    cases=(
        Case(
            "nine in ten players, each now and then",
            _connections("0+20x40", too_fast="0+18x40"),
            fires=7,
            labels=JOB,
            description="90% of the players who come have messages refused as too fast.",
        ),
        Case(
            "a client that does not slow down, a thousand times a minute",
            _connections("0+20x40", too_fast="0 1x40") | {f'{_ERRORS}{{{INSTANCE}, code="rate_limited"}}': "0+1000x40"},
            silent=(7, 15, 35),
        ),
        Case("half of them: bots among players", _connections("0+40x40", too_fast="0+20x40"), silent=(7, 35)),
    ),
)

CLIENTS: Final = Group("code-racer-clients", (MISUNDERSTOOD, LIMITED))
