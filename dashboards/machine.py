"""What a replica has of its machine: processor, memory, descriptors, disk, clock; which builds and workers run."""

from typing import Final

from alerts.config import CONFIG
from dashboards.model import Board, Panel, Query, RowKind, rate, row, selected

_LAG: Final = "code_racer_event_loop_lag_seconds_bucket"
_ALL: Final = selected(_LAG, 'le="+Inf"')
_WITHIN_5_S: Final = selected(_LAG, 'le="5.0"')
_NOT_SERVING: Final = 'state!="ready"'
_OF_SUPERVISORS: Final = f'job="{CONFIG["jobs"]["supervisor"]}"'
_WITHHELD: Final = rate("code_racer_cpu_withheld_seconds_total", "instance")

MACHINE: Final = Board(
    "code-racer-machine",
    "Machine",
    (
        row(
            RowKind.SATURATION,
            Panel(
                "Kept from a processor",
                "Of the time in which a replica has work, the part in which it got no processor: others, or its limit.",
                "percentunit",
                (
                    Query(
                        f"{_WITHHELD} / ({_WITHHELD}"
                        f" + sum by (instance) (rate({selected('process_cpu_seconds_total')}[$__rate_interval])))",
                        "{{instance}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerProcessorWithheld", "share"),
                range=(0, 1),
                width=6,
                alerts=("CodeRacerProcessorWithheld",),
            ),
            Panel(
                "Processor",
                "Cores that each replica uses, without its judge's workers: it has one event loop, so it is full at 1.",
                "none",
                (
                    Query(
                        f"sum by (instance) (rate({selected('process_cpu_seconds_total')}[$__rate_interval]))",
                        "{{instance}}",
                    ),
                ),
                warn=0.9,
                range=(0, 1),
                width=6,
            ),
            Panel(
                "Stood still",
                "How often within the step shown a replica was over five seconds late: it was stopped, or its machine.",
                "none",
                (
                    Query(
                        f"sum by (instance) (increase({_ALL}[$__rate_interval]))"
                        f" - sum by (instance) (increase({_WITHIN_5_S}[$__rate_interval]))",
                        "{{instance}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerPaused", "pauses"),
                range=(0, 0),
                width=6,
                alerts=("CodeRacerPaused",),
            ),
            Panel(
                "Garbage collection",
                "The part of the time in which the collector holds the process up; it seldom runs.",
                "percentunit",
                (Query(rate("code_racer_gc_pause_seconds_sum", "instance"), "{{instance}}"),),
                warn=0.05,
                range=(0, 1),
                width=6,
            ),
        ),
        row(
            RowKind.SATURATION,
            Panel(
                "Memory since an hour ago",
                "What a replica takes more than an hour ago. Growth with no more players is a leak.",
                "bytes",
                (
                    Query(
                        f"max({selected('code_racer_memory_bytes')}"
                        f" - {selected('code_racer_memory_bytes')} offset 1h) or vector(0)",
                        "at most",
                    ),
                ),
                warn=CONFIG.number("CodeRacerMemoryGrowth", "mebibytes") * 1024**2,
                range=(-1_000_000_000, 100_000_000),
                width=6,
                alerts=("CodeRacerMemoryGrowth",),
            ),
            Panel(
                "Memory",
                "Resident memory of each replica.",
                "bytes",
                (Query(f"max by (instance) ({selected('code_racer_memory_bytes')})", "{{instance}}"),),
                warn=4 * 1024**3,
                range=(10_000_000, 1_000_000_000),
                width=6,
            ),
            Panel(
                "File descriptors",
                "Open ones as a part of how many there may be; a connection takes one.",
                "percentunit",
                (
                    Query(
                        f"max by (instance) ({selected('code_racer_open_fds')} / {selected('code_racer_max_fds')})",
                        "{{instance}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerFdsNearLimit", "ticket_above"),
                range=(0, 0.5),
                width=6,
                alerts=("CodeRacerFdsNearLimit",),
            ),
            Panel(
                "Left on the event log's disk",
                "Of the disk that the event log's file is on; all, where it is no file of this machine.",
                "percentunit",
                (
                    Query(
                        f"min({selected('code_racer_event_log_disk_free_bytes')}"
                        f" / ({selected('code_racer_event_log_disk_bytes')} > 0)) or vector(1)",
                        "left",
                    ),
                ),
                warn=CONFIG.number("CodeRacerDiskFilling", "page_under"),
                below=True,
                range=(0, 1),
                width=6,
                alerts=("CodeRacerDiskFilling",),
            ),
        ),
        row(
            RowKind.CAUSE,
            Panel(
                "Clock set by",
                "How far the machine's clock was set away from the games' clock while the replica ran.",
                "s",
                (Query(f"max by (instance) (abs({selected('code_racer_clock_ahead_seconds')}))", "{{instance}}"),),
                warn=CONFIG.number("CodeRacerClockSet", "above_s"),
                range=(0, 1),
                width=6,
                alerts=("CodeRacerClockSet", "CodeRacerClockSkew"),
            ),
            Panel(
                "Builds side by side",
                "How many builds (version and revision) run at once: one, but for a deploy.",
                "none",
                (Query(f"count(count by (version, revision) ({selected('code_racer_build_info')}))", "builds"),),
                warn=2,
                range=(1, 1),
                width=6,
                alerts=("CodeRacerVersionSkew",),
            ),
            Panel(
                "Replicas without classic histograms",
                "What rules and boards ask for of latencies; a Prometheus may keep the native ones alone.",
                "none",
                (
                    Query(
                        f"count(count by (cluster, namespace, job, instance) ({selected('code_racer_build_info')})"
                        " unless on (cluster, namespace, job, instance)"
                        f" {selected('code_racer_event_loop_lag_seconds_count')}) or vector(0)",
                        "replicas",
                    ),
                ),
                warn=1,
                range=(0, 0),
                width=6,
                alerts=("CodeRacerHistogramsMissing",),
            ),
        ),
        row(
            RowKind.CAUSE,
            Panel(
                "Workers started again",
                "Within an hour, by machine and reason: died, stood still (silent), ended unasked, or were asked to by"
                " SIGHUP. Nothing where each process is started by itself.",
                "none",
                (
                    Query(
                        f"sum by (instance, reason) (increase({selected('code_racer_worker_restarts_total')}[1h]))",
                        "{{instance}} {{reason}}",
                    ),
                ),
                warn=3,
                range=(0, 0),
                alerts=("CodeRacerWorkerRestarting",),
                width=6,
            ),
            Panel(
                "Workers that do not serve",
                "Starting, down until the next try, draining, or not ready, by machine.",
                "none",
                (
                    Query(
                        f"sum by (instance) ({selected('code_racer_workers', _NOT_SERVING)})",
                        "{{instance}}",
                    ),
                ),
                warn=1,
                range=(0, 0),
                alerts=("CodeRacerWorkerRestarting",),
                width=6,
            ),
            Panel(
                "Supervisors scraped",
                "The part of the supervisors that answers Prometheus: without one nobody starts its workers again.",
                "percentunit",
                (Query(f"avg({selected('up', _OF_SUPERVISORS)})", "up"),),
                warn=1,
                below=True,
                range=(1, 1),
                alerts=("CodeRacerSupervisorDown",),
                width=6,
            ),
            Panel(
                "Handed over",
                "Connections a second that came to another worker than their game's: sent to it and taken by it; full,"
                " lost and too_long were not.",
                "ops",
                (Query(rate("code_racer_worker_handovers_total", "outcome"), "{{outcome}}"),),
                warn=1_000,
                range=(0, 1_000),
                width=6,
            ),
        ),
    ),
)
