"""Native histograms in a real Prometheus: what it answers from them, and that nobody loses the classic ones unasked.

Debian's is 2.42: it takes native histograms under a flag, and then never the classic ones beside them. Newer ones can,
when they are told to, which `python -m tests.proof prometheus` asks of today's.
"""

import random
from math import ceil
from pathlib import Path
from typing import Final

import httpx
import pytest

from alerts.machine import HISTOGRAMS_MISSING
from tools.harness import fetch
from tools.harness.player import SOLUTION, Player
from tools.harness.prometheus import prometheus, query, taking_native
from tools.harness.server import ServerProcess, until

NATIVE: Final = taking_native()
ROUND_TRIPS: Final = "code_racer_ws_client_rtt_seconds"
BUCKET_WIDTH: Final = 2 ** (1 / 8)
"""Of schema 3: how much two values of one bucket can differ."""
ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs/operations.md").read_text("utf-8").split("## Native histograms\n")[1]
QUANTILE: Final = GUIDE.split("```text\n")[1].split("```")[0]
PINGS: Final = 199
"""So that no quantile is between two of them."""


def race(server: ServerProcess, round_trips_s: list[float]) -> None:
    """A race, whose player reports these round trips: of them it is known what the quantiles are."""
    ann = server.guest("ann")
    with Player(server, server.new_game(ann["token"], min_players=1), ann["token"]) as player:
        for number, seconds in enumerate(round_trips_s):
            player.send("ping", {"timestamp": number, "rtt_ms": seconds * 1000})
            player.until("pong")
        player.send("ready")
        player.until("game_started")
        player.send("submit_code", {"code": SOLUTION})
        player.until("game_finished")


def answer(client: httpx.Client, expr: str) -> float:
    """The only value of a query, once there is one that is not NaN."""
    series = until(lambda: [one for one in query(client, f"{expr} >= 0") if one["value"][1] != "NaN"])
    (only,) = series
    return float(only["value"][1])


def test_a_quantile_of_native_histograms_is_right_within_the_width_of_a_bucket(tmp_path: Path) -> None:
    chance = random.Random(8)  # noqa: S311 - a load to be told twice, no secret
    values = [chance.lognormvariate(-4, 1) for _ in range(PINGS)]
    with (
        ServerProcess(tmp_path / "server", metrics_native_histograms="true", message_burst=10_000) as server,
        prometheus(tmp_path, server, *NATIVE.flags, scrape=NATIVE.scrape) as client,
    ):
        until(lambda: query(client, f"histogram_count({ROUND_TRIPS}) == 0"))  # a rate begins with what was there before
        race(server, values)
        until(lambda: query(client, f"histogram_count({ROUND_TRIPS}) == {PINGS}"))
        for quantile in (0.5, 0.9, 0.99):
            told = answer(client, f"histogram_quantile({quantile}, rate({ROUND_TRIPS}[1m]))")
            true = sorted(values)[ceil(quantile * PINGS) - 1]
            assert 1 / BUCKET_WIDTH <= told / true <= BUCKET_WIDTH, (quantile, told, true)
        assert answer(client, f"histogram_sum({ROUND_TRIPS})") == pytest.approx(sum(values))
        assert answer(client, 'histogram_count(code_racer_judge_duration_seconds{outcome="accepted"})') == 1
        assert not query(client, f"{ROUND_TRIPS}_bucket"), (
            "it keeps one kind, unasked: why the setting is off by default"
        )
        assert query(client, QUANTILE)
        assert query(client, HISTOGRAMS_MISSING.expr)
        assert query(client, "code_racer_game_duration_seconds_bucket"), "which has no native histogram"


def test_without_the_setting_a_prometheus_that_takes_them_has_all_that_rules_ask_for(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path / "server") as server,
        prometheus(tmp_path, server, *NATIVE.flags, scrape=NATIVE.scrape) as client,
    ):
        race(server, [0.01])
        assert until(lambda: query(client, f'{ROUND_TRIPS}_bucket{{le="0.01"}} == 1'))
        assert not query(client, ROUND_TRIPS)
        assert not query(client, HISTOGRAMS_MISSING.expr)


def test_a_prometheus_that_takes_none_has_all_that_rules_ask_for(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path / "server", metrics_native_histograms="true") as server,
        prometheus(tmp_path, server) as client,
    ):
        race(server, [0.01])
        assert until(lambda: query(client, f'{ROUND_TRIPS}_bucket{{le="0.01"}} == 1'))
        assert not query(client, ROUND_TRIPS)
        assert not query(client, HISTOGRAMS_MISSING.expr)


def test_protobuf_comes_packed_and_by_its_head_too(tmp_path: Path) -> None:
    accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
    with ServerProcess(tmp_path, metrics_native_histograms="true") as server:
        for encoding in ("identity", "gzip"):
            headers = {"accept": accept, "accept-encoding": encoding}
            got = fetch.get(f"{server.http_url}/metrics", headers=headers)
            head = fetch.head(f"{server.http_url}/metrics", headers=headers)
            for one in (got, head):
                assert one.status_code == 200
                assert one.headers["content-type"].startswith("application/vnd.google.protobuf; proto=")
                assert one.headers.get("content-encoding", "identity") == encoding
            assert b"code_racer_ws_client_rtt_seconds" in got.content
            assert not head.content
