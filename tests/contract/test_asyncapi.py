"""The AsyncAPI document: valid by the official parser, complete, and true to the frames of real races."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from app.protocol import BATCH, CLIENT_TYPES, CLOSE_TABLE, SENT_TYPES
from tools.harness import fetch
from tools.harness.player import SOLUTION, WRONG, Player
from tools.harness.server import ROOT, ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"finished_linger_s": 30, "token_expiring_notice_s": 86_400, "reconnect_grace_s": 0.2}
    with ServerProcess(tmp_path_factory.mktemp("server"), **settings) as process:
        yield process


@pytest.fixture(scope="module")
def document(server: ServerProcess) -> dict[str, Any]:
    answer = fetch.get(f"{server.http_url}/schema/asyncapi")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/vnd.aai.asyncapi+json")
    return dict(answer.json())


@pytest.mark.node
def test_the_official_parser_takes_it(document: dict[str, Any]) -> None:
    node = ROOT / "tests/node"
    done = subprocess.run(
        ["node", "asyncapi.mjs"], cwd=node, input=json.dumps(document), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == str(len(CLIENT_TYPES) + 1 + len(SENT_TYPES))


@pytest.mark.node
def test_the_parser_would_notice(document: dict[str, Any]) -> None:
    broken = document | {"channels": {"game": {"address": 7}}}
    done = subprocess.run(
        ["node", "asyncapi.mjs"],
        cwd=ROOT / "tests/node",
        input=json.dumps(broken),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1


def test_it_lists_every_message_and_every_close(document: dict[str, Any]) -> None:
    messages = set(document["components"]["messages"])
    assert messages == {f"client_{name}" for name in (*CLIENT_TYPES, BATCH)} | set(SENT_TYPES)
    for row in CLOSE_TABLE:
        assert f"| {row.reason} |" in document["info"]["description"]


def validator(document: dict[str, Any], name: str) -> jsonschema.Draft202012Validator:
    payload = document["components"]["messages"][name]["payload"]
    return jsonschema.Draft202012Validator({**payload, "components": document["components"]})


def test_every_frame_of_real_races_fits_its_schema(server: ServerProcess, document: dict[str, Any]) -> None:
    frames = [*race(server), *countdown_cancelled_and_removed(server)]
    seen = {frame["type"] for frame in frames}
    assert seen == set(SENT_TYPES), f"not seen: {set(SENT_TYPES) - seen}"
    for frame in frames:
        validator(document, frame["type"]).validate(frame)
        validate_strictly(frame)


def validate_strictly(frame: dict[str, Any]) -> None:
    """Also no field that the types do not list."""
    import msgspec

    from app.protocol import SERVER_DATA

    msgspec.convert(frame["data"], SERVER_DATA[frame["type"]], strict=False)


def race(server: ServerProcess) -> list[dict[str, Any]]:
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    with Player(server, game_id, ann["token"], "?last_seq=0") as one:
        with Player(server, game_id, bob["token"]) as two:
            two.until("player_joined", player_id=bob["player_id"])
        one.until("player_left")
        with Player(server, game_id, bob["token"]) as two:
            one.send("ready", id="a")
            one.send("ping", {"timestamp": 1.5})
            one.send("batch", [{"type": "dance"}], id="b")
            one.until("ack", id="b")
            two.send("ready")
            one.until("game_started")
            two.until("game_started")
            two.send("progress", {"percent": 10, "lines": 3})
            one.until("player_progress")
            one.send("submit_code", {"code": WRONG})
            one.until("submission_result")
            with Player(server, game_id, bob["token"]):
                one.until("player_reconnected", player_id=bob["player_id"])
            one.send("submit_code", {"code": SOLUTION})
            one.until("game_finished")
            return one.received + two.received


def countdown_cancelled_and_removed(server: ServerProcess) -> list[dict[str, Any]]:
    with ServerProcess(server.folder / "slow", countdown_s=60) as slow:
        ann, bob = slow.guest("ann"), slow.guest("bob")
        game_id = slow.new_game(ann["token"])
        with Player(slow, game_id, ann["token"]) as one, Player(slow, game_id, bob["token"]) as two:
            two.until("player_joined", player_id=bob["player_id"])
            one.send("ready")
            two.send("ready")
            one.until("countdown_started")
            one.send("ready", {"status": "not_ready"})
            one.until("countdown_cancelled")
            url = f"{slow.http_url}/api/games/{game_id}/players/{bob['player_id']}"
            fetch.delete(url, headers={"authorization": f"Bearer {ann['token']}"})
            assert two.until_closed()[0] == 4403
            one.until("player_left", reason="removed")
            return one.received + two.received


def test_the_types_reject_what_they_do_not_list() -> None:
    with pytest.raises(Exception, match="unknown field"):
        validate_strictly({"type": "pong", "data": {"timestamp": 1, "server_time": 2, "more": 3}})


def test_the_document_is_served_with_the_address_that_clients_use(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, public_url="https://race.example.org") as server:
        here = fetch.get(f"{server.http_url}/schema/asyncapi").json()["servers"]["here"]
        assert (here["host"], here["protocol"]) == ("race.example.org", "wss")
