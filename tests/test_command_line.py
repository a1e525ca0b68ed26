"""The command line, as a user meets it."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

from app import __version__
from tools.harness import fetch
from tools.harness.server import ROOT, SECRET, SOURCES, ServerProcess


def run(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG"}}
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_has_examples(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert all(command in done.stdout for command in ("serve", "token", "check-config", "version"))


def test_version(tmp_path: Path) -> None:
    assert run(tmp_path, "version").stdout.strip() == __version__


def test_whoever_imports_it_keeps_its_signals() -> None:
    ask = "import signal, app.__main__; print(len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "0", done.stderr


def test_serving_loads_nothing_that_only_some_settings_need() -> None:
    script = (
        "import sys\n"
        "from app import server\nfrom app.asgi import create_app\nfrom app.settings import load_settings\n"
        "create_app(load_settings(event_log_url='memory:', jwt_secret='x1y2z3' * 8))\n"
        "some = {'grpc', 'nats', 'opentelemetry.sdk', 'pydantic.v1', 'pyroscope', 'rich', 'structlog'}\n"
        "print(*some.intersection(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    assert run(tmp_path, "dance").returncode == 2


def test_a_token_opens_the_running_server_with_the_development_secret(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, jwt_secret="") as server:
        token = run(tmp_path, "token", "--player", "ann", "--ttl", "2h").stdout.strip()
        headers = {"authorization": f"Bearer {token}"}
        assert fetch.post(f"{server.http_url}/api/games", headers=headers).status_code == 201
    assert stat.S_IMODE((tmp_path / "var" / "dev-secret").stat().st_mode) == 0o600
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["sub"] == "ann"
    assert claims["exp"] - claims["iat"] == 7200


def test_a_token_for_production_must_be_meant(tmp_path: Path) -> None:
    production = {"ENVIRONMENT": "production", "JWT_SECRET": SECRET}
    refused = run(tmp_path, "token", "--player", "ann", **production)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--yes-in-production" in refused.stderr
    made = run(tmp_path, "token", "--player", "ann", "--yes-in-production", **production)
    assert jwt.decode(made.stdout.strip(), SECRET, algorithms=["HS256"])["sub"] == "ann"


@pytest.mark.parametrize("ttl", ["", "0", "1w", "-1h", "soon"])
def test_a_bad_ttl_is_explained(tmp_path: Path, ttl: str) -> None:
    done = run(tmp_path, "token", "--player", "ann", f"--ttl={ttl}")
    assert done.returncode == 2
    assert "2h" in done.stderr


def test_check_config_prints_settings_with_secrets_starred(tmp_path: Path) -> None:
    done = run(tmp_path, "check-config", JWT_SECRET=SECRET)
    assert done.returncode == 0
    assert "JWT_SECRET=******" in done.stdout
    assert SECRET not in done.stdout


def test_bad_settings_are_all_listed_and_stop_the_start(tmp_path: Path) -> None:
    for command in ("serve", "check-config"):
        done = run(tmp_path, command, PORT="x", LOG_LEVEL="loud")
        assert done.returncode == 2
        assert "PORT" in done.stderr
        assert "LOG_LEVEL" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run(tmp_path, "serve", PORT=str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen on" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_event_log_that_cannot_be_opened_stops_the_start_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "serve", PORT="0", EVENT_LOG_URL="sqlite:///file/log.db")
    assert done.returncode != 0
    assert "file/log.db" in done.stdout + done.stderr


def test_production_without_a_secret_does_not_start(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", ENVIRONMENT="production")
    assert done.returncode == 2
    assert "JWT_SECRET" in done.stderr


def test_health_and_version_endpoints(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, replica="r1", revision="4f2c") as server:
        for path in ("/livez", "/readyz", "/startupz", "/health"):
            assert fetch.get(f"{server.http_url}{path}").json() == {"status": "ok"}
            assert fetch.head(f"{server.http_url}{path}").status_code == 200
        verbose = fetch.get(f"{server.http_url}/readyz?verbose").json()
        assert verbose["checks"] == dict.fromkeys(
            ("started", "event_log_reached", "not_draining", "event_log", "overload", "signing_keys"), True
        )
        version = fetch.get(f"{server.http_url}/version").json()
        assert version == {
            "version": __version__,
            "revision": "4f2c",
            "replica": "r1",
            "environment": "development",
        }
        assert server.metric("build_info", version=__version__, revision="4f2c", replica="r1") == 1
        assert server.records()[0]["event"] == "app.started"


def test_a_second_server_on_the_same_file_says_who_has_it_and_what_to_do(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        url = {
            "EVENT_LOG_URL": f"sqlite:///{tmp_path}/var/code-racer.db",
            "JWT_SECRET": SECRET,
            "PYTHONPATH": SOURCES,
        }
        for ports in ({"PORT": "0"}, {"PORT": "0", "OPS_PORT": "0"}):
            second = run(tmp_path / "..", "serve", **url, **ports)
            assert second.returncode == 2
            assert second.stdout == "", "nothing has started"
            (line,) = second.stderr.splitlines()
            assert f"is in use by process {server.pid} on {socket.gethostname()} since 20" in line
            assert "EVENT_LOG_URL" in line
        server.kill()
        server.start()
        assert fetch.get(f"{server.http_url}/readyz").status_code == 200, "who is killed holds nothing"


def test_a_log_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "blocker").write_text("")
    url = f"sqlite:///{tmp_path}/blocker/log.db"
    done = run(tmp_path, "serve", EVENT_LOG_URL=url, JWT_SECRET=SECRET, PORT="0", PYTHONPATH=SOURCES)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"code-racer: EVENT_LOG_URL: cannot open {tmp_path}/blocker/log.db: ")
