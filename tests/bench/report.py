"""The figures as a table and a chart."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from tests.bench.scenarios import Values

Results = dict[str, Values]
"""By scenario."""


@dataclass(frozen=True)
class Goal:
    """Ours divided by `other`'s, within a scenario, is to be at most `most`; with `floor`, what is above the floor."""

    scenario: str
    other: str
    most: float
    ours: str = "service"
    floor: str = ""

    def ratios(self, values: Values) -> list[float]:
        """Those within a round; none where one of them was not measured."""
        ours, others = values.get(self.ours, []), values.get(self.other, [])
        floors = values.get(self.floor, []) if self.floor else [0.0] * len(ours)
        if not (ours and others and floors):
            return []
        rounds = zip(ours, others, floors, strict=True)
        return [(one - floor) / (other - floor) for one, other, floor in rounds if other > floor]

    def ratio(self, values: Values) -> float | None:
        """The median of them; None where there are none."""
        found = self.ratios(values)
        return median(found) if found else None

    def __str__(self) -> str:
        above = f", above {self.floor}" if self.floor else ""
        return f"{self.scenario}: {self.ours} at most {self.most:.2f} times {self.other}{above}"


@dataclass(frozen=True)
class Bound:
    """What was measured is to be at most `most`."""

    scenario: str
    ours: str
    most: float
    unit: str

    def __str__(self) -> str:
        return f"{self.scenario}: {self.ours} at most {self.most:g} {self.unit}"


GOALS: Final = (
    Goal("echo", "node ws", 0.55, floor="C floor"),
    Goal("fan-out, 50", "node ws", 0.32, floor="C floor"),
    Goal("durable, 50", "service", 1.35, ours="on disk"),
    Goal("durable, 50", "synced", 1.15, ours="on disk"),
    Goal("durable, 256 games", "service", 1.35, ours="on disk"),
    Goal("handshake", "node ws with jsonwebtoken", 0.85, ours="on disk"),
    Goal("steady", "picows", 1.5),
    Goal("echo", "silent", 1.03),
    Goal("fan-out, 50", "silent", 1.03),
)
BOUNDS: Final = (
    Bound("steady", "service", 800, "µs"),
    Bound("scrape", "service, text", 0.5, "ms"),
    Bound("scrape", "service, OpenMetrics", 0.5, "ms"),
    Bound("memory", "service", 4.5, "KiB a connection"),
    Bound("on disk", "100 games of 8", 6, "KiB a race"),
    Bound("durable, NATS", "on NATS, by the clock", 125, "µs an event"),
    Bound("take-up", "10000 games: ready", 1, "s"),
    Bound("take-up", "10000 games: all taken up", 2, "s"),
)
WAITED: Final = " waited"
"""Rows that tell what the machine adds, and come last."""
FLOORS: Final = ("C floor", "uvloop floor", "service")
SIZES: Final = {
    "echo": "messages answered",
    "fan-out, 50": "deliveries of progress, in games of 50",
    "durable, 50": "deliveries of durable events, in games of 50",
    "handshake": "handshakes, each welcomed and closed again",
}
"""Scenarios whose figure is microseconds a unit, and what the unit is."""


def cell(values: list[float]) -> str:
    """The median and the spread."""
    if not values:
        return "-"
    digits = 2 if median(values) < 100 else 0
    shown = f"{median(values):.{digits}f}"
    return shown if len(values) == 1 else f"{shown} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def scenario_table(title: str, text: str, values: Values) -> str:
    """One scenario, the cheapest first."""
    rows = sorted(values.items(), key=lambda row: (row[0].endswith(WAITED), median(row[1])))
    lines = [f"### {title}", "", text, "", "| server | median (least to most) |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {cell(numbers)} |" for name, numbers in rows), ""])


def goal_table(results: Results) -> str:
    """Every goal, and what came of it."""
    lines = ["| goal | measured (the middle half of the rounds) | met |", "|---|---|---|"]
    found: list[tuple[Goal | Bound, list[float]]] = [
        *((goal, goal.ratios(results.get(goal.scenario, {}))) for goal in GOALS),
        *((bound, results.get(bound.scenario, {}).get(bound.ours, [])) for bound in BOUNDS),
    ]
    return "\n".join([*lines, *(_row(goal, values) for goal, values in found if values), ""])


def _row(goal: Goal | Bound, found: list[float]) -> str:
    low, _, high = quantiles(found, n=4, method="inclusive") if len(found) > 1 else (found * 3)
    spread = f" ({low:.2f} to {high:.2f})" if len(found) > 1 else ""
    return f"| {goal} | {median(found):.2f}{spread} | {'yes' if median(found) <= goal.most else 'no'} |"


def floor_table(results: Results) -> str:
    """Floors and the service beside Node `ws`."""
    lines = ["| as a part of Node's time | C floor | uvloop floor | service |", "|---|---|---|---|"]
    for scenario in ("echo", "fan-out, 50"):
        ratios = [Goal(scenario, "node ws", 1, one).ratio(results.get(scenario, {})) for one in FLOORS]
        cells = [f"{ratio:.2f}" if ratio is not None else "-" for ratio in ratios]
        lines.append(f"| {scenario} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def growth_table(results: Results) -> str:
    """How much dearer a delivery is among 10,000 connections than among 10."""
    scenarios = {"C floor": "growth, C floor", "uvloop floor": "growth, uvloop floor", "service": "growth"}
    rows = [
        (name, Goal(scenario, "10 connections", 1, "10000 connections").ratio(results.get(scenario, {})))
        for name, scenario in scenarios.items()
    ]
    shown = [f"| {name} | {ratio:.2f} |" for name, ratio in rows if ratio is not None]
    return "\n".join(
        ["| a delivery among 10,000 connections | as a multiple of one among 10 |", "|---|---|", *shown, ""]
    )


def sizing_table(results: Results) -> str:
    """What one core and one GiB carry of each thing, if they carry nothing else; empty if too little was measured."""
    rows = [
        (text, 1e6 / median(results[scenario]["service"]))
        for scenario, text in SIZES.items()
        if results.get(scenario, {}).get("service")
    ]
    if not rows:
        return ""
    lines = ["| one core carries, a second | at most | planned at half |", "|---|---|---|"]
    lines += [f"| {text} | {most:,.0f} | {most / 2:,.0f} |" for text, most in rows]
    held = results.get("memory", {}).get("service")
    if held:
        lines += [
            "",
            f"One GiB holds {2**20 / held[0]:,.0f} idle joined connections, besides what an empty service takes.",
        ]
    return "\n".join([*lines, ""])


def machine() -> str:
    """What it was measured on."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    return f"{model}, Python {platform.python_version()}, Linux {platform.release().split('-')[0]}"


def draw(results: Results, scenarios: tuple[str, ...], path: Path) -> None:
    """Bars of some scenarios, one panel each."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "code-racer"
    from matplotlib import pyplot as plt

    shown = [name for name in scenarios if results.get(name)]
    figure, axes = plt.subplots(1, len(shown), figsize=(3.4 * len(shown), 3.2), squeeze=False)
    for axis, name in zip(axes[0], shown, strict=True):
        rows = sorted(results[name].items(), key=lambda row: -median(row[1]))
        colours = ["#d9480f" if server == "service" else "#adb5bd" for server, _ in rows]
        axis.barh([server for server, _ in rows], [median(numbers) for _, numbers in rows], color=colours)
        axis.set_title(name)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def page(results: Results, texts: Mapping[str, Callable[..., object]], busiest: float) -> str:
    """The whole page."""
    parts = [scenario_table(name, text_of(texts[name]), values) for name, values in results.items()]
    head = INTRODUCTION.format(machine=machine(), busiest=busiest)
    floor = FLOOR.format(floors=floor_table(results), growth=growth_table(results))
    return "\n".join([head, goal_table(results), floor, sizing_table(results), "## Scenarios\n", *parts])


def text_of(function: Callable[..., object]) -> str:
    """A docstring as a paragraph."""
    return " ".join((function.__doc__ or "").split())


FLOOR: Final = """## The floor

`C floor` is the same exchange in C: one read and one write a message, nothing parsed, checked, counted or encoded; what
it costs is the kernel's. `uvloop floor` is that again as a bare protocol on uvloop; the difference is what Python and
its event loop cost anybody who uses them, before a message is even looked at. `strace` counts the same system calls for
the service: exactly one read and one write an echo, and one write a delivery.

{floors}
Ten thousand sockets that are all in use do not fit the processor's caches; the kernel's own time shows it, and no
server can grow less than its floor:

{growth}
## Sizing

"""
INTRODUCTION: Final = """# Speed

Written by `make bench`: {machine}.

The service is as it is run, with metrics, logs and pings on; the peers measure nothing. `silent` is the service without
telemetry, `uvicorn` the service with `WS_TRANSPORT=uvicorn`, `C floor` what the kernel alone costs. `on disk` keeps its
events in SQLite; `synced` only writes their bytes and syncs them, which is the floor of a disk. Server and load
generator are pinned to a core each; the servers of a scenario run side by side and are loaded in turns. Unless a
scenario says otherwise the figure is µs of the server's processor time per unit, the median of the rounds. Machines
differ and are noisy: read the ratios. What made it faster, before and after, and where the rest goes:
[speed-changes.md](speed-changes.md).

The load generator (`tests/bench/load.c`, an epoll loop) is not the bottleneck: at its busiest it used {busiest:.0%} of
its core. (At half rate it looks without sleeping, and is not counted.)

![Bars of the main scenarios](pictures/speed.svg)

## Goals
"""
