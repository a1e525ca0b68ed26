"""Alerts on who comes and is refused: by one replica that does so alone, or by all of them."""

from typing import Final

from alerts.model import INSTANCE, KEEPS, WHERE, Alert, Case, Severity
from alerts.signals import (
    BAD,
    CLIENTS,
    CONFIGURED,
    HANDSHAKES,
    QUIET,
    REPLICA,
    SERVICE,
    WELL,
    Signal,
    grown,
    handshakes,
    on_replicas,
)

_CLIENTS: Final = CLIENTS.of


def _refuses(signal: Signal) -> str:
    """Find the replicas that refuse most of it while those that do not refuse little."""
    bad = f'{BAD}{{signal="{signal.name}"}}'
    return (
        f"{bad} > {CONFIGURED['refused']}\n"
        f"and on {SERVICE} avg by {SERVICE} ({bad} <= {CONFIGURED['refused']}) < {CONFIGURED['others_refuse']}\n"
    )


_SHAKES: Final = f'{BAD}{{signal="handshakes"}}'
_ACCEPTED: Final = grown(HANDSHAKES.good)
_REFUSED_CLIENTS: Final = grown(f'{_CLIENTS}{{answer="refused"}}')
_REFUSING: Final = (
    f"max by {REPLICA} (\n{_refuses(CLIENTS)}"
    f"or {_refuses(HANDSHAKES)}"
    f"unless on {REPLICA} {_ACCEPTED} >= on {SERVICE} group_left () {CONFIGURED['accepts']}"
    f" * avg by {SERVICE} ({_ACCEPTED} and on {REPLICA} {_SHAKES} <= {CONFIGURED['refused']})\n"
    f"unless on {REPLICA} {_REFUSED_CLIENTS} < {CONFIGURED['few_clients']} * {grown(CLIENTS.good)}\n)\n"
)
"""By clients; or by attempts, where a proxy shows one address for all.

Who adds bad attempts to one replica leaves it the good ones, which are few where the replica is itself at fault, and
comes from few addresses beside those who play there.
"""


def _clients(**replicas: tuple[float, float]) -> dict[str, str]:
    """So many addresses are accepted and refused a minute, by replica."""
    return {
        f'{_CLIENTS}{{job="code-racer", instance="{replica}:8080", answer="{answer}"}}': f"0+{count:g}x30"
        for replica, counts in replicas.items()
        for answer, count in zip(("accepted", "refused"), counts, strict=True)
    }


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
            WELL | handshakes("a", "0x30", "0+60x30"),
            fires=3,
            labels=WHERE,
            description="a:8080 refuses 100% of the attempts to connect.",
        ),
        Case(
            "the page's address is missing in the settings of one",
            WELL | handshakes("a", "0+15x30", "0+45x30", "origin_refused"),
            fires=3,
            labels=WHERE,
            description="a:8080 refuses 75% of the attempts to connect.",
        ),
        Case(
            "somebody whom a game's hash pins to one replica tries tokens",
            WELL | handshakes("a", "0+60x30", "0+600x30"),
            silent=(4, 12, 25),
        ),
        Case(
            "the same, and fewer play there than elsewhere",
            WELL | handshakes("a", "0+35x30", "0+600x30", "rate_limited"),
            silent=(4, 12, 25),
        ),
        Case(
            "three of five players, one attempt each, on one that has twice as many as the others",
            WELL | handshakes("a", "0+48x30", "0+72x30", "origin_refused") | _clients(a=(4, 6), b=(5, 0), c=(5, 0)),
            fires=6,
            labels=WHERE,
            description="a:8080 refuses 60% of the attempts to connect.",
        ),
        Case(
            "three in five attempts, as many as the others have",
            WELL | handshakes("a", "0+24x30", "0+36x30"),
            fires=3,
            labels=WHERE,
            description="a:8080 refuses 60% of the attempts to connect.",
        ),
        Case(
            "at night few play there, and somebody tries tokens from one address",
            on_replicas("0+3x30", "0x30") | handshakes("a", "0+1x30", "0+60x30") | _clients(a=(0.5, 0.1), b=(2, 0)),
            silent=(4, 12, 25),
        ),
        Case(
            "the same, seen as one address with the players', and more play there",
            on_replicas("0+3x30", "0x30") | handshakes("a", "0+2x30", "0+60x30") | _clients(a=(0.1, 0.1), b=(0.1, 0)),
            silent=(4, 12, 25),
        ),
        Case("forged tokens everywhere", on_replicas("0+20x30", "0+60x30", "abc"), silent=(4, 12, 25)),
        Case("all have a wrong secret", on_replicas("0x30", "0+60x30", "abc"), silent=(4, 12, 25)),
        Case("there is no other replica", handshakes("a", "0x30", "0+60x30"), silent=(4, 12, 25)),
        Case(
            "the others refuse much too",
            on_replicas("0+60x30", "0+20x30") | handshakes("a", "0x30", "0+60x30"),
            silent=(4, 12, 25),
        ),
        Case("a drain", WELL | handshakes("a", "0+60x5 300x25", "0x5 0+60x25", "draining"), silent=(6, 12, 25)),
        QUIET,
    ),
)


REFUSED: Final = Alert(
    name="CodeRacerHandshakesRefused",
    severity=Severity.WARNING,
    expr=f"{HANDSHAKES.bad(SERVICE)} > {CONFIGURED['refused']}",
    hold="5m",
    summary="Most attempts to connect are refused.",
    description="{{ $value | humanizePercentage }} of the attempts to connect in ten minutes were refused.",
    cases=(
        Case(
            "a lone replica with a wrong secret",
            handshakes("a", "0x30", "0+60x30"),
            fires=6,
            labels={"job": "code-racer"},
            description="100% of the attempts to connect in ten minutes were refused.",
        ),
        Case(
            "all have a wrong secret",
            on_replicas("0x30", "0+60x30", "abc"),
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
        Case("a quiet night", handshakes("a", "0 2x30", "0x5 15x25"), silent=(8, 12, 25)),
    ),
)
