"""Alerts on the workers of one machine, by what their supervisor tells of them.

Each worker is scraped as a replica, so the other alerts know it as one: down, looping, worse than the others. What only
the supervisor knows is that it has started one again; so that it is there itself is looked at too.
"""

from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, Alert, Case, Group, Severity, gone, last

_C: Final = CONFIG["CodeRacerWorkerRestarting"]
_JOB: Final = str(CONFIG["jobs"]["supervisor"])
_REPLICA: Final = "(cluster, namespace, job, instance)"
_RESTARTS: Final = "code_racer_worker_restarts_total"
_WORKERS: Final = "code_racer_workers"
_UNASKED: Final = f'{_RESTARTS}{{reason!="asked"}}'
_MISSING: Final = last(f'{_WORKERS}{{state=~"starting|down"}}')
_SUPERVISOR: Final = {"job": "code-racer-supervisor", "instance": "a:9100"}
_INSTANCE: Final = ", ".join(f'{name}="{value}"' for name, value in _SUPERVISOR.items())


def _restarted(reason: str, values: str) -> dict[str, str]:
    """Two workers, ready each minute, of which one was started again so often."""
    return {f'{_RESTARTS}{{{_INSTANCE}, reason="{reason}"}}': values} | _states("2x90")


def _states(ready: str, down: str = "0x90", starting: str = "0x90") -> dict[str, str]:
    states = {"ready": ready, "down": down, "starting": starting}
    return {f'{_WORKERS}{{{_INSTANCE}, state="{state}"}}': values for state, values in states.items()}


RESTARTING: Final = Alert(
    name="CodeRacerWorkerRestarting",
    severity=Severity.WARNING,
    expr=(
        f"sum by {_REPLICA} (increase({_UNASKED}[{_C['window']}])) > {_C['restarts']}\n"
        f"or sum by {_REPLICA} ({_MISSING}) > 0\n"
    ),
    hold=str(_C["for"]),
    summary="A worker dies or stands still again and again, or does not come to serve.",
    description="{{ $value | humanize }} workers of {{ $labels.instance }} were started again, or do not serve yet.",
    cases=(
        Case(
            "one is killed every quarter of an hour",
            _restarted("died", "0x4 1x14 2x14 3x30"),
            fires=37,
            labels=_SUPERVISOR,
            description="3 workers of a:9100 were started again, or do not serve yet.",
        ),
        Case(
            "one stands still each time it has started",
            _restarted("silent", "0x4 1x4 2x4 3x30"),
            fires=17,
            labels=_SUPERVISOR,
            description="3 workers of a:9100 were started again, or do not serve yet.",
        ),
        Case(
            "one cannot start: it is down and tried again by turns",
            _states("2x3 1x30", down="0x3 1 0 1 0 1 0 1 0 1x20", starting="0x3 0 1 0 1 0 1 0 1 0x20"),
            fires=6,
            labels=_SUPERVISOR,
            description="1 workers of a:9100 were started again, or do not serve yet.",
        ),
        Case("one dies, and the next stays", _restarted("died", "0x4 1x60"), silent=(6, 8, 30)),
        Case(
            "all are started again in turn by SIGHUP, three times",
            _restarted("asked", "0x4 2x4 4x4 6x60"),
            silent=(8, 15),
        ),
        Case(
            "eight drain one after the other, a minute each",
            _states("8 7x16 8x30", starting="0 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0x30"),
            silent=(3, 6, 10, 17, 30),
        ),
        Case("one process, without a supervisor", {'up{job="code-racer", instance="a:8080"}': "1x30"}, silent=(5, 20)),
    ),
)

SUPERVISOR_DOWN: Final = Alert(
    name="CodeRacerSupervisorDown",
    severity=Severity.WARNING,
    expr=f'up{{job="{_JOB}"}} == 0 or ({gone(_JOB)})',
    hold=str(CONFIG["CodeRacerSupervisorDown"]["for"]),
    summary="The supervisor of a machine's workers cannot be scraped: they serve, and nobody starts them again.",
    description="{{ $labels.job }}{{ with $labels.instance }} at {{ . }}{{ end }} has not answered its scrapes for more"
    " than five minutes.",
    cases=(
        Case(
            "it stands still",
            {f"up{{{_INSTANCE}}}": "1 1 0x20", f"up{{{INSTANCE}}}": "1x30"},
            fires=7,
            labels=_SUPERVISOR,
            description="code-racer-supervisor at a:9100 has not answered its scrapes for more than five minutes.",
        ),
        Case(
            "it has vanished from discovery, its workers have not",
            {f"up{{{_INSTANCE}}}": "1x70 stale", f"up{{{INSTANCE}}}": "1x130"},
            fires=76,
            labels={"job": "code-racer-supervisor"},
            description="code-racer-supervisor has not answered its scrapes for more than five minutes.",
        ),
        Case("a restart", {f"up{{{_INSTANCE}}}": "1 0 0 1x20"}, silent=(2, 4, 8)),
        Case("one process, without a supervisor", {f"up{{{INSTANCE}}}": "1x30"}, silent=(6, 20)),
    ),
)

WORKERS: Final = Group("code-racer-workers", (RESTARTING, SUPERVISOR_DOWN))
