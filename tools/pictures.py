"""Draw the boards and the console: a real server and Prometheus, players that race and misbehave, every panel's query.

No Grafana runs here, so the panels are drawn by matplotlib from the answers that Grafana would have got, in the places
where Grafana puts them. Panels of Loki and Tempo are left empty, and say so. Run by ``make pictures``.
"""

import argparse
import contextlib
import itertools
import logging
import math
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from websockets.exceptions import InvalidStatus, WebSocketException

from dashboards.build import BOARDS
from dashboards.model import Board, Kind, Panel, Source, to_json
from tools.harness.browser import chromium, window
from tools.harness.canary import canary
from tools.harness.nats import Nats
from tools.harness.nats_exporter import exporter
from tools.harness.player import SOLUTION, WRONG, Player
from tools.harness.prometheus import filled, prometheus
from tools.harness.server import ServerProcess

mpl.use("Agg")
logging.getLogger("websockets").setLevel(logging.CRITICAL)  # a player who vanishes, as some shall, is no fault of it

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = Path("var/pictures")
"""Not those of the documentation, which would differ from what is committed after every run."""
LASTS_S: Final = 120
PLAYERS: Final = 6
INK, PAPER, CARD, GRID = "#d0d3d8", "#111217", "#181b1f", "#2c3035"
GOOD, BAD = "#73bf69", "#ff9830"
LINES: Final = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#37872d")
MOST_IN_A_LEGEND: Final = 6
NEAR: Final = 3
"""Where an alert begins is drawn if it is no more than so many times what is shown."""
Series = tuple[str, list[float], list[float]]


# ---------------------------------------------------------------- what is to be seen


def _race(server: ServerProcess, number: int, dice: random.Random) -> None:
    """A race of two: wrong answers, a right one, now and then a word that nobody knows and a lost connection."""
    ann, bob = server.guest(f"ann {number}"), server.guest(f"bob {number}")
    game_id = server.new_game(ann["token"])
    with Player(server, game_id, ann["token"]) as one, Player(server, game_id, bob["token"]) as two:
        two.until("player_joined", player_id=bob["player_id"])
        for player in (one, two):
            player.send("ready")
        one.until("game_started")
        for _ in range(dice.randrange(3)):
            two.send("progress", {"percent": dice.randrange(100)})
            two.send("submit_code", {"code": WRONG})
            two.until("submission_result")
            time.sleep(dice.uniform(0, 1))  # a player thinks
        if dice.random() < 0.2:  # noqa: PLR2004 - now and then
            two.send("nonsense")
        one.send("submit_code", {"code": SOLUTION})
        one.until("game_finished")
        if dice.random() < 0.2:  # noqa: PLR2004 - now and then
            two.drop()
    if dice.random() < 0.3:  # noqa: PLR2004 - now and then
        with contextlib.suppress(InvalidStatus):
            Player(server, game_id, "no token")


@contextlib.contextmanager
def _racing(server: ServerProcess) -> Iterator[None]:
    stop, numbers = threading.Event(), itertools.count()

    def races(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - a game
        while not stop.wait(dice.uniform(0, 2)):
            number = next(numbers)
            try:
                _race(server, number, dice)
            except (WebSocketException, httpx.HTTPError, TimeoutError) as error:  # the boards show that too
                print(f"race {number} did not come to its end: {error!r}", flush=True)  # noqa: T201 - a command's answer

    threads = [threading.Thread(target=races, args=(seed,), daemon=True) for seed in range(PLAYERS)]
    for one in threads:
        one.start()
    yield
    stop.set()
    for one in threads:
        one.join(30)


# ---------------------------------------------------------------- drawing


def _ask(client: httpx.Client, panel: Panel, begin: float, end: float) -> list[Series]:
    """All series of a panel over a time."""
    found: list[Series] = []
    for query in panel.queries:
        parameters: dict[str, Any] = {"query": filled(query.expr, "10s", "2m"), "start": begin, "end": end, "step": 2}
        answer = client.get("/api/v1/query_range", params=parameters).json()
        for one in answer["data"]["result"]:
            legend = query.legend
            for label, value in one["metric"].items():
                legend = legend.replace(f"{{{{{label}}}}}", value)
            times, values = zip(*one["values"], strict=True)
            found.append((legend, [float(at) for at in times], [_drawable(value) for value in values]))
    return found


def _drawable(value: str) -> float:
    """Read a sample; what is infinite, as a rate of something per nothing is for a moment, is no number to be drawn."""
    number = float(value)
    return number if math.isfinite(number) else math.nan


def shown(value: float, unit: str) -> str:
    """A value as Grafana writes it."""
    if math.isnan(value):
        return "NaN"
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"
    if unit == "bytes":
        power = min(3, max(0, int(np.log2(max(1.0, abs(value))) // 10)))
        return f"{value / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB')[power]}"
    return f"{value:.4g}" + ("/s" if unit == "ops" else "")


def draw(client: httpx.Client, board: Board, begin: float, end: float, path: Path) -> None:
    """Draw a board as a PNG."""
    places = [panel["gridPos"] for panel in to_json(board)["panels"]]
    rows = max(place["y"] + place["h"] for place in places)
    figure = Figure(figsize=(16, rows * 0.42 + 0.5), facecolor=PAPER, dpi=80)
    head = 0.5 / (rows * 0.42 + 0.5)
    figure.text(0.01, 1 - head / 2, f"Code Racer / {board.title}", color=INK, fontsize=13, va="center")
    for panel, place in zip(board.panels, places, strict=True):
        height = place["h"] / rows * (1 - head)
        bottom = (1 - head) * (1 - place["y"] / rows) - height
        card = (place["x"] / 24 + 0.003, bottom + 0.004, place["w"] / 24 - 0.006, height - 0.008)
        background = figure.add_axes(card, facecolor=CARD)
        background.set(xticks=[], yticks=[])
        background.spines[:].set_color(GRID)
        background.set_title(panel.title, color=INK, fontsize=9, loc="left", y=1, pad=-12, x=0.02)
        width, tall = card[2], card[3]
        inside = (card[0] + 0.13 * min(width, 0.3), card[1] + 0.3 * tall, width - 0.16 * min(width, 0.3), 0.5 * tall)
        axes = figure.add_axes(inside, facecolor=CARD)
        _draw_panel(axes, panel, _ask(client, panel, begin, end) if panel.source is Source.PROMETHEUS else [])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=PAPER)


def _draw_panel(axes: Axes, panel: Panel, series: list[Series]) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=INK, labelsize=7, length=0)
    if panel.source is not Source.PROMETHEUS:
        axes.set(xticks=[], yticks=[])
        axes.text(
            0.5, 0.5, f"(from {str(panel.source).capitalize()}, which does not run here)", color=GRID, ha="center"
        )
    elif panel.kind is Kind.STAT:
        _draw_number(axes, panel, series)
    elif panel.kind is Kind.BARS:
        _draw_bars(axes, panel, series)
    elif panel.kind is Kind.HEATMAP:
        _draw_heatmap(axes, series)
    else:
        _draw_lines(axes, panel, series)


def _draw_number(axes: Axes, panel: Panel, series: list[Series]) -> None:
    axes.set(xticks=[], yticks=[])
    value = series[0][2][-1] if series else float("nan")
    color = BAD if panel.needs_attention(value) else GOOD
    axes.text(0.45, 0.35, shown(value, panel.unit), color=color, fontsize=18, ha="center", va="center")


def _draw_bars(axes: Axes, panel: Panel, series: list[Series]) -> None:
    bars = [(values[-1], legend) for legend, _, values in reversed(series)]  # they are drawn from below
    axes.barh([legend for _, legend in bars], [value for value, _ in bars], color=GOOD)
    for position, (value, _) in enumerate(bars):
        axes.text(value, position, " " + shown(value, panel.unit), color=INK, fontsize=7, va="center")
    axes.set_xticks([])


def _draw_lines(axes: Axes, panel: Panel, series: list[Series]) -> None:
    loudest = sorted(series, key=lambda one: -float(np.nan_to_num(one[2]).max()))
    for (legend, times, values), color in zip(loudest, itertools.cycle(LINES), strict=False):
        axes.plot(times, values, color=color, linewidth=1, label=legend, clip_on=False)
    axes.yaxis.set_major_formatter(lambda value, _: shown(value, panel.unit))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    _time_axis(axes)
    highest = max((float(np.nan_to_num(values).max()) for _, _, values in series), default=0.0)
    if panel.alerts and panel.warn <= NEAR * highest:
        axes.axhline(panel.warn, color=BAD, linewidth=0.8, linestyle="--")
        highest = max(highest, panel.warn)
    axes.set_ylim(0, 1.1 * highest or 1)
    lines, names = axes.get_legend_handles_labels()
    axes.legend(
        lines[:MOST_IN_A_LEGEND], names[:MOST_IN_A_LEGEND], loc="upper left", bbox_to_anchor=(-0.1, -0.12), ncol=3,
        fontsize=6.5, frameon=False, labelcolor=INK, handlelength=1, columnspacing=0.8,
    )  # fmt: skip


def _draw_heatmap(axes: Axes, series: list[Series]) -> None:
    """Buckets are cumulative: each less the one below it is what fell into it."""
    edges = sorted(series, key=lambda one: float(one[0]))
    times = edges[0][1]
    counts = np.diff(np.nan_to_num(np.array([values for _, _, values in edges])), axis=0, prepend=0)
    axes.pcolormesh(
        times,
        range(len(edges)),
        np.ma.masked_less(counts, 0.5),
        cmap="Blues_r",
        shading="nearest",
    )
    axes.set_yticks(range(0, len(edges), 3), [shown(float(edges[at][0]), "s") for at in range(0, len(edges), 3)])
    _time_axis(axes)


def shoot_console(server: ServerProcess, path: Path) -> None:
    """Have a browser draw the operators' console, as it is while players race."""
    with chromium() as browser, window(browser, f"{server.http_url}/ops/") as page:
        page.locator("#live[data-state=live]").wait_for()
        page.locator("tbody tr").last.wait_for()
        page.screenshot(path=path)


def shoot_race(server: ServerProcess, path: Path) -> None:
    """Have a browser draw a race of three: Ann writes, Bob was wrong once, Cid has got half of it."""
    with chromium() as browser, window(browser, server.http_url) as page, contextlib.ExitStack() as stack:
        page.get_by_label("Your name").fill("Ann")
        page.locator("#min-players").fill("3")
        page.locator("#problem").select_option("running-total")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="I am ready").wait_for()
        (game_id,) = parse_qs(urlsplit(page.url).query)["game"]
        bob, cid = (
            stack.enter_context(Player(server, game_id, server.guest(name)["token"])) for name in ("Bob", "Cid")
        )
        for other in (bob, cid):
            other.send("ready")
        page.get_by_role("button", name="I am ready").click()
        for other in (bob, cid):
            other.until("game_started")
        bob.send("submit_code", {"code": WRONG})
        bob.until("submission_judged")
        cid.send("progress", {"percent": 50, "lines": 4})
        page.locator("#code").fill(SOLUTION)
        page.screenshot(path=path)


def _time_axis(axes: Axes) -> None:
    axes.grid(color=GRID, linewidth=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda at, _: time.strftime("%H:%M:%S", time.gmtime(at)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, then draw all boards."""
    parser = argparse.ArgumentParser(prog="python -m tools.pictures", description="Draw the boards from a real race.")
    parser.add_argument("--into", type=Path, default=FOLDER, help=f"a folder ({FOLDER})")
    parser.add_argument("--lasts-s", type=float, default=LASTS_S, metavar="S", help=f"how long is raced ({LASTS_S})")
    options = parser.parse_args(arguments)
    print(f"players race for {options.lasts_s:g} s, then {len(BOARDS)} boards are drawn", flush=True)  # noqa: T201 - a command's answer
    folder = Path(tempfile.mkdtemp(prefix="code-racer-pictures-"))
    rules = sorted((ROOT / "alerts/rules").glob("*.yaml"))
    limits = {
        "replica": "racer-1",
        "ping_interval_s": 1,
        "guests_per_address_per_minute": 100_000,
        "nats_max_bytes": 100_000_000,
    }
    with (
        Nats(folder / "nats", 3, environment={"GOMEMLIMIT": "1GiB"}) as nats,
        ServerProcess(folder / "server", **{**limits, "event_log_url": nats.url, "nats_replicas": 3}) as server,
        contextlib.ExitStack() as stack,
        canary(server.http_url, "--every-s", "5") as bird,
        prometheus(
            folder,
            server,
            rules=rules,
            canary=bird.host,
            nats=[stack.enter_context(exporter(node, folder)) for node in nats.nodes],
        ) as client,
    ):
        begin = time.time()
        with _racing(server):
            time.sleep(options.lasts_s)  # as much as the pictures show
            end = time.time()
            shoot_console(server, options.into / "console.png")
        shoot_race(server, options.into / "race.png")
        for board in BOARDS:
            draw(client, board, begin, end, options.into / f"{board.uid}.png")
            print(options.into / f"{board.uid}.png", flush=True)  # noqa: T201 - a command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
