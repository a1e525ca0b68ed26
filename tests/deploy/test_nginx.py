"""The shipped nginx site, run by the real nginx with TLS before real processes."""

import json
import re
import socket
import ssl
import subprocess
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from app.web import pages
from code_racer_client import SyncGameWebSocket
from tests.deploy.machine import Machine
from tools.harness import fetch
from tools.harness.nginx import Site, nginx_program
from tools.harness.player import Player
from tools.harness.server import ROOT, UNLIMITED, until
from tools.harness.tokens import token

BOUND = "worker_shutdown_timeout 1s"
RELOADS = 3


def logged(machine: Machine) -> list[dict[str, Any]]:
    """The access log."""
    return [json.loads(line) for line in machine.site.log.read_text().splitlines()]


def note_seq(seqs: list[int], message: dict[str, Any]) -> None:
    """Keep an event's number."""
    seqs.append(message["seq"])


def reloaded(site: Site) -> set[int]:
    """The workers of before, once there are new ones."""
    before = site.workers
    site.reload()
    until(lambda: bool(site.workers - before))
    return before


def test_players_come_over_tls_however_they_bring_their_token(tmp_path: Path) -> None:
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 1)
        game = machine.new_game()
        assert machine.place(game, "header") == "a"
        assert machine.place(game, "", f"?token={token('query')}") == "a"
        protocols = ["code-racer.v1", f"bearer.{token('browser')}"]
        with machine.site.player(game, "", additional_headers={}, subprotocols=protocols) as player:
            assert player.until("welcome")["data"]["replica"] == "a"
            assert player.ws.subprotocol == "code-racer.v1"
        until(lambda: len(logged(machine)) >= 4)
        text = machine.site.log.read_text()
        assert text.count("eyJ") == 0, "a token is in the access log"
        handshakes = [line for line in logged(machine) if line["path"] == f"/ws/{game}"]
        assert [line["status"] for line in handshakes] == [101, 101, 101]
        assert {line["upstream"] for line in handshakes} == {machine.replicas["a"].host}
        moved = fetch.get(f"http://127.0.0.1:{machine.site.plain_port}/?a=1", headers={"host": "race.example.org"})
        assert (moved.status_code, moved.headers["location"]) == (308, "https://race.example.org/?a=1")
        assert "max-age" in machine.get("/").headers["strict-transport-security"]


def test_every_nginx_reads_the_site_without_a_warning(tmp_path: Path) -> None:
    """1.22 (Debian 12) and 1.26 (Debian 13) want HTTP/2 in different forms: the site has neither."""
    site = Site(tmp_path, ["127.0.0.1:1"])
    done = subprocess.run([nginx_program(), "-t", "-c", site.conf], capture_output=True, text=True, check=False)
    assert "test is successful" in done.stderr
    assert "[warn]" not in done.stderr
    (bound,) = re.findall(r"^worker_shutdown_timeout \w+;$", site.conf.read_text(), re.MULTILINE)
    assert bound in (ROOT / "deploy/compose.yaml").read_text(), "nginx's image has no folder for it"


def test_old_tls_is_refused(tmp_path: Path) -> None:
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 1)

        def version(most: ssl.TLSVersion) -> str | None:
            context = ssl.create_default_context(cafile=str(machine.site.certificates.ca))
            context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, most
            context.set_ciphers("ALL:@SECLEVEL=0")  # the client would; the server must not
            with (
                socket.create_connection(("127.0.0.1", machine.site.port)) as one,
                context.wrap_socket(one, server_hostname="localhost") as wrapped,
            ):
                return wrapped.version()

        assert (version(ssl.TLSVersion.TLSv1_3), version(ssl.TLSVersion.TLSv1_2)) == ("TLSv1.3", "TLSv1.2")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises(ssl.SSLError, match=r"(?i)version|alert"):
            version(ssl.TLSVersion.TLSv1_1)


ODD = r"""
    /METRICS /%6detrics /m%65trics/ /%256detrics /metrics.js /metrics/race.js /metrics/index.html /metrics\ \metrics
    /api/..\metrics /api/..;/metrics /api/..%252fmetrics /api/%2e%2e%5cmetrics /ws/..%5c..%5cmetrics /schema/..;/metrics
    http://localhost/metrics http://localhost//metrics/?x https://localhost/readyz/ * /.. /apimetrics /ws /api
    /schemametrics /.env /x/race.js
"""
DOORS = ODD.split() + [
    f"/{begin}{name}{end}"
    for name in ("metrics", "livez", "readyz", "startupz", "health", "version")
    for begin in ("", "/", "./", "x/../", "%2f", "api/../", "race.js/../", "ws/..%2f", "schema/%2e%2e/")
    for end in ("", "/", "//", "%2f", "/?verbose", "?verbose", "/.", "/x/..", "#x", ";x", "%00", "%20")
]
STATIC = sorted(pages.served())
ROOMS = ["/", "/?a=1", "/api/problems", "/api/../api/problems", "/schema", "/schema/", "/schema?x", "/schema/asyncapi"]


def test_what_the_game_needs_is_let_through_and_nothing_else(tmp_path: Path) -> None:
    """Probes and metrics are the service's own on the same port here: nginx alone stands before them."""
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 1)
        for path in ("metrics", "livez", "readyz", "startupz", "health", "version"):
            assert fetch.get(f"{machine.replicas['a'].http_url}/{path}").status_code == 200

        def answer(target: str) -> tuple[int, str]:
            plain = socket.create_connection(("127.0.0.1", machine.site.port), 20)
            with machine.site.trust.wrap_socket(plain, server_hostname="localhost") as one:
                one.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                head, _, body = b"".join(iter(lambda: one.recv(65536), b"")).decode("latin-1").partition("\r\n\r\n")
                return int(head.split(" ", 2)[1]), body

        passed = {target: told for target in DOORS if (told := answer(target))[0] not in {400, 404}}
        assert not passed
        told_of = {target: body for target in DOORS for _, body in [answer(target)] if "code_racer" in body}
        assert not told_of
        refused = {
            target: told[0] for target in [*ROOMS, *map("/{}".format, STATIC)] if (told := answer(target))[0] != 200
        }
        assert refused == {"/api/../api/problems": 404}, "the service takes paths as they are"
        assert machine.get(f"/ws/{machine.new_game()}").status_code == 401


def test_the_service_sees_the_players_address_and_not_what_they_claim(tmp_path: Path) -> None:
    """A load balancer before nginx tells whose connection it is; anybody else's word about that counts for nothing."""
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 1)
        game = machine.new_game()
        headers = {"Authorization": f"Bearer {token('liar')}", "X-Forwarded-For": "203.0.113.7"}
        with machine.site.player(game, "", additional_headers=headers) as player:
            player.until("welcome")
        assert machine.replicas["a"].wait_for_log("ws.opened")["client"] == "127.0.0.1"
        balanced = (ROOT / "deploy/nginx/real-ip.conf.example").read_text().replace("10.0.0.0/8", "127.0.0.0/8")
        behind = Site(tmp_path / "behind", [machine.replicas["a"].host], balanced)
        with behind, behind.player(game, "", additional_headers=headers) as player:
            player.until("welcome")
        assert machine.replicas["a"].wait_for_log("ws.opened", skip=1)["client"] == "203.0.113.7"


def test_a_game_has_one_process_and_another_when_that_is_gone(tmp_path: Path) -> None:
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 3, sweep_interval_s=0.5)
        games = [machine.new_game() for _ in range(12)]
        places: Counter[str] = Counter()
        for game in games:
            seen = {machine.place(game, name) for name in ("x", "y", "z")}
            assert len(seen) == 1, "the players of a game meet in one process"
            places[seen.pop()] += 1
        assert len(places) > 1, "not all games are in one process"
        place = machine.place(games[0], "x")
        with machine.site.player(games[0], token("x")) as player:
            machine.replicas[place].kill()
            assert player.until_closed()[0] == 1006
        assert machine.place(games[0], "x") != place
        tried = f"{machine.replicas[place].host}, "  # and passed by
        until(lambda: any(line["status"] == 101 and line["upstream"].startswith(tried) for line in logged(machine)))


def test_a_process_that_drains_is_passed_by(tmp_path: Path) -> None:
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 2, drain_delay_s=0, drain_spread_s=30)
        leaving = machine.replicas["a"]
        games = [machine.new_game() for _ in range(40)]
        there = [game for game in games if machine.place(game, "x") == "a"]
        for name in ("x", "y", "z"):
            stack.enter_context(Player(leaving, there[0], token(name)))
        leaving.signal_term()
        leaving.wait_for_log("app.drain_progressed", phase="closing")
        assert {machine.place(game, "w") for game in there} == {"b"}
        until(lambda: "503, 101" in {line["upstream_status"] for line in logged(machine)})


def test_a_reload_disturbs_nobody(tmp_path: Path) -> None:
    """Also while messages fly: those there stay with the old workers, whoever comes meets the new ones."""
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 1, **UNLIMITED)
        game = machine.new_game(min_players=10, max_players=10)
        players = [stack.enter_context(machine.site.player(game, token(f"p{number}"))) for number in range(4)]
        for player in players:
            player.until("player_joined", player_id="p3")
        old = machine.site.workers
        for number in range(200):
            if number % 50 == 20:
                machine.site.reload()
            players[0].send("ready", {"status": "ready" if number % 2 == 0 else "not_ready"})
            players[0].until("player_ready")
        until(lambda: not old >= machine.site.workers)
        with machine.site.player(game, token("late")) as late:
            late.until("welcome")
            for player in players:
                player.until("player_joined", player_id="late")
        seqs = [[event["seq"] for event in player.events] for player in players]
        assert all(one == list(range(one[0], one[0] + len(one))) for one in seqs)
        assert old <= machine.site.workers, "the old ones serve until their players leave"


def test_reloads_pile_up_no_workers_and_players_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old workers end after `worker_shutdown_timeout`, whoever is connected to them; nothing of the race is missed."""
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 1, **UNLIMITED)
        site = stack.enter_context(
            Site(tmp_path / "short", [machine.replicas["a"].host], **{"worker_shutdown_timeout 10m": BOUND})
        )
        monkeypatch.setenv("SSL_CERT_FILE", str(site.certificates.ca))
        game = machine.new_game(min_players=10, max_players=10)
        players = [SyncGameWebSocket(game, token(f"p{number}"), site.ws_url) for number in range(4)]
        seen: list[list[int]] = [[] for _ in players]
        for player, seqs in zip(players, seen, strict=True):
            player.on("player_ready", partial(note_seq, seqs))
            stack.enter_context(player)
        old: set[int] = set()
        for number in range(RELOADS):
            old |= reloaded(site)
            players[0].request("ready", {"status": "ready" if number % 2 == 0 else "not_ready"})
        until(lambda: not old & site.workers)
        until(lambda: all(player.metrics.reconnect_count and player.is_connected for player in players))
        last = players[0].request("ready", {"status": "not_ready"})
        until(lambda: all(last in seqs for seqs in seen))
        assert all(len(seqs) == len(set(seqs)) == RELOADS + 1 for seqs in seen), "each heard once, by everybody"


def test_a_quiet_connection_is_kept_by_pings_alone(tmp_path: Path) -> None:
    """Nginx closes what is silent for `proxy_read_timeout`; pings at a third of it keep a player there."""
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 1, ping_interval_s=0.7)
        changed = {"proxy_read_timeout 60s": "proxy_read_timeout 2s", "proxy_send_timeout 60s": "proxy_send_timeout 2s"}
        site = stack.enter_context(Site(tmp_path / "quick", [machine.replicas["a"].host], **changed))
        game = machine.new_game()
        with site.player(game, token("quiet")) as player:
            player.until("player_joined")
            pings = "ws_ping_rtt_seconds_count"
            before = machine.replicas["a"].metric(pings)
            until(lambda: machine.replicas["a"].metric(pings) >= before + 6)  # more than four seconds of silence
            player.send("ping", {"timestamp": 1})
            player.until("pong")


def test_a_slow_reader_is_closed_as_it_is_without_nginx(tmp_path: Path) -> None:
    """What nginx holds for it is bounded (proxy_buffer_size): the rest stays with the service, which acts."""
    with ExitStack() as stack:
        settings = {
            "outbox_max_bytes": 65_536,
            "ping_interval_s": 3_600,  # it reads no ping either
            **UNLIMITED,
            "max_players_per_game": 9,
            "max_events_per_game": 1_000_000,  # what the kernel holds for the slow one differs from run to run
        }
        machine = Machine(stack, tmp_path, 1, "", **settings)
        game = machine.new_game(min_players=9, max_players=9)
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        narrow.connect(("127.0.0.1", machine.site.port))
        slow = machine.site.player(game, token("slow"), sock=narrow)
        slow.until("player_joined", player_id="slow")
        other = stack.enter_context(Player(machine.replicas["a"], game, token("quick")))
        other.until("player_joined", player_id="quick")
        sent = 0
        while not machine.replicas["a"].logged("ws.closed", player_id="slow"):
            assert sent < 100_000, "the slow one was sent some twenty megabytes and is still there"
            batch = [{"type": "ready", "data": {"status": status}} for status in ("ready", "not_ready") * 25]
            other.send("batch", batch)
            for _ in batch:
                other.until("player_ready")
            sent += len(batch)
        assert machine.replicas["a"].logged("ws.closed", player_id="slow")[0]["reason"] == "slow_consumer"
        slow.ws.socket.close()


def test_one_address_does_not_take_all_of_nginx(tmp_path: Path) -> None:
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 1)
        changed = {"limit_conn code_racer_connections 400": "limit_conn code_racer_connections 3"}
        site = stack.enter_context(Site(tmp_path / "few", [machine.replicas["a"].host], **changed))
        game = machine.new_game()
        for number in range(3):
            stack.enter_context(site.player(game, token(f"p{number}"))).until("welcome")
        with pytest.raises(InvalidStatus) as refused:
            site.player(game, token("more"))
        assert refused.value.response.status_code == 429
        limit = (ROOT / "deploy/nginx/code-racer.conf").read_text()
        assert "burst=400" in limit
        answers = Counter(machine.get("/api/problems").status_code for _ in range(30))
        assert answers == {200: 30}, "players do not notice it"
