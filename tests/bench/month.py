"""What a rule over thirty days costs, from counters and from recorded steps. `make bench-month` prints the ratio.

A real Prometheus answers from blocks that promtool has made: twelve replicas, scraped every 15 seconds. The steps are
recorded by the shipped rules, over the same blocks.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import yaml

from alerts.model import Group, rules
from alerts.objectives import BUDGET, OBJECTIVES, STEP, Objective
from tools.harness.server import free_port, until

REPLICAS, SCRAPE_S, DAY_S = 12, 15, 86_400
SCRAPES_A_DAY = DAY_S // SCRAPE_S
HANDSHAKES = next(one for one in OBJECTIVES if one.name == "handshake")
A_SCRAPE = {"accepted": 20.0, "unavailable": 0.01, "internal_error": 0.0, "overloaded": 0.0, "draining": 0.0}
"""Handshakes of each outcome that a replica counts from one scrape to the next: one in 2,001 fails."""


@dataclass(frozen=True)
class Cost:
    """What a query gave, and what it cost: samples read, and seconds."""

    value: float
    samples: int
    took_s: float


def run(*command: str) -> None:
    """Run promtool; what it says is for when it fails."""
    done = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def scraped(folder: Path, start: int, days: int) -> None:
    """Write the blocks of so many days, as if all replicas had been scraped."""
    source = folder / "day.om"
    for day in range(days):
        with source.open("w") as file:
            file.write("# TYPE code_racer_ws_handshakes counter\n")
            for replica in range(REPLICAS):
                for outcome, grows in A_SCRAPE.items():
                    labels = f'namespace="prod",job="code-racer",instance="r{replica}",outcome="{outcome}"'
                    file.writelines(
                        f"code_racer_ws_handshakes_total{{{labels}}} {count * grows:.2f} {start + count * SCRAPE_S}\n"
                        for count in range(day * SCRAPES_A_DAY, (day + 1) * SCRAPES_A_DAY)
                    )
            file.write("# EOF\n")
        run("openmetrics", "--max-block-duration=24h", str(source), str(folder / "data"))
    source.unlink()


def recorded(client: httpx.Client, folder: Path, steps: Group, start: int, days: int) -> None:
    """Have promtool evaluate the steps' rules over the blocks, as Prometheus would have meanwhile."""
    (folder / "steps.yaml").write_text(yaml.safe_dump(rules([steps], {})))
    times = (f"--start={start}", f"--end={start + days * DAY_S}", f"--eval-interval={STEP}")
    run("rules", *times, f"--url={client.base_url}", f"--output-dir={folder / 'data'}", str(folder / "steps.yaml"))


@contextlib.contextmanager
def prometheus(folder: Path) -> Iterator[httpx.Client]:
    """Serve what is in the blocks."""
    (folder / "prometheus.yaml").write_text("{}")
    address = f"127.0.0.1:{free_port()}"
    options = (
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=90d",
        f"--web.listen-address={address}",
    )
    with (folder / "prometheus.log").open("a") as log:
        process = subprocess.Popen(["prometheus", *options], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=120) as client:
            until(lambda: _answers(client))
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").is_success
    except httpx.TransportError:
        return False


def ask(client: httpx.Client, expr: str, at: int) -> Cost:
    """Ask once, with statistics."""
    answer: dict[str, Any] = client.get("/api/v1/query", params={"query": expr, "time": at, "stats": "all"}).json()
    assert answer["status"] == "success", answer
    ((_, value),) = (one["value"] for one in answer["data"]["result"])
    stats = answer["data"]["stats"]
    return Cost(float(value), stats["samples"]["totalQueryableSamples"], stats["timings"]["evalTotalTime"])


def measured(folder: Path, objective: Objective, days: int, tries: int) -> tuple[Cost, Cost]:
    """Ask for the ratio over so many days: of the counters, and as it is shipped; the median of the times."""
    end = int(time.time()) // DAY_S * DAY_S
    start = end - days * DAY_S
    scraped(folder, start, days)
    with prometheus(folder) as client:
        recorded(client, folder, objective.steps(), start, days)
        before = [ask(client, objective.ratio(f"{days}d"), end - SCRAPE_S) for _ in range(tries)]
    shipped = next(one.expr for one in objective.recordings().rules if one.name == objective.errors(BUDGET))
    with prometheus(folder) as client:  # it reads new blocks when it starts
        after = [ask(client, shipped.replace(f"[{BUDGET}]", f"[{days}d]"), end - SCRAPE_S) for _ in range(tries)]
    return _median(before), _median(after)


def _median(costs: list[Cost]) -> Cost:
    return Cost(costs[-1].value, costs[-1].samples, median(one.took_s for one in costs))


def main() -> None:
    """Print both, and how many times the one is the other."""
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as folder:
        before, after = measured(Path(folder), HANDSHAKES, days, tries=5)
    for name, one in (("counters", before), ("steps", after)):
        print(f"{days} days from {name}: {one.value:.6f}, {one.samples:,} samples, {one.took_s * 1000:.2f} ms")
    print(
        f"{before.samples / after.samples:,.0f} times fewer samples, {before.took_s / after.took_s:,.0f} times faster"
    )


if __name__ == "__main__":
    main()
