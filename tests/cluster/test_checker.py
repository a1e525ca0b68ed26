"""The checker finds what it is there to find: planted losses, repeats and the like."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.checker import BOTS, LOG, main, violations

EVENTS: list[dict[str, Any]] = [
    {"seq": 1, "type": "game_created"},
    {"seq": 2, "type": "player_joined", "player_id": "ann"},
    {"seq": 3, "type": "player_ready", "player_id": "ann", "cause": "m1"},
    {"seq": 4, "type": "game_started"},
    {"seq": 5, "type": "code_submitted", "player_id": "ann", "attempt": 1, "cause": "m2"},
    {"seq": 6, "type": "submission_judged", "player_id": "ann", "attempt": 1},
    {"seq": 7, "type": "game_finished", "winner": "ann"},
]
GAME = {"game": "g", "events": EVENTS}
BOT = {
    "bot": "b1",
    "player": "ann",
    "game": "g",
    "events": [[event["seq"], event["type"]] for event in EVENTS],
    "acks": [["m1", 3], ["m2", 5], ["ping", None]],
}
Plant = Callable[[list[dict[str, Any]], dict[str, Any]], object]


def again(log: list[dict[str, Any]], at: int) -> None:
    """The event at a place happens a second time at the end, before the game's."""
    log.insert(-1, {**log[at], "seq": len(log)})
    log[-1]["seq"] = len(log)


PLANTS: dict[str, Plant] = {
    "an event is lost in the log": lambda log, _: log.pop(2),
    "an event is twice in the log": lambda log, _: log.insert(3, log[2]),
    "a bot misses an event": lambda _, bot: bot["events"].pop(3),
    "a bot misses the last event": lambda _, bot: bot["events"].pop(),
    "a bot sees an event twice": lambda _, bot: bot["events"].insert(3, bot["events"][3]),
    "a bot sees two events the wrong way round": lambda _, bot: bot["events"].insert(2, bot["events"].pop(3)),
    "a bot sees another event": lambda _, bot: bot["events"].__setitem__(3, [4, "game_finished"]),
    "what was acknowledged is not there": lambda _, bot: bot["acks"].append(["m3", 4]),
    "what was acknowledged is elsewhere": lambda _, bot: bot["acks"].__setitem__(0, ["m1", 4]),
    "a message is applied twice": lambda log, _: again(log, 2),
    "a submission is judged twice": lambda log, _: again(log, 5),
    "a submission is never judged": lambda log, _: log.pop(5),
    "the game never ends": lambda log, _: log.pop(),
    "the game ends twice": lambda log, _: log.append({**log[-1], "seq": 8}),
    "nobody wins": lambda log, _: log[-1].update(winner=None),
    "a player leaves who was not there": lambda log, _: log.insert(
        -1, {"seq": 7, "type": "player_left", "player_id": "bob"}
    ),
}


def test_a_history_that_keeps_every_promise_passes() -> None:
    assert violations([GAME], [BOT]) == []


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found(name: str) -> None:
    game, bot = copy.deepcopy(GAME), copy.deepcopy(BOT)
    PLANTS[name](game["events"], bot)  # type: ignore[arg-type] # the events are a list
    assert violations([game], [bot]), name


def test_the_program_says_so_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / LOG).write_text(json.dumps(GAME) + "\n")
    (tmp_path / BOTS).write_text(json.dumps(BOT) + "\n")
    assert main([str(tmp_path)]) == 0
    assert "1 games, 1 bots, 7 events" in capsys.readouterr().out
    bot = copy.deepcopy(BOT)
    bot["events"].pop(3)  # type: ignore[attr-defined] # the events are a list
    (tmp_path / BOTS).write_text(json.dumps(bot) + "\n")
    assert main([str(tmp_path)]) == 1
    assert "b1: did not see 1..N: 5 in place of 4" in capsys.readouterr().out
