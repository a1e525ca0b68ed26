"""Alerts on the servers of NATS that hold the event log, by what their exporter tells of each.

The exporter goes on telling what `varz` last was when its server does not answer any more; `healthz` alone says so.
What it tells of streams is gone then. Each server has an exporter beside it, so an instance is a server.
"""

from typing import Final

from alerts.config import CONFIG
from alerts.model import KEEPS, Alert, Case, Group, Severity, gone, last

_BY: Final = "(cluster, namespace, job)"
_EACH: Final = "(cluster, namespace, job, instance, server_id)"
_STREAM: Final = "(cluster, namespace, job, stream_name)"
_SERVERS: Final = str(CONFIG["jobs"]["nats"])
_NATS: Final = f'job="{_SERVERS}"'
_OURS: Final = f'job="{CONFIG["jobs"]["service"]}"'
_UP: Final = f"up{{{_NATS}}}"
_WELL: Final = f"min by {_EACH} ({last(f'nats_healthz_status_value{{{_NATS}}}')})"
_REMEMBERED: Final = CONFIG["nats"]["remembered"]
_SIZE: Final = f"max by {_BY} (last_over_time(nats_varz_jetstream_meta_cluster_size{{{_NATS}}}[{_REMEMBERED}]))"
_NEEDED: Final = f"max by {_BY} (last_over_time(nats_varz_jetstream_meta_quorum_needed{{{_NATS}}}[{_REMEMBERED}]))"
_JOB: Final = {"job": "code-racer-nats"}


def _at(number: int, more: str = "") -> str:
    return f'{{job="code-racer-nats", instance="n{number}:7777", server_id="nats-{number}"{more}}}'


def _where(number: int) -> dict[str, str]:
    return {**_JOB, "instance": f"n{number}:7777", "server_id": f"nats-{number}"}


def _cluster(*healthy: str) -> dict[str, str]:
    """Three servers of one cluster, each well (1) or not (0) over time; `_` where nobody tells."""
    series: dict[str, str] = {}
    for number, values in enumerate(healthy):
        series[f"nats_healthz_status_value{_at(number)}"] = values
        series[f"nats_varz_jetstream_meta_cluster_size{_at(number)}"] = "3x90"
        series[f"nats_varz_jetstream_meta_quorum_needed{_at(number)}"] = "2x90"
        series[f'up{{job="code-racer-nats", instance="n{number}:7777"}}'] = "1x90"
    return series


def _under(bound: str) -> str:
    """Find clusters of which fewer servers are well, none among them."""
    return f"({bound} - (sum by {_BY} ({_WELL}) or 0 * {bound}) > 0)"


DOWN: Final = Alert(
    name="CodeRacerNatsDown",
    severity=Severity.WARNING,
    expr=(
        f"{_under(_SIZE)}\nor count by {_BY} ({_WELL} == 0)\nor count by {_BY} ({_UP} == 0)\nor ({gone(_SERVERS)})\n"
    ),
    hold=str(CONFIG["CodeRacerNatsDown"]["for"]),
    summary="A server of NATS is down, not well, or cannot be seen: the event log may not lose another.",
    description="{{ $value }} of the servers of NATS have not been well, or not been seen, for over five minutes.",
    cases=(
        Case(
            "one of three is killed; its exporter goes on",
            _cluster("1x30", "1x30", "1 1 0x30"),
            fires=7,
            labels=_JOB,
            description="1 of the servers of NATS have not been well, or not been seen, for over five minutes.",
        ),
        Case(
            "a server goes with its exporter",
            _cluster("1x30", "1x30", "1 1 stale") | {'up{job="code-racer-nats", instance="n2:7777"}': "1 1 stale"},
            fires=8,
            labels=_JOB,
            description="1 of the servers of NATS have not been well, or not been seen, for over five minutes.",
        ),
        Case(
            "a single server cannot be scraped",
            {'up{job="code-racer-nats", instance="n0:7777"}': "1 1 0x30"},
            fires=7,
            labels=_JOB,
            description="1 of the servers of NATS have not been well, or not been seen, for over five minutes.",
        ),
        Case(
            "all have vanished from discovery",
            {
                'up{job="code-racer-nats", instance="n0:7777"}': "1x70 stale",
                'up{job="code-racer", instance="a:8080"}': "1x130",
            },
            fires=76,
            labels=_JOB,
            description="1 of the servers of NATS have not been well, or not been seen, for over five minutes.",
        ),
        Case("a rolling restart", _cluster("1 0 0 1x30", "1x5 0 0 1x30", "1x10 0 0 1x30"), silent=(3, 6, 8, 13, 20)),
        Case("there is no NATS, or nobody asks it", {'up{job="code-racer", instance="a:8080"}': "1x90"}, silent=(70,)),
    ),
)

_LEADERLESS: Final = (
    f"max by {_BY} (\n"
    f'  count by {_STREAM} (nats_stream_last_seq{{{_NATS}, stream_leader=""}})\n'
    f'  unless count by {_STREAM} (nats_stream_last_seq{{{_NATS}, stream_leader!=""}}))'
)
_HURT: Final = (
    f'label_replace(min by {_BY} ({last(f"code_racer_event_log_connected{{{_OURS}}}")}) == 0, "job",'
    f' "{CONFIG["jobs"]["nats"]}", "", "")'
)
_TAKES_NOTHING: Final = {'code_racer_event_log_connected{job="code-racer", instance="a:8080"}': "1 1 0x30"}
_TAKES_ALL: Final = {'code_racer_event_log_connected{job="code-racer", instance="a:8080"}': "1x90"}

NO_QUORUM: Final = Alert(
    name="CodeRacerNatsNoQuorum",
    severity=Severity.CRITICAL,
    expr=f"({_under(_NEEDED)} or {_LEADERLESS})\nand on {_BY} {_HURT}\n",
    hold="1m",
    keeps=KEEPS,
    summary="NATS has no majority or no leader, and the event log takes nothing: nobody can join, get ready or submit.",
    description="NATS of the namespace {{ $labels.namespace }} has stored nothing for a minute: it lacks servers.",
    cases=(
        Case(
            "two of three are killed",
            _cluster("1 1 0x30", "1 1 0x30", "1 1 0x30") | _TAKES_NOTHING,
            fires=3,
            labels=_JOB,
            description="NATS of the namespace  has stored nothing for a minute: it lacks servers.",
        ),
        Case(
            "a stream without a leader, while the servers say that they are well",
            _cluster("1x30", "1x30", "1x30")
            | _TAKES_NOTHING
            | {
                f"nats_stream_last_seq{_at(number, more)}": values
                for number in range(3)
                for more, values in (
                    (', stream_name="CODE_RACER", stream_leader="nats-1"', "5 5 stale"),
                    (', stream_name="CODE_RACER", stream_leader=""', "_ _ 5x30"),
                    (', stream_name="CODE_RACER_STATE", stream_leader="nats-1"', "5x30"),
                )
            },
            fires=3,
            labels=_JOB,
            description="NATS of the namespace  has stored nothing for a minute: it lacks servers.",
        ),
        Case("one of three is killed", _cluster("1x30", "1x30", "1 1 0x30") | _TAKES_ALL, silent=(4, 20)),
        Case(
            "the exporters cannot ask, and players play on",
            _cluster("1 1 0x30", "1 1 0x30", "1 1 0x30") | _TAKES_ALL,
            silent=(4, 20),
        ),
        Case(
            "a replica is cut off from a NATS that is well", _cluster("1x30", "1x30", "1x30") | _TAKES_NOTHING, (4, 20)
        ),
    ),
)

_BEHIND: Final = str(CONFIG["CodeRacerNatsCopiesBehind"]["behind"])
_SEQ: Final = f"nats_stream_last_seq{{{_NATS}}}"
_OF_SERVERS: Final = "(cluster, namespace, job, stream_name, server_name)"
_COPIES: Final = f"max by {_OF_SERVERS} ({last(_SEQ)})"


def _copies(*sequences: str) -> dict[str, str]:
    return {
        f"nats_stream_last_seq{_at(number, f', server_name={chr(34)}nats-{number}{chr(34)}')[:-1]},"
        f' stream_name="CODE_RACER", stream_leader="nats-0"}}': values
        for number, values in enumerate(sequences)
    }


COPIES: Final = Alert(
    name="CodeRacerNatsCopiesBehind",
    severity=Severity.WARNING,
    expr=(
        f"(count by {_STREAM} ({_COPIES}) < on {_BY} group_left clamp_max({_SIZE}, {CONFIG['nats']['copies']}))\n"
        f"  unless on {_BY} {_under(_SIZE)}\n"
        f"or max by {_STREAM} (max by {_STREAM} ({last(_SEQ, _BEHIND)}) > on {_STREAM} group_right {_COPIES})\n"
    ),
    hold="5m",
    summary="A stream of the event log has too few copies, or one that lags: losing a server may lose games.",
    description="The stream {{ $labels.stream_name }} lacks a copy, or one has not what the leader had 2 minutes ago.",
    cases=(
        Case(
            "somebody has set it to one copy",
            _cluster("1x30", "1x30", "1x30") | _copies("0+9x30", "0+9x3 stale", "0+9x3 stale"),
            fires=10,
            labels={**_JOB, "stream_name": "CODE_RACER"},
            description="The stream CODE_RACER lacks a copy, or one has not what the leader had 2 minutes ago.",
        ),
        Case(
            "one server's disk is slow",
            _cluster("1x30", "1x30", "1x30") | _copies("0+900x30", "0+900x30", "0+900x3 2700+100x26"),
            fires=11,
            labels={**_JOB, "stream_name": "CODE_RACER"},
            description="The stream CODE_RACER lacks a copy, or one has not what the leader had 2 minutes ago.",
        ),
        Case(
            "asked at different moments of a busy evening",
            _cluster("1x30", "1x30", "1x30") | _copies("0+9000x30", "0+9000x30", "0 0+9000x29"),
            silent=(4, 10, 20),
        ),
        Case(
            "a server is down: that has an alert of its own",
            _cluster("1x30", "1x30", "1 1 1 0x30") | _copies("0+9x30", "0+9x30", "0+9x3 stale"),
            silent=(10, 20),
        ),
        Case(
            "one server, one copy",
            {f"nats_healthz_status_value{_at(0)}": "1x30", **_copies("0+9x30")},
            silent=(7, 20),
        ),
    ),
)

_STORAGE: Final = CONFIG["CodeRacerNatsStorageFilling"]
_USED: Final = f"nats_varz_jetstream_stats_storage{{{_NATS}}}"
_MOST: Final = f"{last(f'nats_varz_jetstream_config_max_storage{{{_NATS}}}')}"
_SHARE: Final = f"max by {_EACH} ({last(_USED)} / ({_MOST} > 0))"
_GB: Final = 10**9


def _stored(used: str) -> dict[str, str]:
    return {
        f"nats_varz_jetstream_stats_storage{_at(0)}": used,
        f"nats_varz_jetstream_config_max_storage{_at(0)}": f"{50 * _GB}x120",
    }


STORAGE_FULL: Final = Alert(
    name="CodeRacerNatsStorageFilling",
    severity=Severity.CRITICAL,
    expr=f"{_SHARE} > {_STORAGE['page_above']}",
    hold="5m",
    keeps=KEEPS,
    summary="A server of NATS has hardly any storage left: when it is full, nobody can join, get ready or submit.",
    description="{{ $labels.server_id }} uses {{ $value | humanizePercentage }} of the storage that JetStream may use.",
    cases=(
        Case(
            "nearly all is used",
            _stored(f"{49 * _GB}x30"),
            fires=5,
            labels=_where(0),
            description="nats-0 uses 98% of the storage that JetStream may use.",
        ),
        Case("nine tenths, which is a ticket later", _stored(f"{45 * _GB}x30"), silent=(6, 12)),
        Case(
            "nothing may be stored",
            {
                f"nats_varz_jetstream_stats_storage{_at(0)}": "0x30",
                f"nats_varz_jetstream_config_max_storage{_at(0)}": "0x30",
            },
            silent=(6, 25),
        ),
    ),
)

STORAGE_FILLING: Final = Alert(
    name="CodeRacerNatsStorageFilling",
    severity=Severity.WARNING,
    expr=(
        f"{_SHARE} > {_STORAGE['ticket_above']}\n"
        f"or {_SHARE} > {_STORAGE['growing_above']}\n"
        f"  and max by {_EACH}"
        f" (predict_linear({_USED}[{_STORAGE['pace_window']}], {_STORAGE['full_in_s']}) > {_MOST})\n"
    ),
    hold="15m",
    summary="The storage of a server of NATS fills up.",
    description="{{ $labels.server_id }} uses {{ $value | humanizePercentage }} of the storage that JetStream may use.",
    cases=(
        Case(
            "nine tenths",
            _stored(f"{45 * _GB}x30"),
            fires=15,
            labels=_where(0),
            description="nats-0 uses 90% of the storage that JetStream may use.",
        ),
        Case(
            "100 MB a minute, and over half is used",
            _stored(f"{30 * _GB}+{_GB // 10}x90"),
            fires=16,
            labels=_where(0),
            description="nats-0 uses 63.2% of the storage that JetStream may use.",
        ),
        Case("10 MB a minute", _stored(f"{30 * _GB}+{_GB // 100}x90"), silent=(20, 60, 85)),
        Case("a first evening, with room for it", _stored(f"0+{_GB // 5}x90"), silent=(20, 60, 85)),
    ),
)

_SLOW: Final = CONFIG["CodeRacerNatsSlowConsumers"]

SLOW_CONSUMERS: Final = Alert(
    name="CodeRacerNatsSlowConsumers",
    severity=Severity.WARNING,
    expr=(f"sum by {_EACH} (increase(nats_varz_slow_consumers{{{_NATS}}}[{_SLOW['window']}])) > {_SLOW['more_than']}"),
    hold="0m",
    summary="NATS cuts clients off that do not take what it sends them: their players see events late.",
    description="{{ $labels.server_id }} has cut off {{ $value | humanize }} slow clients in a quarter of an hour.",
    cases=(
        Case(
            "a replica that cannot keep up",
            {f"nats_varz_slow_consumers{_at(0)}": "0 0+1x30"},
            fires=4,
            labels=_where(0),
            description="nats-0 has cut off 3 slow clients in a quarter of an hour.",
        ),
        Case("one whose machine was moved", {f"nats_varz_slow_consumers{_at(0)}": "0x5 1x60"}, silent=(6, 15, 40)),
        Case("long ago", {f"nats_varz_slow_consumers{_at(0)}": "40x60"}, silent=(6, 15, 40)),
    ),
)

_MEMORY: Final = (
    f"max by {_EACH} ({last(f'nats_varz_mem{{{_NATS}}}')} / ({last(f'nats_varz_gomemlimit{{{_NATS}}}')} > 0))"
)

MEMORY: Final = Alert(
    name="CodeRacerNatsMemoryNearLimit",
    severity=Severity.WARNING,
    expr=f"{_MEMORY} > {CONFIG['CodeRacerNatsMemoryNearLimit']['above']}",
    hold="5m",
    summary="A server of NATS is near its limit of memory: it slows down, and at its container's limit it is killed.",
    description="{{ $labels.server_id }} has {{ $value | humanizePercentage }} of the memory it may have (GOMEMLIMIT).",
    cases=(
        Case(
            "over what it is to have",
            {f"nats_varz_mem{_at(0)}": "1900x30", f"nats_varz_gomemlimit{_at(0)}": "1700x30"},
            fires=5,
            labels=_where(0),
            description="nats-0 has 111.8% of the memory it may have (GOMEMLIMIT).",
        ),
        Case(
            "a large server with room",
            {f"nats_varz_mem{_at(0)}": "1400x30", f"nats_varz_gomemlimit{_at(0)}": "1700x30"},
            silent=(6, 25),
        ),
        Case("no limit is set", {f"nats_varz_mem{_at(0)}": "190000x30"}, silent=(6, 25)),
    ),
)

NATS: Final = Group(
    "code-racer-nats",
    (DOWN, NO_QUORUM, COPIES, STORAGE_FULL, STORAGE_FILLING, SLOW_CONSUMERS, MEMORY),
)
