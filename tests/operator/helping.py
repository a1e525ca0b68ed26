"""What helps each of those who say that it does not work: the commands of docs/console.md's drill, and their effect."""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

from app.settings import Settings, secret_fingerprints
from app.vocabulary import SpanName
from tests.operator.scene import HEIDI, SAMPLED, Scene, only
from tools.harness.collector import CollectedSpan
from tools.harness.command import answered
from tools.harness.console import Console
from tools.harness.player import Player
from tools.harness.prometheus import prometheus
from tools.harness.server import SECRET, free_port, until
from tools.harness.tokens import token


class Desk:
    """Where an operator sits who has found a row of the drill: types its commands; `left` are those not typed yet."""

    def __init__(self, scene: Scene, console: Console, row: list[str]) -> None:
        self.scene = scene
        self.console = console
        self.left = re.findall(r"`code-racer ([^`]+)`", " ".join(row))

    def typed(self, command: str, **values: str) -> list[str]:
        """The words of one of its commands, with the values in the place of its examples."""
        (found,) = (one for one in self.left if one.split()[0] == command)
        self.left.remove(found)
        return [values.get(word, word) for word in shlex.split(found)]

    def text(self, command: str, **values: str) -> str:
        """What one of its commands prints, where all went well."""
        return self.console.text(*self.typed(command, **values))

    def ask(self, command: str, **values: str) -> Any:
        """The same for programs."""
        return self.console.ask(*self.typed(command, **values))


def she_is_let_in_again(desk: Desk, player: str) -> None:
    assert not desk.scene.comes_in(player)
    desk.text("unban", ann=player)
    until(lambda: desk.scene.comes_in(player))


def she_comes_in(desk: Desk, player: str) -> None:
    """With a token of now; or by herself."""
    assert desk.scene.comes_in(player)


def whose_secret_it_is_is_found(desk: Desk, _: str) -> None:
    """The replicas' fingerprints are alike. The doctor, with the signer's secret: all have another; with ours: none."""
    told = desk.ask("settings")
    shown = {name: only(one["rows"], name="JWT_SECRET")["value"] for name, one in told.items()}
    ours, signers = (
        secret_fingerprints(Settings(_env_file=None, jwt_secret=secret))["JWT_SECRET"] for secret in (SECRET, "f" * 64)
    )
    assert shown == {"one": ours, "two": ours}
    assert signers != ours
    with prometheus(desk.scene.folder / "prometheus", desk.scene.pair.urls[1].removeprefix("http://")) as client:
        typed = desk.typed("doctor", **{"http://prometheus:9090": str(client.base_url)})
        log = desk.scene.pair.two.settings["EVENT_LOG_URL"]
        for secret, expected in ((SECRET, []), ("f" * 64, ["wrong_secret"])):
            said = answered(*typed, "--json", EVENT_LOG_URL=log, JWT_SECRET=secret)[1]
            assert [finding["cause"] for finding in json.loads(said)["findings"]] == expected, said


def she_closes_the_other_window(desk: Desk, player: str) -> None:
    desk.scene.carol.ws.close()
    until(lambda: not desk.console.ask("connections", "--player", player)["rows"])
    with Player(desk.scene.pair.two, desk.scene.carols_game, token(player)) as window:
        window.until("welcome")
    ends = desk.console.ask("closes", "--player", player)["rows"]
    assert sum(row["reason"] == "replaced" for row in ends) == 1, "that of before"


def who_put_her_out_is_found(desk: Desk, player: str) -> None:
    events = desk.ask("game", GAME=desk.scene.open_game)["events"]
    assert only(events, type="player_left", player_id=player)
    with Player(desk.scene.pair.one, desk.scene.open_game, token("tim")) as tim:
        tim.until("welcome")
        desk.console.text("remove", "tim", "--game", desk.scene.open_game, "--reason", "he swears")
        assert tim.until_closed()[0] == 4403
    acts = desk.ask("changes")["rows"]
    assert only(acts, subject="tim")["reason"] == "he swears"
    assert not [act for act in acts if act["subject"] == player], "the host has"


def all_that_she_sends_is_traced(desk: Desk, player: str) -> None:
    (connection,) = desk.console.ask("connections", "--player", player)["rows"]
    collector, mine = desk.scene.collector, {"connection.id": connection["connection_id"]}

    def traced(spans: list[CollectedSpan]) -> bool:
        hers = [span for span in spans if mine.items() <= span.attributes.items()]
        return any(span.trace_id != SAMPLED and span.name != SpanName.HANDSHAKE for span in hers)

    assert not traced(collector.spans)
    desk.text("trace", ID=connection["connection_id"])
    desk.scene.ann.send("nonsense")
    desk.scene.ann.until("error")
    collector.wait(traced)


def the_game_says_what_came_last(desk: Desk, _: str) -> None:
    told = desk.ask("game", GAME=desk.scene.open_game)
    assert told["game"]["phase"] == "waiting"
    assert only(told["events"], type="player_joined", player_id=HEIDI)


def whether_others_reach_it_is_found(desk: Desk, _: str) -> None:
    assert only(desk.ask("players", PART="heid")["rows"], player_id=HEIDI)
    typed = desk.typed("canary", **{"https://race.example.org": "URL"})
    nowhere = f"http://127.0.0.1:{free_port()}"
    for url, expected in ((desk.scene.pair.one.http_url, (0, "canary.raced")), (nowhere, (1, "canary.failed"))):
        code, said = answered(*(url if word == "URL" else word for word in typed), LOG_FILE="", JWT_SECRET=SECRET)
        assert (code, json.loads(said.splitlines()[-1])["event"]) == expected


HELPS: dict[str, Callable[[Desk, str], None]] = {
    "a ban": she_is_let_in_again,
    "a refusal, `unauthorized`, and its detail speaks of expiry": she_comes_in,
    "a refusal, `unauthorized`, and its detail speaks of the signature": whose_secret_it_is_is_found,
    "a close, `replaced`": she_closes_the_other_window,
    "a close, `slow_consumer`": she_comes_in,
    "a close, `connection_lost` or `ping_timeout`": she_comes_in,
    "a close, `forbidden`": who_put_her_out_is_found,
    "a connection, with errors": all_that_she_sends_is_traced,
    "a connection that is well": the_game_says_what_came_last,
    "nothing at all": whether_others_reach_it_is_found,
}
"""By the trouble."""
