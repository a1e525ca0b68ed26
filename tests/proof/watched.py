"""A server that tells all of races, to the shipped collector, and what it tells."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from websockets.exceptions import InvalidStatus

from tests.proof.backends import ShippedCollector, VictoriaLogs
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ServerProcess, until

QUEUE: Final = 512
"""So many spans wait, at most."""
FILE_BYTES: Final = 16_000


class Stage:
    """A server that tells all, and what stands behind it."""

    def __init__(self, folder: Path, stack: ExitStack, traces_to: str) -> None:
        logs = folder / "logs"
        logs.mkdir()
        self.file = logs / "racer-1.log"
        self.store = stack.enter_context(VictoriaLogs(folder).running())
        self.collector = stack.enter_context(ShippedCollector(folder, logs, traces_to, self.store.address).running())
        self.server = stack.enter_context(
            traced(folder / "server", self.collector.url, log_file=self.file, log_file_max_bytes=FILE_BYTES)
        )

    def race(self) -> None:
        """A race of two, with a wrong message and a refusal."""
        ann, bob = self.server.guest("ann"), self.server.guest("bob")
        game_id = self.server.new_game(ann["token"], min_players=2)
        with Player(self.server, game_id, ann["token"]) as one, Player(self.server, game_id, bob["token"]) as two:
            two.until("player_joined", player_id=bob["player_id"])
            one.ws.send("nonsense")
            one.until("error")
            one.send("ready")
            two.send("ready")
            one.until("game_started")
            one.send("submit_code", {"code": SOLUTION})
            one.until("game_finished")
            two.until("game_finished")
        try:
            Player(self.server, game_id, "nonsense")
        except InvalidStatus:
            return
        raise AssertionError("a false token was let in")

    def settle(self) -> dict[str, float]:
        """Wait until all that happened is written; what the server counts of it."""
        until(lambda: self.server.metric("ws_connections") == 0)
        self.server.until_all_is_logged()
        return self.server.metrics()

    def written(self) -> list[str]:
        """The lines that the server has written: to its file, and here too."""
        return list(self.server.lines)

    def arrived(self) -> list[dict[str, Any]]:
        """All lines, once as many have arrived as are written."""
        until(lambda: len(self.store.lines("* | fields _time")) >= len(self.written()))
        return self.store.lines()


@contextmanager
def traced(folder: Path, collector: str, **settings: object) -> Iterator[ServerProcess]:
    """A server that sends every span to a collector, soon, and lets few wait."""
    wanted: dict[str, object] = {
        "otel_traces_sampler": "always_on",
        "otel_exporter_otlp_endpoint": collector,
        "otel_exporter_otlp_timeout": 2,
        "otel_bsp_schedule_delay": 50,
        "otel_bsp_max_queue_size": QUEUE,
        "trace_flush_timeout_s": 1,
        "log_repeats_per_s": 10_000,
        "ping_interval_s": 0.5,
        "messages_per_second": 0,
        "bytes_per_second": 0,
        **settings,
    }
    with ServerProcess(folder, **wanted) as server:
        yield server
