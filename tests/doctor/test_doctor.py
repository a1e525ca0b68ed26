"""The doctor names the culprit: each cause with the real fault, on real servers, NATS, nginx and Prometheus."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nats as nats_client
import pytest
from websockets.exceptions import InvalidStatus

from tools.harness import fetch, small_disk
from tools.harness.command import answered
from tools.harness.nats import Nats
from tools.harness.nginx import Nginx, Site
from tools.harness.player import Player
from tools.harness.processes import children
from tools.harness.prometheus import prometheus
from tools.harness.proxy import TcpProxy
from tools.harness.server import ROOT, SECRET, ServerProcess, free_port, until
from tools.harness.tokens import token

Report = dict[str, Any]
ENDLESS = "def solve(numbers, limit):\n    while True:\n        pass\n"


def doctor(*options: str, **environment: str) -> tuple[int, Report]:
    """What it says, for programs, and its exit code."""
    code, said = answered("doctor", "--json", *options, **{"EVENT_LOG_URL": "memory:", **environment})
    return code, json.loads(said)


def replicas(*servers: ServerProcess) -> list[str]:
    """Options that name them."""
    return [part for one in servers for part in ("--replica", one.http_url)]


def first(report: Report) -> tuple[str, str]:
    """The most likely cause, and whose it is."""
    return report["findings"][0]["cause"], report["findings"][0]["culprit"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Nats]:
    """A NATS server of the test's own."""
    with Nats(tmp_path / "nats") as one:
        yield one


@contextlib.contextmanager
def two(
    folder: Path,
    log_url: str,
    first_module: str = "app",
    /,
    second: Mapping[str, object] | None = None,
    **settings: object,
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two replicas that know each other."""
    own: dict[str, object] = {"event_log_url": log_url, "replica_ttl_s": 2, **settings}
    with (
        ServerProcess(folder / "a", first_module, **own) as a,
        ServerProcess(folder / "b", **{**own, **(second or {})}) as b,
    ):
        for one in (a, b):
            one.until_ready()
        yield a, b


def together(a: ServerProcess, b: ServerProcess) -> None:
    """Wait until both know of two."""
    until(lambda: a.metric("replicas") == b.metric("replicas") == 2)


def test_a_service_that_is_well_has_nothing_and_prometheus_knows_the_replicas(tmp_path: Path, log: Nats) -> None:
    with two(tmp_path, log.url) as (a, b), prometheus(tmp_path / "prometheus", a) as client:
        together(a, b)
        options = [*replicas(b), "--prometheus", str(client.base_url), "--url", a.http_url]
        code, report = doctor(*options, EVENT_LOG_URL=log.url, JWT_SECRET=SECRET)
        assert (code, report["findings"]) == (0, [])
        assert set(report["asked"]["replicas"]) == {a.http_url, b.http_url}


def test_a_wrong_secret_is_the_replica_s_that_refuses(tmp_path: Path, log: Nats) -> None:
    other = {"jwt_secret": "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2}
    with two(tmp_path, log.url, second=other) as (a, b):
        together(a, b)
        with pytest.raises(InvalidStatus), Player(b, str(uuid.uuid4()), token("ann")):
            pass
        assert b.metric("ws_handshakes_total", outcome="unauthorized") == 1
        code, report = doctor(*replicas(a, b), JWT_SECRET=SECRET)
        assert (code, first(report)) == (1, ("wrong_secret", b.http_url))
        assert "refused 1 of 1 handshakes" in report["findings"][0]["evidence"][1]
        assert first(doctor(*replicas(a, b))[1]) == ("wrong_secret", b.http_url), "without the secret, by who refuses"
        assert SECRET not in json.dumps(report)


def test_a_slow_clock_is_the_replica_s(tmp_path: Path, log: Nats) -> None:
    with two(tmp_path, log.url, "tools.harness.skewed") as (a, b):
        together(a, b)
        until(lambda: a.metric("event_log_clock_offset_seconds") > 4)
        code, report = doctor(*replicas(a, b))
        assert (code, first(report)) == (1, ("clock", a.http_url))


def test_a_name_that_cannot_be_resolved_is_named() -> None:
    code, report = doctor("--replica", "http://replica-7.invalid:8081")
    assert (code, first(report)) == (1, ("name_unresolvable", "http://replica-7.invalid:8081"))
    code, report = doctor("--url", "https://race.invalid", EVENT_LOG_URL="nats://nats.invalid:4222")
    assert {(one["cause"], one["culprit"]) for one in report["findings"]} == {
        ("name_unresolvable", "https://race.invalid"),
        ("name_unresolvable", "nats://nats.invalid:4222"),
    }


def test_a_replica_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    with ServerProcess(tmp_path) as server:
        code, report = doctor(*replicas(server), "--replica", gone)
        assert (code, first(report)) == (1, ("unreachable", gone))


def test_a_proxy_that_does_not_pass_upgrade_on(tmp_path: Path) -> None:
    port = free_port()
    with ServerProcess(tmp_path / "server") as server:
        http = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {server.http_url}; }} }}"
        with Nginx(tmp_path / "nginx", http):
            code, report = doctor(*replicas(server), "--url", f"http://127.0.0.1:{port}")
            assert (code, first(report)) == (1, ("proxy_does_not_upgrade", f"http://127.0.0.1:{port}"))


def test_a_proxy_that_cuts_silent_connections(tmp_path: Path) -> None:
    port = free_port()
    with ServerProcess(tmp_path / "server") as server:
        http = (
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {server.http_url}; proxy_read_timeout 1s;"
            " proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }"
        )
        with Nginx(tmp_path / "nginx", http), contextlib.ExitStack() as stack:
            url = f"ws://127.0.0.1:{port}"
            for number in range(12):
                game = server.new_game(token(f"p{number}"))
                through = type("Through", (), {"ws_url": url})()
                stack.enter_context(Player(through, game, token(f"p{number}")))
            until(
                lambda: (
                    server.metric("ws_closes_total", code="1006", reason="connection_lost", initiator="network") >= 12
                )
            )
            code, report = doctor(*replicas(server), "--url", f"http://127.0.0.1:{port}")
            assert (code, first(report)) == (1, ("proxy_cuts", f"the proxy before {server.http_url}"))


def test_a_replica_cut_off_from_the_event_log(tmp_path: Path, log: Nats) -> None:
    with TcpProxy(log.nodes[0].port) as way:
        far = {"event_log_url": f"nats://127.0.0.1:{way.port}"}
        with two(tmp_path, log.url, second=far, nats_timeout_s=1) as (a, b):
            together(a, b)
            way.partition()
            until(lambda: b.metric("event_log_connected") == 0)
            code, report = doctor(*replicas(a, b), EVENT_LOG_URL=log.url)
            assert (code, first(report)) == (1, ("replica_partitioned", b.http_url))
            way.heal()


def test_a_full_event_log(tmp_path: Path, log: Nats) -> None:
    with ServerProcess(tmp_path, event_log_url=log.url, nats_max_bytes=1_000_000) as server:
        server.until_ready()
        asyncio.run(_limit(log.url, 1))
        fetch.post(f"{server.http_url}/api/games", headers={"authorization": f"Bearer {token('ann')}"})
        until(lambda: server.metric("event_log_troubles_total", trouble="full") > 0)
        code, report = doctor(*replicas(server))
        assert (code, first(report)) == (1, ("disk", "the event log"))


def test_a_disk_that_is_nearly_full_and_then_is(tmp_path: Path) -> None:
    """Of a replica far away its ops port tells; of one with the settings here, the disk itself."""
    with ServerProcess(tmp_path, "tools.harness.small_disk") as server:
        here = f"sqlite:///{small_disk.place(server)}/code-racer.db"
        assert doctor(*replicas(server), EVENT_LOG_URL=here)[1]["findings"] == []
        small_disk.fill(server, 0.04)
        code, report = doctor(*replicas(server))
        assert (code, first(report)) == (1, ("disk", server.http_url))
        assert report["findings"][0]["evidence"][0].startswith("4.0% of the disk of its event log is free")
        assert report["findings"][0]["runbook"].endswith("/CodeRacerDiskFilling.md")
        code, report = doctor(*replicas(server), EVENT_LOG_URL=here)
        assert (code, first(report)) == (1, ("disk", "this machine"))
        small_disk.fill(server, 0)
        until(lambda: refused_a_game(server))
        code, report = doctor(*replicas(server))
        assert (code, first(report)) == (1, ("disk", server.http_url)), "not that it takes no appends, which follows"


def refused_a_game(server: ServerProcess) -> bool:
    """Make a game, which an event log without room refuses."""
    answer = fetch.post(f"{server.http_url}/api/games", headers={"authorization": f"Bearer {token('ann')}"})
    return not answer.is_success


async def _limit(url: str, max_bytes: int) -> None:
    client = await nats_client.connect(url)
    info = await client.jetstream().stream_info("CODE_RACER")
    info.config.max_bytes = max_bytes
    await client.jetstream().update_stream(info.config)
    await client.close()


def test_descriptors_that_run_out(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, reserved_descriptors=2) as server, contextlib.ExitStack() as stack:
        before = server.open_files()
        for _ in range(40):
            stack.enter_context(socket.create_connection(("127.0.0.1", int(server.settings["PORT"]))))
        until(lambda: server.open_files() >= before + 40)
        _, most = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.open_files() + 10, most))
        code, report = doctor(*replicas(server))
        assert (code, first(report)) == (1, ("descriptors", server.http_url))
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.open_files() + 1, most))
        code, report = doctor(*replicas(server))
        assert (code, first(report)) == (1, ("descriptors", server.http_url)), "it cannot even tell its metrics"
        assert "has no file descriptors left" in report["findings"][0]["evidence"][0]


def test_what_was_mended_long_ago_is_no_news_where_prometheus_is_asked(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "server") as server:
        attempt = server.new_game(token("ann"), min_players=1, max_players=1)
        for _ in range(3):
            with pytest.raises(InvalidStatus), Player(server, attempt, token("ann", secret="x" * 64)):
                pass
        with prometheus(tmp_path / "prometheus", server) as client:
            grown = "increase(code_racer_ws_handshakes_total[15m])"
            until(lambda: client.get("/api/v1/query", params={"query": grown}).json()["data"]["result"])
            options = ("--prometheus", str(client.base_url))
            evidence = refusals_told(doctor(*options, JWT_SECRET="y" * 64)[1])
            assert evidence == "it refused 0 of 0 handshakes as unauthorized, within 15m"
        evidence = refusals_told(doctor(*replicas(server), JWT_SECRET="y" * 64)[1])
        assert evidence == "it refused 3 of 3 handshakes as unauthorized, since its start"


def refusals_told(report: Report) -> str:
    """What it says of refused handshakes where a secret is wrong."""
    return str(next(line for line in report["findings"][0]["evidence"] if "refused" in line))


def test_two_versions_at_once(tmp_path: Path, log: Nats) -> None:
    with two(tmp_path, log.url, second={"revision": "0ld"}) as (a, b):
        together(a, b)
        code, report = doctor(*replicas(a, b))
        assert (code, report["findings"][0]["cause"]) == (1, "version_skew")
        assert any("0ld" in line for line in report["findings"][0]["evidence"])


def test_a_certificate_that_ends_soon_or_is_not_trusted(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "server") as server:
        site = Site(tmp_path / "nginx", [server.host])
        site.certificates.renew(1)
        with site:
            code, report = doctor("--url", site.base, SSL_CERT_FILE=str(site.certificates.ca))
            assert (code, first(report)) == (1, ("certificate", site.base))
            assert "ends in 1.0 days" in report["findings"][0]["evidence"][0]
            assert [one["cause"] for one in report["findings"]] == ["certificate"]
            code, report = doctor("--url", site.base)
            assert (code, first(report)) == (1, ("certificate", site.base))
            assert "verify failed" in report["findings"][0]["evidence"][0]


def test_a_judge_whose_workers_die(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, judge_retries=0, judge_time_limit_s=30) as server:
        game = server.new_game(token("ann"), min_players=1, max_players=1)
        with Player(server, game, token("ann")) as ann:
            ann.send("ready", {"status": "ready"})
            ann.until("game_started")
            ann.send("submit_code", {"code": ENDLESS})
            for pid in until(lambda: children(server.pid)):
                os.kill(pid, signal.SIGKILL)
            until(lambda: server.metric("judge_stops_total", cause="died") > 0)
        code, report = doctor(*replicas(server))
        assert (code, first(report)) == (1, ("judge", server.http_url))


def test_people_read_it_too_and_wrong_usage_is_told() -> None:
    run = [sys.executable, "-m", "app", "doctor"]
    environment = {"PATH": "/usr/bin", "EVENT_LOG_URL": "memory:"}
    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "whom shall it ask" in done.stderr
    run += ["--replica", "http://replica-7.invalid:8081"]
    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "1. name unresolvable: http://replica-7.invalid:8081 (certain)" in done.stdout
    assert "alerts/runbooks/CodeRacerDown.md" in done.stdout
