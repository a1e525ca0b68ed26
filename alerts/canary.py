"""Alerts of the canary: what players meet on the way to the service, which the service cannot see."""

from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, KEEPS, Alert, Case, Group, Severity, gone, last

_C: Final = CONFIG["CodeRacerCanaryFailing"]
_JOB: Final = str(CONFIG["jobs"]["canary"])
_UP: Final = f'up{{job="{_JOB}"}}'

_CANARY: Final = 'job="code-racer-canary", instance="c:9091"'
_WHERE: Final = {"job": "code-racer-canary", "instance": "c:9091"}


def _races(**outcomes: str) -> dict[str, str]:
    return {
        f'code_racer_canary_races_total{{{_CANARY}, outcome="{outcome}"}}': values
        for outcome, values in outcomes.items()
    }


def _grown(races: str = "", by: str = "") -> str:
    """Count the races of each canary in the window."""
    family = f"code_racer_canary_races_total{{{races}}}" if races else "code_racer_canary_races_total"
    return f"sum by (cluster, namespace, job, instance{by}) (increase({family}[{_C['window']}]))"


_OK: Final = 'code_racer_canary_races_total{outcome="ok"}'
_BAD: Final = _grown('outcome!="ok"')
_EACH: Final = _grown('replica!=""', ", replica")
_EACH_BAD: Final = _grown('replica!="", outcome!="ok"', ", replica")
FAILING: Final = Alert(
    name="CodeRacerCanaryFailing",
    severity=Severity.CRITICAL,
    expr=(
        f"{_BAD} / ({_grown()} >= {_C['races']}) > {_C['share']}\n"
        f"or (sum by (cluster, namespace, job, instance) (increase({_OK}[{_C['none_in']}])) == bool 0) == 1\n"
        f"  and sum by (cluster, namespace, job, instance) ({last(_OK, str(_C['none_in']))}) >= 0\n"
        f"  and sum by (cluster, namespace, job, instance) ({last(_OK)}) >= 0\n"
    ),
    hold=str(_C["for"]),
    keeps=KEEPS,
    summary="Races of the canary fail: players most likely cannot play, whatever the service itself shows.",
    description="{{ $value | humanizePercentage }} of the last races of the canary {{ $labels.instance }} failed.",
    cases=(
        Case(
            "the certificate has expired",
            _races(ok="0+2x20 40x20", unreachable="0x20 0+2x20"),
            fires=26,
            labels=_WHERE,
            description="35.71% of the last races of the canary c:9091 failed.",
        ),
        Case(
            "nine of ten fail",
            _races(ok="0x9 1x10 2x10", refused="0+1x9 9+1x10 19+1x10"),
            fires=5,
            labels=_WHERE,
            description="100% of the last races of the canary c:9091 failed.",
        ),
        Case(
            "it hangs: there is no race at all",
            _races(ok="0+2x20 40x20", unreachable="0x40"),
            fires=31,
            labels=_WHERE,
            description="100% of the last races of the canary c:9091 failed.",
        ),
        Case(
            "it is killed some minutes after a race went well: a ticket of its own",
            _races(ok="0x3 1x3 2x3 3x3 4x3 5x3 stale"),
            silent=tuple(range(20, 36)),
        ),
        Case("one race in five fails", _races(ok="0+4x30", timeout="0+1x30"), silent=(7, 20)),
        Case(
            "races are seldom, and one of four fails",
            _races(ok="0x3 1x4 2x8 3x15", timeout="0x8 1x30"),
            silent=(7, 9, 12, 16, 20),
        ),
        Case("a canary that has just started", _races(ok="_x8 0 1 3 5+2x9", timeout="_x8 0x12"), silent=(9, 10, 15)),
    ),
)


def _on_each(**replicas: tuple[str, str]) -> dict[str, str]:
    """Races that went well and that did not, by replica."""
    family = f"code_racer_canary_races_total{{{_CANARY}, replica="
    return {
        f'{family}"{replica}:8080", outcome="{outcome}"}}': values
        for replica, both in replicas.items()
        for outcome, values in zip(("ok", "refused"), both, strict=True)
    }


_FIVE_WELL: Final = _on_each(**dict.fromkeys("abcde", ("0+2x40", "0x40")))
FAILING_ON_ONE: Final = Alert(
    name="CodeRacerCanaryFailing",
    severity=Severity.WARNING,
    expr=f"{_EACH_BAD} / ({_EACH} >= {_C['races']}) > {_C['replica_share']}",
    hold=str(_C["for"]),
    summary="Races of the canary on one replica fail: whoever gets to it most likely cannot play.",
    description="{{ $value | humanizePercentage }} of the last races of the canary {{ $labels.instance }} on the"
    " replica {{ $labels.replica }} failed.",
    cases=(
        Case(
            "one of six has a wrong secret",
            _FIVE_WELL | _on_each(f=("0x40", "0+2x40")),
            fires=3,
            labels={**_WHERE, "replica": "f:8080"},
            description="100% of the last races of the canary c:9091 on the replica f:8080 failed.",
        ),
        Case(
            "each replica is away for a moment, as in a deploy",
            _on_each(a=("0+2x9 18 18+2x30", "0x9 1 1x30"), b=("0+2x12 24 24+2x27", "0x12 2 2x27")),
            silent=(9, 10, 13, 14, 20, 30),
        ),
    ),
)

DOWN: Final = Alert(
    name="CodeRacerCanaryDown",
    severity=Severity.WARNING,
    expr=f"{_UP} == 0 or ({gone(_JOB)})",
    hold="5m",
    summary="The canary cannot be scraped: nobody looks at the service from outside.",
    description="The canary {{ $labels.instance }} has not answered its scrapes for more than five minutes.",
    cases=(
        Case(
            "it has crashed",
            {f"up{{{_CANARY}}}": "1 1 0x20"},
            fires=7,
            labels=_WHERE,
            description="The canary c:9091 has not answered its scrapes for more than five minutes.",
        ),
        Case(
            "it has vanished from discovery",
            {f"up{{{_CANARY}}}": "1x70 stale", f"up{{{INSTANCE}}}": "1x130"},
            fires=76,
            labels={"job": "code-racer-canary"},
            description="The canary  has not answered its scrapes for more than five minutes.",
        ),
        Case("a restart", {f"up{{{_CANARY}}}": "1 0 0 1 1 1 1 1 1"}, silent=(2, 8)),
    ),
)

_S: Final = CONFIG["CodeRacerCanarySlow"]


def _late(step: str) -> str:
    """Find canaries with whom a step of the race is late more often than it may be."""
    in_time, all_of_them = (
        f"sum by (cluster, namespace, job, instance) (increase({counter}[{_S['window']}]))"
        for counter in (
            f'code_racer_canary_{step}_seconds_bucket{{le="{_S["late_s"]}"}}',
            f"code_racer_canary_{step}_seconds_count",
        )
    )
    return f'label_replace(1 - {in_time} / ({all_of_them} >= {_S["races"]}) > {_S["share"]}, "step", "{step}", "", "")'


def _took(step: str, late: int) -> dict[str, str]:
    """Two races a minute; so many of twenty are late at this step."""
    family = f"code_racer_canary_{step}_seconds"
    return {
        f"{family}_count{{{_CANARY}}}": "0+2x60",
        f'{family}_bucket{{{_CANARY}, le="0.5"}}': f"0+{2 - late / 10:g}x60",
    }


SLOW: Final = Alert(
    name="CodeRacerCanarySlow",
    severity=Severity.WARNING,
    expr="\nor ".join(map(_late, ("handshake", "message", "delivery"))) + "\n",
    hold="5m",
    summary="The canary waits long, most likely as players do.",
    description="In {{ $value | humanizePercentage }} of the races of the canary {{ $labels.instance }}"
    f" the {{{{ $labels.step }}}} took longer than {_S['late_s']} s.",
    cases=(
        Case(
            "a proxy that is busy",
            _took("handshake", 10) | _took("message", 0) | _took("delivery", 4),
            fires=7,
            labels={**_WHERE, "step": "handshake"},
            description="In 50% of the races of the canary c:9091 the handshake took longer than 0.5 s.",
        ),
        Case(
            "events are late",
            _took("handshake", 2) | _took("message", 2) | _took("delivery", 20),
            fires=7,
            labels={**_WHERE, "step": "delivery"},
            description="In 100% of the races of the canary c:9091 the delivery took longer than 0.5 s.",
        ),
        Case("one in five", _took("handshake", 4) | _took("message", 4), silent=(8, 20, 40)),
        Case(
            "it has just started, and the first race was slow",
            {
                f"code_racer_canary_message_seconds_count{{{_CANARY}}}": "_x5 0 1 2 3 4+2x30",
                f'code_racer_canary_message_seconds_bucket{{{_CANARY}, le="0.5"}}': "_x5 0 0 1 2 3+2x30",
            },
            silent=(9, 12, 20),
        ),
    ),
)

_DAY_S: Final = 86_400
_TICKET_S, _PAGE_S = (
    round(CONFIG.number("CodeRacerCertificateExpiring", name) * _DAY_S) for name in ("ticket_days", "page_days")
)
_LEFT: Final = f"{last('code_racer_canary_certificate_end_timestamp_seconds')} - time()"


def _ends(at_s: float, then_s: float | None = None) -> dict[str, str]:
    """A certificate that ends at this time, and after half an hour is another."""
    name = f"code_racer_canary_certificate_end_timestamp_seconds{{{_CANARY}}}"
    return {name: f"{at_s:.0f}x30 {at_s if then_s is None else then_s:.0f}x30"}


def _expiring(severity: Severity, expr: str, cases: tuple[Case, ...], keeps: str = "") -> Alert:
    return Alert(
        name="CodeRacerCertificateExpiring",
        severity=severity,
        expr=expr,
        hold="5m",
        summary="The certificate that players meet ends soon: then nobody can connect.",
        description="The certificate that the canary {{ $labels.instance }} meets ends in"
        " {{ $value | humanizeDuration }}.",
        cases=cases,
        keeps=keeps,
    )


_RENEWED: Final = Case("it is renewed thirty days before", _ends(31 * _DAY_S, 90 * _DAY_S), silent=(10, 40, 55))
EXPIRING: Final = _expiring(
    Severity.CRITICAL,
    f"{_LEFT} < {_PAGE_S}",
    (
        Case(
            "nobody has renewed it",
            _ends(_PAGE_S + 600),
            fires=16,
            labels=_WHERE,
            description="The certificate that the canary c:9091 meets ends in 2d 23h 54m 0s.",
        ),
        Case(
            "the canary is away for five minutes, and meets it again",
            {f"code_racer_canary_certificate_end_timestamp_seconds{{{_CANARY}}}": f"{_DAY_S}x9 _x5 {_DAY_S}x20"},
            silent=(4,),
            once=(5, 35),
        ),
        _RENEWED,
    ),
    keeps=KEEPS,
)
EXPIRING_SOON: Final = _expiring(
    Severity.WARNING,
    f"{_LEFT} < {_TICKET_S} >= {_PAGE_S}",
    (
        Case(
            "it should have been renewed by now",
            _ends(_TICKET_S + 600),
            fires=16,
            labels=_WHERE,
            description="The certificate that the canary c:9091 meets ends in 13d 23h 54m 0s.",
        ),
        Case("it is renewed at the last moment", _ends(_TICKET_S + 1_700, 90 * _DAY_S), silent=(28, 32, 40, 55)),
        _RENEWED,
    ),
)

CANARY: Final = Group("code-racer-canary", (FAILING, FAILING_ON_ONE, DOWN, SLOW, EXPIRING, EXPIRING_SOON))
