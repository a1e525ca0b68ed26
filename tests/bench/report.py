"""The figures as a table and a chart."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.scenarios import Values

Results = dict[str, Values]
"""By scenario."""


@dataclass(frozen=True)
class Goal:
    """Ours divided by `other`'s, within a scenario, is to be at most `most`."""

    scenario: str
    other: str
    most: float
    ours: str = "service"

    def ratio(self, values: Values) -> float | None:
        """The median of the ratios within a round; None where one of them was not measured."""
        if not values.get(self.ours) or not values.get(self.other):
            return None
        return median(ours / other for ours, other in zip(values[self.ours], values[self.other], strict=True))


GOALS: Final = (
    Goal("echo", "picows", 1.25),
    Goal("echo", "node ws", 0.65),
    Goal("fan-out, 50", "picows", 1.1),
    Goal("fan-out, 50", "node ws", 0.6),
    Goal("handshake", "node ws with jsonwebtoken", 1.3),
    Goal("p99 at half rate", "picows", 1.5),
    Goal("echo", "silent", 1 / 0.95),
    Goal("fan-out, 50", "silent", 1 / 0.95),
    Goal("growth", "10 connections", 1.1, ours="10000 connections"),
)
MEMORY_GOAL_KIB: Final = 12.0
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
    rows = sorted(values.items(), key=lambda row: median(row[1]))
    lines = [f"### {title}", "", text, "", "| server | median (least to most) |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {cell(numbers)} |" for name, numbers in rows), ""])


def goal_table(results: Results) -> str:
    """Every goal, and what came of it."""
    lines = ["| goal | measured | met |", "|---|---|---|"]
    for goal in GOALS:
        ratio = goal.ratio(results.get(goal.scenario, {}))
        if ratio is not None:
            name = f"{goal.scenario}: {goal.ours} at most {goal.most:.2f} times {goal.other}"
            lines.append(f"| {name} | {ratio:.2f} | {'yes' if ratio <= goal.most else 'no'} |")
    held = results.get("memory", {}).get("service")
    if held:
        met = "yes" if held[0] <= MEMORY_GOAL_KIB else "no"
        lines.append(f"| memory: at most {MEMORY_GOAL_KIB:g} KiB a connection | {held[0]:.1f} KiB | {met} |")
    return "\n".join([*lines, ""])


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
telemetry, `uvicorn` the service with `WS_TRANSPORT=uvicorn`, `C floor` what the kernel alone costs. Server and load
generator are pinned to a core each; the servers of a scenario run side by side and are loaded in turns. Unless a
scenario says otherwise the figure is µs of the server's processor time per unit, the median of the rounds. Machines
differ and are noisy: read the ratios.

The load generator (`tests/bench/load.c`, an epoll loop) is not the bottleneck: at its busiest it used {busiest:.0%} of
its core. (At half rate it looks without sleeping, and is not counted.)

![Bars of the main scenarios](pictures/speed.svg)

## Goals
"""
