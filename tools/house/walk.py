"""The walk of a submitted message: through which files of `app/` it goes; what counts stands in `tools.house`."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tools.harness.player import Player
from tools.harness.server import ServerProcess

MARK: Final = "walk-7f3a91c4"
STEPS: Final = "walk.json"


def walk(root: Path) -> dict[str, list[str]]:
    """The files of the tree under `root` in the order of the walk, each with the functions that are handed it."""
    with TemporaryDirectory() as folder:
        server = ServerProcess(
            Path(folder),
            "tools.house.walked",
            event_log_url="memory:",
            walk_root=root.resolve(),
            walk_mark=MARK,
        )
        with server:
            _submit(server)
        steps: dict[str, list[str]] = {}
        for file, function in json.loads((Path(folder) / STEPS).read_text("utf-8")):
            steps.setdefault(file, []).append(function)
        return steps


def _submit(server: ServerProcess) -> None:
    tokens = [server.guest(name)["token"] for name in ("Ann", "Ben")]
    game_id = server.new_game(tokens[0])
    with Player(server, game_id, tokens[0]) as ann, Player(server, game_id, tokens[1]) as ben:
        players = (ann, ben)
        for player in players:
            player.until("welcome")
        for player in players:
            player.send("ready", {"status": "ready"})
        for player in players:
            player.until("game_started")
        ann.send("submit_code", {"code": f"print(1)  # {MARK}", "language": "python"}, id=MARK)
        ann.until("ack", id=MARK)
        ann.until("submission_result")
        ben.until("submission_judged")
