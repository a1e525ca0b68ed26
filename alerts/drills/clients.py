"""Drills of what clients do, counted by clients."""

import itertools
from collections.abc import Generator
from typing import Final

from alerts.drills.drill import Drill
from alerts.drills.stage import NAMES, Stage
from alerts.model import Severity

_RUBBISH_EVERY: Final = 20


def _some_send_rubbish(stage: Stage) -> Generator[None, None, None]:
    with stage.serve():
        yield
        game_id = stage.new_game()
        numbers = itertools.count(1)

        def come() -> None:
            number = next(numbers)
            name = f"ann-{number % NAMES}"
            if number % _RUBBISH_EVERY:
                stage.come_and_go(name)
            else:
                with stage.player(game_id, name) as ann:
                    ann.send("of-another-release")
                    ann.until("error", code="unknown_type")

        with stage.again(come, per_s=60):
            yield
        yield


def _limit_too_low(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server:
        yield
        server.settings |= {"COMMANDS_PER_SECOND": "0.05", "COMMAND_BURST": "1"}
        server.stop()
        server.start()
        game_id = stage.new_game()
        numbers = itertools.count()

        def play() -> None:
            with stage.player(game_id, f"ann-{next(numbers)}") as ann:
                for status in ("not_ready", "ready"):  # the second is refused, so that no race begins
                    ann.send("ready", {"status": status})
                ann.until("error", code="rate_limited")
                ann.send("ping", {"timestamp": 1})
                ann.until("pong")

        with stage.again(play, per_s=6):
            yield
        del server.settings["COMMANDS_PER_SECOND"], server.settings["COMMAND_BURST"]
        server.stop()
        server.start()
        yield


DRILLS: Final = (
    Drill(
        "CodeRacerClientsMisunderstood",
        Severity.WARNING,
        "one client in twenty sends a message that the server does not know",
        _some_send_rubbish,
        "Clients in trouble",
        "message.rejected",
        {"code": "unknown_type"},
    ),
    Drill(
        "CodeRacerPlayersLimited",
        Severity.CRITICAL,
        "a start with a limit that each player exceeds",
        _limit_too_low,
        "Clients in trouble",
        "message.rejected",
        {"code": "rate_limited"},
    ),
)
