"""From a bucket of a latency to a trace: examples read back from a real Prometheus are spans that a collector has."""

from pathlib import Path
from typing import Any

from tools.harness import fetch
from tools.harness.collector import Collector
from tools.harness.player import SOLUTION, Player
from tools.harness.prometheus import prometheus
from tools.harness.server import ServerProcess, until

NAMES = {
    "ws_message_duration_seconds": {"game.submit_code", "game.ready", "game.ping"},
    "event_log_append_seconds": {"event_log.append"},
    "event_delivery_seconds": {"game.fan_out"},
    "judge_duration_seconds": {"judge.submission"},
    "ws_handshake_duration_seconds": {"ws.handshake"},
}


def play(server: ServerProcess) -> None:
    ann = server.guest("ann")
    with Player(server, server.new_game(ann["token"], min_players=1), ann["token"]) as player:
        player.send("ping", {"timestamp": 1})
        player.send("ready")
        player.until("game_started")
        player.send("submit_code", {"code": SOLUTION})
        player.until("game_finished")


def test_examples_lead_to_traces(tmp_path: Path) -> None:
    with (
        Collector() as collector,
        ServerProcess(tmp_path / "server", otel_traces_sampler="always_on", **collector.settings) as server,
        prometheus(tmp_path, server, "--enable-feature=exemplar-storage") as client,
    ):

        def examples(name: str) -> list[dict[str, Any]]:
            query = {"query": f"code_racer_{name}_bucket", "start": "0", "end": "9999999999"}
            series = client.get("/api/v1/query_exemplars", params=query).json()["data"]
            return [one | {"series": each["seriesLabels"]} for each in series for one in each["exemplars"]]

        play(server)
        for name, spans in NAMES.items():
            until(lambda: examples(name))  # noqa: B023 - asked at once
            for one in examples(name):
                trace_id = one["labels"]["trace_id"]
                collector.wait(lambda seen: any(span.trace_id == trace_id for span in seen))  # noqa: B023 - the same
                assert spans & {span.name for span in collector.spans if span.trace_id == trace_id}
                assert float(one["value"]) <= float(one["series"]["le"])


def test_nothing_has_examples_without_traces_and_the_plain_format_never_has(tmp_path: Path) -> None:

    openmetrics = {"accept": "application/openmetrics-text; version=1.0.0"}
    with Collector() as collector:
        for settings, expected in (({}, False), (collector.settings | {"otel_traces_sampler": "always_on"}, True)):
            with ServerProcess(tmp_path / str(expected), **settings) as server:
                play(server)
                url = f"{server.http_url}/metrics"
                assert ("# {trace_id=" in fetch.get(url, headers=openmetrics).text) is expected
                assert "trace_id" not in fetch.get(url).text
