"""The servers of NATS that hold the event log: whether they store what comes, and what keeps them from it."""

from typing import Final

from alerts.config import CONFIG
from dashboards.model import Board, Panel, Query, RowKind, row

_SELECTOR: Final = 'cluster=~"$cluster", namespace=~"$namespace", job="code-racer-nats"'


def _of(metric: str, matchers: str = "") -> str:
    return f"{metric}{{{_SELECTOR}{', ' if matchers else ''}{matchers}}}"


def _share(used: str, most: str) -> tuple[Query, ...]:
    return (Query(f"max by (server_id) ({_of(used)} / ({_of(most)} > 0))", "{{server_id}}"),)


_WELL: Final = f"sum(min by (instance) ({_of('nats_healthz_status_value')}))"
_SIZE: Final = f"(max({_of('nats_varz_jetstream_meta_cluster_size')}) or count({_of('up')}))"
_NEEDED: Final = f"(max({_of('nats_varz_jetstream_meta_quorum_needed')}) or count({_of('up')}))"
_LEADERLESS: Final = _of("nats_stream_last_seq", 'stream_leader=""')
_COPIES: Final = f"max by (stream_name, server_name) ({_of('nats_stream_last_seq')})"

NATS: Final = Board(
    "code-racer-nats",
    "NATS",
    (
        row(
            RowKind.SYMPTOM,
            Panel(
                "Servers short of a majority",
                "Servers that a majority needs, less those that are well. From 1 on nothing is stored: nobody can join,"
                " be ready or submit.",
                "none",
                (Query(f"clamp_min({_NEEDED} - {_WELL}, 0)", "short"),),
                warn=1,
                range=(0, 0),
                alerts=("CodeRacerNatsNoQuorum", "CodeRacerEventLogDown"),
            ),
            Panel(
                "Without a leader",
                "Streams of which a server knows no leader. For seconds: one is being elected. Longer: no majority.",
                "none",
                (
                    Query(
                        f"count(count by (stream_name) ({_LEADERLESS})) or vector(0)",
                        "streams",
                    ),
                ),
                warn=1,
                range=(0, 0),
                alerts=("CodeRacerNatsNoQuorum",),
            ),
            Panel(
                "Servers that are not well",
                "Servers of the cluster that do not answer, cannot be seen, or are not up to date (healthz).",
                "none",
                (Query(f"{_SIZE} - {_WELL}", "not well"),),
                warn=1,
                range=(0, 0),
                alerts=("CodeRacerNatsDown",),
            ),
        ),
        row(
            RowKind.OUTLIERS,
            Panel(
                "Copies that a stream lacks",
                "Copies that the worst stream has fewer than three, or than there are servers.",
                "none",
                (Query(f"clamp_max({_SIZE}, 3) - min(count by (stream_name) ({_COPIES}))", "missing"),),
                warn=1,
                range=(0, 0),
                alerts=("CodeRacerNatsCopiesBehind",),
            ),
            Panel(
                "Behind the first",
                "Messages of a stream that a server's copy has not, and another's has; scrapes are seconds apart.",
                "none",
                (
                    Query(
                        f"max by (stream_name) ({_COPIES}) - on (stream_name) group_right {_COPIES}",
                        "{{stream_name}} {{server_name}}",
                    ),
                ),
                warn=10_000,
                range=(0, 1_000),
            ),
            Panel(
                "Slow clients cut off",
                "Clients, which are replicas, that a server cut off in a quarter of an hour as they did not read.",
                "none",
                (Query(f"sum by (server_id) (increase({_of('nats_varz_slow_consumers')}[15m]))", "{{server_id}}"),),
                warn=CONFIG.number("CodeRacerNatsSlowConsumers", "more_than"),
                range=(0, 0),
                alerts=("CodeRacerNatsSlowConsumers",),
            ),
        ),
        row(
            RowKind.SATURATION,
            Panel(
                "Storage used",
                "The part of what JetStream may store on a server (max_file_store). When it is full nothing is stored.",
                "percentunit",
                _share("nats_varz_jetstream_stats_storage", "nats_varz_jetstream_config_max_storage"),
                warn=CONFIG.number("CodeRacerNatsStorageFilling", "ticket_above"),
                range=(0, 1),
                alerts=("CodeRacerNatsStorageFilling",),
            ),
            Panel(
                "Memory used",
                "The part of the memory that a server is to have (GOMEMLIMIT); nothing where that is not set.",
                "percentunit",
                _share("nats_varz_mem", "nats_varz_gomemlimit"),
                warn=CONFIG.number("CodeRacerNatsMemoryNearLimit", "above"),
                range=(0, 1),
                alerts=("CodeRacerNatsMemoryNearLimit",),
            ),
            Panel(
                "Processor",
                "Of one core, as the server measures it; its number of cores is the most.",
                "percent",
                (Query(f"max by (server_id) ({_of('nats_varz_cpu')})", "{{server_id}}"),),
                warn=180,
                range=(0, 1_000),
            ),
        ),
        row(
            RowKind.CAUSE,
            Panel(
                "Streams",
                "Bytes of each stream, of one copy.",
                "bytes",
                (Query(f"max by (stream_name) ({_of('nats_stream_total_bytes')})", "{{stream_name}}"),),
                warn=1e12,
                range=(0, 1e9),
            ),
            Panel(
                "Clients",
                "Connections of clients to each server: the replicas, spread over them.",
                "none",
                (Query(f"max by (server_id) ({_of('nats_varz_connections')})", "{{server_id}}"),),
                warn=1_000,
                range=(0, 100),
            ),
            Panel(
                "Messages",
                "A second, in and out of each server, those between servers too.",
                "ops",
                (
                    Query(
                        f"sum by (server_id) (rate({_of('nats_varz_in_msgs')}[$__rate_interval]))", "{{server_id}} in"
                    ),
                    Query(
                        f"sum by (server_id) (rate({_of('nats_varz_out_msgs')}[$__rate_interval]))", "{{server_id}} out"
                    ),
                ),
                warn=100_000,
                range=(0, 100_000),
            ),
        ),
    ),
)
