"""Secrets in files: others take their place at SIGHUP, and nobody is cut."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import nkeys
import pytest

from tools.harness import fetch
from tools.harness.nats import Nats
from tools.harness.player import Player
from tools.harness.server import ServerProcess
from tools.harness.tokens import token

OLD, NEW = "the key that was in use until now: 0123456789", "the key that is in use from now on: 9876543210"

BAD = ((b"short", "is 5 bytes long"), (None, "cannot read"), (b"\xff" * 40, "it is no text"), (b"", "is empty"))
"""What a file of a secret may be instead of one (None: there is no file), and what is said of it."""
PRINT = re.compile(r'code_racer_secret_info{fingerprint="(?P<fingerprint>\w+)",name="(?P<name>\w+)"}')


@pytest.fixture(autouse=True)
def off_terminal() -> Iterator[None]:
    """On a terminal SIGHUP ends the server, but for where it is ignored when that starts (nohup)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


def is_taken(server: ServerProcess, shown: str) -> bool:
    """Whether a token makes a ticket."""
    headers = {"Authorization": f"Bearer {shown}"}
    return fetch.post(f"{server.http_url}/api/tickets", headers=headers).status_code == 201


def test_secrets_are_replaced_by_sighup_and_nobody_is_cut(tmp_path: Path) -> None:
    current, previous = tmp_path / "secret", tmp_path / "previous"
    current.write_text(f"{OLD}\n")
    previous.touch()
    files = {"jwt_secret": "", "jwt_secret_file": current, "jwt_previous_secret_file": previous}
    with ServerProcess(tmp_path / "server", **files) as server:
        with Player(server, server.new_game(token("ann", secret=OLD)), token("ann", secret=OLD)) as player:
            player.until("welcome")
            shown = fingerprints(server)
            current.write_text(f"{NEW}\n")
            previous.write_text(f"{OLD}\n")
            assert not is_taken(server, token("ann", secret=NEW)), "a file alone changes nothing"
            os.kill(server.pid, signal.SIGHUP)
            assert server.wait_for_log("secrets.loaded")["changed"] == ["JWT_SECRET", "JWT_PREVIOUS_SECRET"]
            assert [is_taken(server, token("ann", secret=one)) for one in (NEW, OLD)] == [True, True]
            now = fingerprints(server)
            assert now["JWT_PREVIOUS_SECRET"] == shown["JWT_SECRET"] != now["JWT_SECRET"]
            assert is_taken(server, server.guest("bob")["token"])
            previous.write_text("")
            for bad, said in BAD:
                seen = len(server.logged("secrets.refused"))
                current.unlink(missing_ok=True)
                if bad is not None:
                    current.write_bytes(bad)
                os.kill(server.pid, signal.SIGHUP)
                assert said in server.wait_for_log("secrets.refused", skip=seen)["error"]
                assert [is_taken(server, token("ann", secret=one)) for one in (NEW, OLD)] == [True, True]
            current.write_text(NEW)
            os.kill(server.pid, signal.SIGHUP)
            assert server.wait_for_log("secrets.loaded", skip=1)["changed"] == ["JWT_PREVIOUS_SECRET"]
            assert [is_taken(server, token("ann", secret=one)) for one in (NEW, OLD)] == [True, False]
            player.send("ready", {"status": "ready"})
            player.until("player_ready")
        assert [server.metric("secret_loads_total", outcome=outcome) for outcome in ("loaded", "refused")] == [
            2,
            len(BAD),
        ]


def fingerprints(server: ServerProcess) -> dict[str, str]:
    """Those of the secrets, as the metrics show them."""
    shown = (PRINT.match(sample) for sample in server.metrics())
    return {match["name"]: match["fingerprint"] for match in shown if match}


def test_new_credentials_of_nats_are_shown_where_it_is_connected_to_anew(tmp_path: Path) -> None:
    """The old ones go on until then; a file of no use changes nothing."""
    keys = [nkeys.from_seed(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)) for _ in range(2)]
    seeds = [bytes(key.seed).decode() for key in keys]
    users = [f"{{ nkey: {key.public_key.decode()} }}" for key in keys]
    file = tmp_path / "app.nk"
    file.write_text(seeds[0])
    allowed = "authorization {{ users: [ {} ] }}"
    with Nats(tmp_path / "nats", more=allowed.format(users[0])) as nats:
        who = {"event_log_url": nats.url, "nats_nkey_seed_file": file}
        with ServerProcess(tmp_path / "server", **who) as server:
            server.until_ready()
            file.write_text("no seed")
            os.kill(server.pid, signal.SIGHUP)
            assert "holds no seed of a user" in server.wait_for_log("secrets.refused")["error"]
            come_back(nats, server, allowed.format(users[0]), 0)
            file.write_text(seeds[1])
            os.kill(server.pid, signal.SIGHUP)
            assert server.wait_for_log("secrets.loaded")["changed"] == []
            come_back(nats, server, allowed.format(users[1]), 1)
            server.new_game(token("ann"))


def come_back(nats: Nats, server: ServerProcess, allowed: str, times: int) -> None:
    """NATS goes, and comes back with other users allowed; that was so `times` before."""
    nats.nodes[0].stop()
    server.wait_for_log("event_log.lost", skip=times)
    nats.configure(more=allowed)
    nats.nodes[0].start()
    server.wait_for_log("event_log.restored", skip=times)
