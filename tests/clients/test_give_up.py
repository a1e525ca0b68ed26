"""Both clients go on for longer than any race can last, whatever the server lets players wish and is set to."""

import inspect
import re

import msgspec

from app.settings.game import GameSettings
from app.web.api import NewGame
from code_racer_client import GameWebSocket
from tools.harness.server import ROOT


def _longest_race_s() -> float:
    """From the last countdown's begin to the close after the end: a player who is away then has missed nothing."""
    (_, parts) = msgspec.json.schema_components([NewGame])
    time_limit_s: int = parts["NewGame"]["properties"]["time_limit_s"]["maximum"]
    fields = GameSettings.model_json_schema()["properties"]
    rest = ("judge_grace_s", "finished_linger_s", "reconnect_grace_s")
    return float(time_limit_s + fields["countdown_s"]["maximum"] + sum(fields[name]["default"] for name in rest))


def test_by_default_neither_gives_up_while_a_race_may_run() -> None:
    assert _longest_race_s() > 7_200
    python_s = inspect.signature(GameWebSocket).parameters["give_up_after_s"].default
    source = (ROOT / "clients/javascript/client.js").read_text("utf-8")
    (javascript_ms,) = re.findall(r"^  giveUpAfterMs: ([\d_]+),$", source, re.MULTILINE)
    assert python_s == int(javascript_ms) / 1000
    assert python_s > _longest_race_s()
