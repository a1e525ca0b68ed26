"""Alerts on what a replica has of its machine: processor, clock, disk, descriptors; on builds, and what is scraped."""

from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, KEEPS, WHERE, Alert, Case, Group, Severity, last

_JOB: Final = {"job": "code-racer"}
_BY: Final = "(cluster, namespace, job)"
_EACH: Final = "(cluster, namespace, job, instance)"
_DISK: Final = CONFIG["CodeRacerDiskFilling"]
_FREE: Final = "code_racer_event_log_disk_free_bytes"
_SIZE: Final = "code_racer_event_log_disk_bytes"
_OTHER: Final = 'job="code-racer", instance="b:8080"'
_GIB: Final = 1024**3


def _build(where: str, revision: str) -> str:
    return f'code_racer_build_info{{{where}, version="0.1.0", revision="{revision}"}}'


VERSION_SKEW: Final = Alert(
    name="CodeRacerVersionSkew",
    severity=Severity.WARNING,
    expr=(
        f"count by {_BY} (count by (cluster, namespace, job, version, revision) ({last('code_racer_build_info')})) > 1"
    ),
    hold=str(CONFIG["CodeRacerVersionSkew"]["for"]),
    summary="Replicas run different builds, for longer than a deploy takes.",
    description="{{ $value }} builds have run side by side for half an hour.",
    cases=(
        Case(
            "a deploy that stopped halfway",
            {_build(INSTANCE, "old"): "1x60", _build(_OTHER, "new"): "1x60"},
            fires=30,
            labels=_JOB,
            description="2 builds have run side by side for half an hour.",
        ),
        Case(
            "a deploy that takes a quarter of an hour",
            {_build(INSTANCE, "old"): "1x25 stale", _build(_OTHER, "new"): "_x10 1x60"},
            silent=(25, 40, 45, 60),
        ),
        Case(
            "one build, many replicas",
            {_build(INSTANCE, "new"): "1x60", _build(_OTHER, "new"): "1x60"},
            silent=(31, 50),
        ),
    ),
)


_LAG_COUNT: Final = "code_racer_event_loop_lag_seconds_count"

HISTOGRAMS_MISSING: Final = Alert(
    name="CodeRacerHistogramsMissing",
    severity=Severity.WARNING,
    expr=(f"max by {_EACH} ({last('code_racer_build_info')})\nunless on {_EACH} {last(_LAG_COUNT)}\n"),
    hold=str(CONFIG["CodeRacerHistogramsMissing"]["for"]),
    summary="Prometheus has no classic histograms of a replica: the rules on its latencies have nothing to go by.",
    description="Of {{ $labels.instance }} there have been no classic histograms for five minutes.",
    cases=(
        Case(
            "native histograms are taken, and the classic ones beside them no more",
            {_build(INSTANCE, "a"): "1x30", f"{_LAG_COUNT}{{{INSTANCE}}}": "0+9x3 stale"},
            fires=10,
            labels=WHERE,
            description="Of a:8080 there have been no classic histograms for five minutes.",
        ),
        Case(
            "a replica that is well, and one that goes",
            {
                _build(INSTANCE, "a"): "1x30",
                f"{_LAG_COUNT}{{{INSTANCE}}}": "0+9x30",
                _build(_OTHER, "a"): "1x5 stale",
                f"{_LAG_COUNT}{{{_OTHER}}}": "0+9x5 stale",
            },
            silent=(7, 12, 20),
        ),
        Case(
            "a scrape that fails now and then",
            {_build(INSTANCE, "a"): "1 1 _ 1 1 _ 1x20", f"{_LAG_COUNT}{{{INSTANCE}}}": "9 9 _ 9 9 _ 9x20"},
            silent=(3, 8, 15),
        ),
    ),
)


def _lag(bound: str, values: str) -> dict[str, str]:
    return {f'code_racer_event_loop_lag_seconds_bucket{{{INSTANCE}, le="{bound}"}}': values}


_STILL: Final = CONFIG["CodeRacerPaused"]


def _looks(within_s: object) -> str:
    bucket = f'code_racer_event_loop_lag_seconds_bucket{{le="{within_s}"}}'
    return f"sum by {_EACH} (increase({bucket}[{_STILL['window']}]))"


PAUSED: Final = Alert(
    name="CodeRacerPaused",
    severity=Severity.WARNING,
    expr=(f"{_looks('+Inf')}\n  - {_looks(_STILL['still_s'])} > {_STILL['pauses']}\n"),
    hold="0m",
    summary="A replica stood still: it was stopped, or its machine was.",
    description="{{ $labels.instance }} stood still for over five seconds at a time.",
    cases=(
        Case(
            "a virtual machine that is moved",
            _lag("5.0", "0+240x30") | _lag("+Inf", "0+240x5 1441+240x24"),
            fires=6,
            labels=WHERE,
            description="a:8080 stood still for over five seconds at a time.",
        ),
        Case("a busy loop, a second late", _lag("5.0", "0+240x30") | _lag("+Inf", "0+240x30"), silent=(6, 20)),
    ),
)

_KEPT: Final = CONFIG["CodeRacerProcessorWithheld"]
_WITHHELD: Final = f"sum by {_EACH} (rate(code_racer_cpu_withheld_seconds_total[{_KEPT['window']}]))"
_USED: Final = f"sum by {_EACH} (rate(process_cpu_seconds_total[{_KEPT['window']}]))"


def _processor(used: str, busy: str, throttled: str) -> dict[str, str]:
    return {
        f"process_cpu_seconds_total{{{INSTANCE}}}": used,
        f'code_racer_cpu_withheld_seconds_total{{{INSTANCE}, cause="busy"}}': busy,
        f'code_racer_cpu_withheld_seconds_total{{{INSTANCE}, cause="throttled"}}': throttled,
    }


PROCESSOR_WITHHELD: Final = Alert(
    name="CodeRacerProcessorWithheld",
    severity=Severity.WARNING,
    expr=f"{_WITHHELD} / ({_WITHHELD} + {_USED}) > {_KEPT['share']}\nand {_WITHHELD} > {_KEPT['seconds_per_s']}\n",
    hold="5m",
    summary="A replica is ready to run and gets no processor: others have it, or its limit is too low.",
    description="{{ $labels.instance }} waits {{ $value | humanizePercentage }} of the time in which it has work.",
    cases=(
        Case(
            "a limit of processor time that is too low",
            _processor("0+30x20", busy="0x20", throttled="0+30x20"),
            fires=6,
            labels=WHERE,
            description="a:8080 waits 50% of the time in which it has work.",
        ),
        Case(
            "neighbours",
            _processor("0+12x20", busy="0+12x20", throttled="0x20"),
            fires=7,
            labels=WHERE,
            description="a:8080 waits 50% of the time in which it has work.",
        ),
        Case("much to do, and time to do it", _processor("0+54x20", busy="0+3x20", throttled="0x20"), silent=(7, 15)),
        Case("hardly anything to do", _processor("0+1x20", busy="0+1x20", throttled="0x20"), silent=(7, 15)),
    ),
)


def _disk(free: str) -> dict[str, str]:
    return {f"{_FREE}{{{INSTANCE}}}": free, f"{_SIZE}{{{INSTANCE}}}": f"{20 * _GIB}x300"}


DISK_FULL: Final = Alert(
    name="CodeRacerDiskFilling",
    severity=Severity.CRITICAL,
    expr=f"{last(_FREE)} / ({last(_SIZE)} > 0) < {_DISK['page_under']}",
    hold="5m",
    keeps=KEEPS,
    summary="The disk of the event log is all but full: when it is, nobody can join, get ready or submit.",
    description="{{ $value | humanizePercentage }} of the disk of {{ $labels.instance }} is left.",
    cases=(
        Case(
            "two in a hundred are left",
            _disk(f"{int(0.02 * 20 * _GIB)}x30"),
            fires=5,
            labels=WHERE,
            description="2% of the disk of a:8080 is left.",
        ),
        Case("a fifth is left", _disk(f"{4 * _GIB}x30"), silent=(6, 25)),
        Case(
            "the event log is no file",
            {f"{_FREE}{{{INSTANCE}}}": "0x30", f"{_SIZE}{{{INSTANCE}}}": "0x30"},
            silent=(6,),
        ),
    ),
)

DISK_FILLING: Final = Alert(
    name="CodeRacerDiskFilling",
    severity=Severity.WARNING,
    expr=(
        f"predict_linear({_FREE}[{_DISK['pace_window']}], {_DISK['full_in_s']}) < 0\n"
        f"and {last(_FREE)} / ({last(_SIZE)} > 0) < {_DISK['ticket_under']}\n"
    ),
    hold="15m",
    summary="The disk of the event log fills up: at this pace it is full within hours.",
    description="The disk of {{ $labels.instance }} is full within four hours if it goes on like this.",
    cases=(
        Case(
            "100 MiB a minute",
            _disk(f"{10 * _GIB}-{100 * 2**20}x90"),
            fires=16,
            labels=WHERE,
            description="The disk of a:8080 is full within four hours if it goes on like this.",
        ),
        Case("10 MiB a minute", _disk(f"{10 * _GIB}-{10 * 2**20}x90"), silent=(20, 60, 85)),
        Case("a file that was copied", _disk(f"{18 * _GIB}x20 {15 * _GIB}x70"), silent=(25, 40, 60, 85)),
    ),
)

_DESCRIPTORS: Final = CONFIG["CodeRacerFdsNearLimit"]
_FDS: Final = f"{last('code_racer_open_fds')} / {last('code_racer_max_fds')}"
_TURNED_AWAY: Final = 'code_racer_http_rejected_total{reason="no_descriptors"}'


def _descriptors(opened: str, turned_away: str) -> dict[str, str]:
    """So many of a thousand are open."""
    return {
        f"code_racer_open_fds{{{INSTANCE}}}": opened,
        f"code_racer_max_fds{{{INSTANCE}}}": "1000x90",
        f'code_racer_http_rejected_total{{{INSTANCE}, reason="no_descriptors"}}': turned_away,
    }


FDS_NEAR_LIMIT: Final = Alert(
    name="CodeRacerFdsNearLimit",
    severity=Severity.WARNING,
    expr=f"{_FDS} > {_DESCRIPTORS['ticket_above']}",
    hold="5m",
    summary="Code Racer runs out of file descriptors: soon nobody can connect.",
    description="{{ $labels.instance }} has {{ $value | humanizePercentage }} of its file descriptors open.",
    cases=(
        Case(
            "nine in ten",
            {f"code_racer_open_fds{{{INSTANCE}}}": "900x20", f"code_racer_max_fds{{{INSTANCE}}}": "1000x20"},
            fires=5,
            labels=WHERE,
            description="a:8080 has 90% of its file descriptors open.",
        ),
        Case(
            "many, and room for more",
            {f"code_racer_open_fds{{{INSTANCE}}}": "9000x20", f"code_racer_max_fds{{{INSTANCE}}}": "1000000x20"},
            silent=(6, 15),
        ),
    ),
)

FDS_RUN_OUT: Final = Alert(
    name="CodeRacerFdsNearLimit",
    severity=Severity.CRITICAL,
    expr=(
        f"{_FDS} > {_DESCRIPTORS['growing_above']}\n"
        f"and predict_linear(code_racer_open_fds[{_DESCRIPTORS['pace_window']}], {_DESCRIPTORS['out_in_s']})"
        f" > {last('code_racer_max_fds')}\n"
        f"or {_FDS}\n"
        f"and on {_EACH} sum by {_EACH} (increase({_TURNED_AWAY}[{_DESCRIPTORS['window']}])) > 0\n"
    ),
    hold="2m",
    keeps=KEEPS,
    summary="Code Racer has no file descriptors left, now or within a quarter of an hour: then nobody can connect.",
    description="{{ $labels.instance }} has {{ $value | humanizePercentage }} of its file descriptors open,"
    " and needs more than it may have.",
    cases=(
        Case(
            "twenty more each minute",
            _descriptors("400+20x30", turned_away="0x30"),
            fires=18,
            labels=WHERE,
            description="a:8080 has 76% of its file descriptors open, and needs more than it may have.",
        ),
        Case(
            "all that are not reserved have been taken for an hour, and who comes is turned away",
            _descriptors("780x90", turned_away="0x5 0+2x85"),
            fires=9,
            labels=WHERE,
            description="a:8080 has 78% of its file descriptors open, and needs more than it may have.",
        ),
        Case("some were turned away long ago", _descriptors("600x30", turned_away="70x30"), silent=(5, 20)),
        Case(
            "many, and no more of them",
            _descriptors("700x30", turned_away="0x30"),
            silent=(5, 20),
        ),
        Case(
            "an evening begins, with room for it",
            {f"code_racer_open_fds{{{INSTANCE}}}": "100+20x30", f"code_racer_max_fds{{{INSTANCE}}}": "65536x30"},
            silent=(5, 20, 29),
        ),
    ),
)

_AHEAD: Final = "code_racer_clock_ahead_seconds"

CLOCK_SET: Final = Alert(
    name="CodeRacerClockSet",
    severity=Severity.WARNING,
    expr=f"abs({last(_AHEAD)}) > {CONFIG['CodeRacerClockSet']['above_s']}",
    hold="1m",
    summary="The clock of a machine was set while a replica ran: tokens and races are told different times.",
    description="The clock of {{ $labels.instance }} was set by {{ $value | humanizeDuration }}.",
    cases=(
        Case(
            "it jumps forward",
            {f"{_AHEAD}{{{INSTANCE}}}": "0x5 10x20"},
            fires=7,
            labels=WHERE,
            description="The clock of a:8080 was set by 10s.",
        ),
        Case("it is slewed, as it should be", {f"{_AHEAD}{{{INSTANCE}}}": "0x5 0.2x20"}, silent=(7, 20)),
    ),
)

LOG_WRITER: Final = Alert(
    name="CodeRacerLogWriterDied",
    severity=Severity.WARNING,
    expr=f"increase(code_racer_log_writer_restarts_total[{CONFIG['CodeRacerLogWriterDied']['window']}]) > 0",
    hold="0m",
    summary="What writes the log died and was replaced: lines are missing.",
    description="The log writer of {{ $labels.instance }} died {{ $value | humanize }} times in 15 minutes.",
    cases=(
        Case(
            "it dies each minute",
            {f"code_racer_log_writer_restarts_total{{{INSTANCE}}}": "0 0 0+1x20"},
            fires=3,
            labels=WHERE,
            description="The log writer of a:8080 died 1 times in 15 minutes.",
        ),
        Case("long ago", {f"code_racer_log_writer_restarts_total{{{INSTANCE}}}": "3x30"}, silent=(5, 20)),
    ),
)

MACHINE: Final = Group(
    "code-racer-machine",
    (
        VERSION_SKEW,
        HISTOGRAMS_MISSING,
        PAUSED,
        PROCESSOR_WITHHELD,
        DISK_FULL,
        DISK_FILLING,
        FDS_NEAR_LIMIT,
        FDS_RUN_OUT,
        CLOCK_SET,
        LOG_WRITER,
    ),
)
