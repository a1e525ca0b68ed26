"""The canary as a process of its own, on a real server: what it says when things go well, and when not."""

import asyncio
import datetime as dt
import json
import math
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from app.canary import Canary, CanaryConfig, run_canary
from app.telemetry.catalogue import CANARY_METRICS, CanaryMetrics
from tools.harness import fetch
from tools.harness.canary import canary
from tools.harness.command import answered
from tools.harness.nginx import Nginx
from tools.harness.proxy import TcpProxy
from tools.harness.server import ROOT, SECRET, ServerProcess, free_port, until
from tools.harness.tls import Certificates


def run(url: str, *options: str, **environment: str) -> tuple[int, dict[str, Any]]:
    """One race: the exit code, and what the last log line says."""
    code, said = answered("canary", "--url", url, "--once", *options, **{"LOG_FILE": "", **environment})
    return code, json.loads(said.splitlines()[-1])


KUBECTL = """#!/bin/bash
case $3 in
exec) exec env ENVIRONMENT=production JWT_SECRET={secret} {python} -m app "${{@:7}}" ;;
create)
    for one; do
        case $one in --from-literal=*) one=${{one#*=}} && printf %s "${{one#*=}}" >"{folder}/${{one%%=*}}" ;; esac
    done ;;
apply) exec cat ;;
esac
"""
"""As much of a cluster as the script needs: a replica that has the key, and a secret whose keys are files."""


def tokens_of_a_replica(folder: Path) -> tuple[Path, Path]:
    """The canary's tokens as Kubernetes has them: a replica makes them, the script puts them into a secret."""
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL.format(secret=SECRET, python=sys.executable, folder=folder))
    kubectl.chmod(0o755)
    script = ROOT / "deploy/kubernetes/make-canary-tokens.sh"
    subprocess.run([script, "code-racer", "30d"], cwd=ROOT, env={"PATH": f"{folder}:/usr/bin:/bin"}, check=True)
    return folder / "first", folder / "second"


def samples(host: str) -> dict[str, float]:
    """All series that are exposed."""
    return {
        sample.name + "".join(sample.labels.get(label, "") for label in ("replica", "outcome", "le")): sample.value
        for family in parse(fetch.get(f"http://{host}/metrics").text)
        for sample in family.samples
    }


def test_it_races_and_tells_what_players_meet(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, canary(server.http_url, "--every-s", "0.2") as bird:
        until(lambda: samples(bird.host)["code_racer_canary_races_totalok"] >= 3)
        found = samples(bird.host)
        families = {family.name for family in parse(fetch.get(f"http://{bird.host}/metrics").text)}
        assert families == {metric.name.removesuffix("_total") for metric in CANARY_METRICS}
        races = found["code_racer_canary_races_totalok"]
        assert found["code_racer_canary_handshake_seconds_count"] >= 2 * races
        for step in ("message", "delivery", "race"):
            assert found[f"code_racer_canary_{step}_seconds_count"] >= races
            assert found[f"code_racer_canary_{step}_seconds_sum"] > 0
        assert found["code_racer_canary_last_ok_timestamp_seconds"] > 1.7e9
        assert found["code_racer_canary_reconnects_total"] == 0
        assert found["code_racer_canary_certificate_end_timestamp_seconds"] == math.inf, "there is no TLS"
        others = ("unreachable", "refused", "lost", "timeout", "wrong")
        assert all(found[f"code_racer_canary_races_total{outcome}"] == 0 for outcome in others)
        assert server.metric("submissions_total", verdict="accepted") >= races, "it was the server it raced on"


def test_one_race_makes_its_own_tokens_where_there_are_no_guests(tmp_path: Path) -> None:
    production = {"environment": "production", "drain_delay_s": 0, "drain_game_wait_s": 0, "scrape_wait_s": 0}
    with ServerProcess(tmp_path, **production) as server:
        code, line = run(server.http_url, JWT_SECRET=SECRET)
        assert (code, line["event"]) == (0, "canary.raced")
        code, line = run(server.http_url)
        assert (code, line["event"], line["outcome"], line["step"]) == (1, "canary.failed", "refused", "token")
        files = [word for file in tokens_of_a_replica(tmp_path) for word in ("--token-file", str(file))]
        assert run(server.http_url, *files)[0] == 0
        (tmp_path / "second").write_text("nonsense")
        code, line = run(server.http_url, *files)
        assert (code, line["outcome"], line["step"]) == (1, "refused", "handshake")
        assert "nonsense" not in json.dumps(line)
        (tmp_path / "second").unlink()
        code, line = run(server.http_url, *files)
        assert (code, line["outcome"], line["step"]) == (1, "refused", "token")
        assert str(tmp_path / "second") in line["detail"]


@pytest.mark.parametrize(
    ("settings", "outcome", "step"),
    [
        ({"judge_time_limit_s": 0.000_001}, "wrong", "judge"),
        ({"countdown_s": 60}, "timeout", "start"),
        ({"guests": "false"}, "refused", "token"),
    ],
)
def test_it_tells_how_a_race_went_wrong(tmp_path: Path, settings: dict[str, Any], outcome: str, step: str) -> None:
    with ServerProcess(tmp_path, **settings) as server:
        code, line = run(server.http_url, "--timeout-s", "3")
        assert (code, line["event"]) == (1, "canary.failed")
        assert (line["outcome"], line["step"]) == (outcome, step), line["detail"]


def test_it_notices_that_nobody_can_come(tmp_path: Path) -> None:
    code, line = run(f"http://127.0.0.1:{free_port()}")
    assert (code, line["outcome"], line["step"]) == (1, "unreachable", "token")
    with (
        ServerProcess(tmp_path) as server,
        TcpProxy(int(server.settings["PORT"])) as proxy,
        canary(f"http://127.0.0.1:{proxy.port}", "--every-s", "0.1", "--timeout-s", "1") as bird,
    ):
        until(lambda: samples(bird.host)["code_racer_canary_races_totalok"] >= 1)
        proxy.partition()
        until(lambda: samples(bird.host)["code_racer_canary_races_totaltimeout"] >= 1)
        proxy.heal()
        well = samples(bird.host)["code_racer_canary_races_totalok"]
        until(lambda: samples(bird.host)["code_racer_canary_races_totalok"] > well)


def test_it_tells_of_a_proxy_that_does_not_pass_upgrade_on(tmp_path: Path) -> None:
    port = free_port()
    with ServerProcess(tmp_path / "server") as server:
        http = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {server.http_url}; }} }}"
        with Nginx(tmp_path / "nginx", http):
            code, line = run(f"http://127.0.0.1:{port}")
    assert (code, line["outcome"], line["step"]) == (1, "refused", "handshake")
    assert "does not pass Upgrade on" in line["detail"]


def test_it_tells_when_the_certificate_that_it_met_ends(tmp_path: Path) -> None:
    """A server that terminates TLS itself; its certificate is about to end, and renewed at a restart."""
    made = Certificates(tmp_path / "tls", days=2)
    files = {"tls_cert_file": made.cert, "tls_key_file": made.key}
    end = "code_racer_canary_certificate_end_timestamp_seconds"
    with ServerProcess(tmp_path / "server", **files) as server:
        url = f"https://localhost:{server.settings['PORT']}"
        with canary(url, "--every-s", "0.2", SSL_CERT_FILE=str(made.ca)) as bird:
            until(lambda: samples(bird.host)["code_racer_canary_races_totalok"] >= 1)
            assert samples(bird.host)[end] == ends_at(made.cert)
            server.stop()
            made.renew(90)
            server.start()
            until(lambda: samples(bird.host)[end] == ends_at(made.cert))


def ends_at(certificate: Path) -> float:
    """When it ends, in epoch seconds, as openssl says."""
    command = ["openssl", "x509", "-in", str(certificate), "-noout", "-enddate", "-dateopt", "iso_8601"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dt.datetime.fromisoformat(said.strip().removeprefix("notAfter=")).timestamp()


def test_it_notices_that_somebody_else_answers() -> None:
    """A page of a hoster, say, after a name has been lost."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>Buy this name</h1>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        code, line = run(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert (code, line["outcome"], line["step"]) == (1, "unreachable", "token")
    assert "no Code Racer" in line["detail"]


def test_a_deploy_is_no_failure(tmp_path: Path) -> None:
    """The server says when to come back, and the race goes on."""
    with ServerProcess(tmp_path, countdown_s=1) as server, canary(server.http_url, "--every-s", "60") as bird:
        until(lambda: server.metric("ws_connections") == 2)
        assert server.stop() == 0
        server.start()
        until(lambda: samples(bird.host)["code_racer_canary_races_totalok"] == 1)
        assert samples(bird.host)["code_racer_canary_reconnects_total"] >= 2


def test_it_races_on_each_address_of_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a headless service. The name's addresses are a fake: a real one needs a DNS server."""
    resolve = socket.getaddrinfo

    def two(host: Any, *rest: Any, **more: Any) -> Any:
        names = ("127.0.0.1", "127.0.0.2") if host == "code-racer-each" else (host,)
        return [found for name in names for found in resolve(name, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    lines: list[dict[str, Any]] = []

    def write(_: object, **fields: Any) -> None:
        lines.append(fields)

    with ServerProcess(tmp_path / "a") as one, ServerProcess(
        tmp_path / "b", host="127.0.0.2", port=one.settings["PORT"], guests="false"
    ):  # fmt: skip
        port = one.settings["PORT"]
        config = CanaryConfig((f"http://code-racer-each:{port}",), True, 30, 20, "127.0.0.1", 0, None)
        assert not asyncio.run(run_canary(config, write, once=True))
        found = {line["url"]: line.get("outcome", "ok") for line in lines}
        assert found == {f"http://127.0.0.1:{port}": "ok", f"http://127.0.0.2:{port}": "refused"}


def test_it_tells_how_the_races_on_each_replica_end(tmp_path: Path) -> None:
    """Two replicas, one with a wrong secret: whoever only counted races would see every second one fail."""
    races = "code_racer_canary_races_total"
    with (
        ServerProcess(tmp_path / "a") as well,
        ServerProcess(tmp_path / "b", jwt_secret=SECRET[::-1]) as wrong,
        canary((well.http_url, wrong.http_url), "--every-s", "0.2", JWT_SECRET=SECRET) as bird,
    ):
        until(lambda: samples(bird.host).get(f"{races}{wrong.host}refused", 0) >= 2)
        until(lambda: samples(bird.host)[f"{races}{well.host}ok"] >= 2)
        found = samples(bird.host)
        assert found[f"{races}{wrong.host}ok"] == found[f"{races}{well.host}refused"] == 0
        assert found[f"{races}ok"] == found[f"{races}refused"] == found[f"{races}otherrefused"] == 0


def test_replicas_that_have_gone_are_not_told_of_and_too_many_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name whose addresses are others after each deploy. They are a fake: real ones need a DNS server."""
    hosts = [f"127.0.1.{number}" for number in range(1, 5)]
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo",
        lambda host, *rest, **more: [
            found for one in (hosts if host == "each" else [host]) for found in resolve(one, *rest, **more)
        ],
    )  # fmt: skip
    monkeypatch.setattr("app.canary.MAX_REPLICAS", 3)
    port = free_port()
    bird = Canary(CanaryConfig((f"http://each:{port}",), True, 30, 20, "127.0.0.1", 0, None), lambda *_, **__: None)

    def counted() -> dict[str, int]:
        asyncio.run(bird.race_on_all())
        races = bird.store.counter(CanaryMetrics.RACES).values
        return {replica: count for (replica, outcome), count in races.items() if outcome == "unreachable"}

    assert counted() == {"": 0, "other": 1, **{f"{host}:{port}": 1 for host in hosts[:3]}}
    del hosts[0], hosts[-1]
    assert counted() == {"": 0, "other": 1, **{f"{host}:{port}": 2 for host in hosts}}


def test_a_name_of_replicas_that_is_unknown_is_a_failure(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        done = subprocess.run(
            [sys.executable, "-m", "app", "canary", "--once", "--each", server.http_url, "--each", "http://no.invalid"],
            cwd=ROOT, env={"PATH": "/usr/bin", "LOG_FILE": ""}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    told = {line["url"]: line.get("outcome", "ok") for line in map(json.loads, done.stdout.splitlines())}
    assert told == {server.http_url: "ok", "http://no.invalid": "unreachable"}


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--url", "race.example.org"), 2, "write it like https://race.example.org"),
        (("--once",), 2, "one of the arguments --url --each is required"),
        (("--url", "http://localhost", "--each", "http://localhost"), 2, "not allowed with argument --url"),
        (("--each", "https://code-racer-each"), 2, "write it like http://code-racer-each:8080"),
        (("--url", "http://localhost", "--every-s", "0"), 2, "write one that is more than 0"),
        (("--url", "http://localhost", "--token-file", "x"), 2, "give 2 of them"),
        (("--url", "http://localhost", "--host", "192.0.2.1"), 2, "cannot listen on 192.0.2.1:9091"),
    ],
)
def test_wrong_usage_is_told(options: tuple[str, ...], code: int, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "canary", *options],
        cwd=ROOT, env={"PATH": "/usr/bin", "LOG_FILE": ""}, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
