"""The bundle has what a ticket needs of every replica, and no secret, token or code, whatever players send."""

import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from app.operator.bundle import OF_ALL, OF_EACH
from tools.harness import fetch
from tools.harness.console import OPS_TOKEN, Console, running_pair
from tools.harness.player import SOLUTION, Player
from tools.harness.server import SECRET
from tools.harness.tokens import token

TICKET_SECRET = "4c1d9f7e2b6a8035" * 4
OF_THE_CODE = "a_name_in_ann_s_code"
SAID = "said_in_a_message_that_is_none"
CODE = f"{SOLUTION}\n{OF_THE_CODE} = 1\n"


def read(archive: Path) -> dict[str, str]:
    """The files of an archive, by their paths below its folder."""
    with tarfile.open(archive) as opened:
        members = {member.name.partition("/")[2]: opened.extractfile(member) for member in opened.getmembers()}
        return {name: file.read().decode() for name, file in members.items() if file is not None}


def test_it_has_what_every_replica_tells_and_nothing_that_is_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ann, bob, forged = token("ann"), token("bob"), token("eve", secret="f" * 64)
    with running_pair(tmp_path, ticket_secret=TICKET_SECRET) as pair:
        game = pair.one.new_game(ann)
        ticket = _ticket(pair.one.http_url, ann)
        with Player(pair.one, game, ann) as a, Player(pair.two, game, bob) as b:
            a.send("ready")
            b.send("ready")
            a.until("game_started")
            b.until("game_started")
            a.send("submit_code", {"code": CODE})
            a.until("submission_result")
            b.send(SAID, {"token": bob, "code": CODE})
            b.until("error")
            with pytest.raises(InvalidStatus), Player(pair.two, game, forged, f"?token={forged}"):
                pass
            with pytest.raises(InvalidStatus), Player(pair.two, "no-game", ann, f"?ticket={ticket}&token={ann}"):
                pass
            archive = tmp_path / "bundle.tar.gz"
            assert Console(capsys, pair.urls[0]).text("bundle", "--to", str(archive)) == f"{archive}\n"
        files = read(archive)
        assert {name for name in files if "/" not in name} == {"about.json", *OF_ALL}
        folders = {name.partition("/")[0] for name in files if "/" in name}
        assert folders == {"one", "two"}
        assert {name for name in files if "/" in name} == {f"{one}/{file}" for one in folders for file in OF_EACH}
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600
        everything = "\n".join(files.values())
        for found in ("ann", game, "ws.opened", "message.rejected", "code_racer_build_info", "JWT_SECRET"):
            assert found in everything
        for secret in (OPS_TOKEN, SECRET, TICKET_SECRET, ann, bob, forged, ticket, OF_THE_CODE, SAID):
            assert [name for name, text in files.items() if secret in text] == [], secret
        assert [name for name, text in files.items() if "eyJ" in text] == [], "what begins as a token does"


def _ticket(url: str, player: str) -> str:
    answer: Any = fetch.post(f"{url}/api/tickets", headers={"authorization": f"Bearer {player}"}).json()
    return str(answer["ticket"])
