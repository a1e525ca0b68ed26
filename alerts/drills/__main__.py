"""Run drills and print the table: ``python -m alerts.drills [NAME …]``; without names all, which writes the table."""

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from alerts.drills import (
    availability,
    canary,
    clients,
    connections,
    games,
    machine,
    nats,
    objectives,
    outliers,
    replicas,
    runtime,
    workers,
)
from alerts.drills.drill import Drill, Result, run
from app.telemetry.catalogue import PREFIX

ROOT: Final = Path(__file__).parents[2]
TABLE: Final = ROOT / "docs/drills.md"
DRILLS: Final = (
    *availability.DRILLS,
    *connections.DRILLS,
    *clients.DRILLS,
    *games.DRILLS,
    *runtime.DRILLS,
    *machine.DRILLS,
    *objectives.DRILLS,
    *replicas.DRILLS,
    *outliers.DRILLS,
    *workers.DRILLS,
    *canary.DRILLS,
    *nats.DRILLS,
)


def run_all(drills: Sequence[Drill], at_once: int) -> list[Result]:
    """Run drills, some at once: they wait for most of their time."""

    def one(drill: Drill) -> Result:
        result = run(drill)
        print(_line(result), flush=True)  # noqa: T201 - a command's answer
        return result

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, drills))


def _line(result: Result) -> str:
    said = result.failure or f"{_detected(result)}, silent after {result.silent_s:.1f} s"
    slower = f"; {result.pace} times slower, as the machine is" if result.pace > 1 else ""
    excused = f"; the machine caused {', '.join(sorted(result.excused))}" if result.excused else ""
    return f"{result.drill.name}: {said}{slower}{excused}"


def _detected(result: Result) -> str:
    return "not told" if result.drill.is_look_alike else f"detected after {result.detected_s:.1f} s"


def table(results: Sequence[Result]) -> str:
    """Write the table of a run, in Markdown."""
    heads = ("fault", "alert", "detected after", "clock", "silent after", "panel", "log event", "also told")
    rows = [heads, tuple("---" for _ in heads), *map(_row, results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _row(result: Result) -> tuple[str, ...]:
    drill = result.drill
    shown = drill.shown_by()
    where = " ".join([drill.event or "", *(f"{key}={value}" for key, value in drill.fields.items())]).strip()
    return (
        drill.fault,
        f"[{drill.alert}](../alerts/runbooks/{drill.alert}.md) ({drill.severity})",
        _detected(result).removeprefix("detected after "),
        f"{drill.factor / result.pace:g} times faster",
        f"{result.silent_s:.1f} s",
        f"{shown[0].title}: {shown[1].title}" if shown else "",
        f"`{where}`" if where else "",
        ", ".join(sorted(name.removeprefix("CodeRacer") for name in result.others)),
    )


def main() -> int:
    """Run drills; the exit code is 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m alerts.drills", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of drills; all by default")
    parser.add_argument("--at-once", type=int, default=4, help="drills that run at the same time")
    arguments = parser.parse_args()
    chosen = [drill for drill in DRILLS if not arguments.names or any(name in drill.name for name in arguments.names)]
    unknown = [name for name in arguments.names if not any(name in drill.name for drill in DRILLS)]
    if unknown:
        known = ", ".join(sorted({drill.alert for drill in DRILLS}))
        parser.error(f"no drill has {' or '.join(unknown)} in its name; there are drills for: {known}")
    results = [once_more_if_drowned(result) for result in run_all(chosen, arguments.at_once)]
    failed = [result for result in results if result.failure]
    text = table([result for result in results if not result.failure])
    print(f"\n{text}\n{len(failed)} of {len(results)} failed")  # noqa: T201 - a command's answer
    if drowned := [result.drill.name for result in results if result.is_drowned]:
        print(f"the machine caused the same, so nobody knows how fast it was told: {', '.join(drowned)}")  # noqa: T201 - a command's answer
    if len(chosen) == len(DRILLS) and not failed and not drowned:
        TABLE.write_text(_document(text), "utf-8")
    return 1 if failed else 0


def once_more_if_drowned(result: Result) -> Result:
    """Run a drill again, by itself, where the machine caused its alert too: nobody knows how fast it was told."""
    return run_all([result.drill], at_once=1)[0] if result.is_drowned else result


def _document(text: str) -> str:
    return (
        "# Drills\n\n"
        f"Written by `make drills` on {dt.date.today().isoformat()}: for every alert a real fault against a real"  # noqa: DTZ011 - the day of the person who runs it
        " server, seen by a real Prometheus with the shipped rules and delivered by a real Alertmanager with"
        " `alerts/alertmanager.yaml`. Time runs faster: every `for` and range of a group is divided by the factor"
        " under *clock*, thresholds are not. *Detected after* is from the fault to the receiver's being told;"
        " *silent after* from the fault's end until nothing is pending, firing or delivered any more. In each drill"
        " no page was delivered but those the fault is right to cause, the panel showed it, a log line told of it where"
        f" one could (`{PREFIX}*`"
        " metrics alone tell of the others), and every query and log search of the runbook worked."
        " *Also told* are tickets that the fault is right to cause; what is *not told* only looks like a fault.\n\n"
        + text
    )


if __name__ == "__main__":
    sys.exit(main())
