"""Which programs connect: releases that the configuration knows, else a class of user agent, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from app import __version__
from app.canary import PLAYERS
from app.settings import SettingsError, load_settings
from app.vocabulary import ClientClass
from tools.harness import fetch
from tools.harness.canary import canary
from tools.harness.server import ROOT, ServerProcess
from tools.harness.tokens import token

SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"
KNOWN = "race-web/1.4.0"


def counted(server: ServerProcess, family: str, **labels: str) -> dict[str, float]:
    """What is not 0 of a family, by client."""
    families = text_string_to_metric_families(fetch.get(f"{server.http_url}/metrics").text)
    samples = [sample for one in families for sample in one.samples if sample.name == f"code_racer_{family}"]
    return {one.labels["client"]: one.value for one in samples if one.value and labels.items() <= one.labels.items()}


def come(server: ServerProcess, game: str, name: str, query: str = "", agent: str | None = None, bad: int = 0) -> None:
    url = f"{server.ws_url}/ws/{game}{query}"
    headers = {"Authorization": f"Bearer {token(name)}"}
    with connect(url, additional_headers=headers, user_agent_header=agent, proxy=None) as ws:
        ws.recv()
        for _ in range(bad):
            ws.send('{"type":"no such thing","data":{}}')
            while '"error"' not in str(ws.recv()):
                pass


def test_clients_are_counted_by_release_and_kind_and_errors_to_the_unit(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, client_releases=f"{KNOWN},race-ios/9", max_invalid_messages_per_minute=100) as server:
        game = server.new_game(token("host"), max_players=20)
        come(server, game, "ann", f"?client={KNOWN}", SAFARI, bad=3)
        come(server, game, "ann", "?client=race-web/6.6.6", SAFARI, bad=1)
        come(server, game, "bob", "?client=%0d%0a%22%7d", "Go-http-client/1.1")
        come(server, game, "bob", agent="Python/3.11 websockets/16")
        come(server, game, "bob")
        come(server, game, "bob", "?client=code-racer-canary/0.0.1", SAFARI)
        for number in range(50):
            come(server, game, f"p{number % 10}", f"?client=made-up/{number}", f"made-up/{number}")
        for _ in range(56):
            server.wait_for_log("ws.closed", skip=_)
        expected = {KNOWN: 1, "browser": 1, "go": 1, "python": 1, "none": 1, "canary": 1, "other": 50}
        assert counted(server, "ws_client_connections_total") == expected
        ended = [
            counted(server, "ws_client_closes_total", kind=kind) for kind in ("early", "client", "server", "network")
        ]
        assert {client: sum(one.get(client, 0) for one in ended) for client in expected} == expected
        assert counted(server, "ws_client_errors_total") == {KNOWN: 3, "browser": 1}
        closed = server.logged("ws.closed")
        assert [one["release"] for one in closed[:2]] == [KNOWN, "browser"]
        assert {one["release"] for one in closed} <= {KNOWN, *ClientClass}


def test_a_canary_is_told_from_clients_that_come_and_go(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, canary(server.http_url, "--every-s", "60"):
        for _ in range(PLAYERS):
            server.wait_for_log("ws.closed", skip=_)
        assert counted(server, "ws_client_connections_total") == {"canary": PLAYERS}


def test_bots_are_told_from_players(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        bots = [sys.executable, "-m", "app.client", "--url", server.http_url, "--quiet"]
        subprocess.run(bots, cwd=ROOT, check=True, capture_output=True)
        assert counted(server, "ws_client_connections_total") == {f"code-racer-bot/{__version__}": 2}


@pytest.mark.parametrize("wrong", ["race-web", "a/b/c", "race web/1", "x" * 63 + "/1"])
def test_a_release_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("CLIENT_RELEASES", f"race-web/1, {wrong}")
    with pytest.raises(SettingsError, match=r"CLIENT_RELEASES.*name/version"):
        load_settings()
