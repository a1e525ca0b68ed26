"""How several workers are asked for, and what is refused before any is started."""

import os
from pathlib import Path

import pytest

from app import process
from app.arguments import wanted_workers
from app.settings import CannotStartError, Settings, SettingsError, load_settings
from app.supervisor import require_replaceable, require_supervisable
from tests.test_command_line import run
from tools.harness.server import SECRET, SOURCES, ServerProcess


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WORKERS", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "workers", "web_concurrency", "asked", "count"),
    [
        (None, "", "", "WORKERS", 1),
        (None, "", "3", "WEB_CONCURRENCY", 3),
        (None, "2", "3", "WORKERS", 2),
        ("4", "2", "3", "--workers", 4),
        ("1", "2", "3", "--workers", 1),
        ("auto", "", "", "--workers", 5),
        (None, "auto", "", "WORKERS", 5),
    ],
)
def test_the_command_line_is_heard_before_workers_and_that_before_web_concurrency(
    given: str | None, workers: str, web_concurrency: str, asked: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.arguments.usable_cores", lambda: 5)
    monkeypatch.setenv("WORKERS", workers)
    monkeypatch.setenv("WEB_CONCURRENCY", web_concurrency)
    assert wanted_workers(given, load_settings()) == (asked, count)


@pytest.mark.parametrize("text", ["0", "65", "-1", "two", "2.0"])
def test_what_is_no_number_of_processes_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORKERS", "WEB_CONCURRENCY"):
        monkeypatch.setenv(name, text)
        with pytest.raises(SettingsError, match=f"{name}: '{text}' is no number of processes from 1 to 64"):
            load_settings()
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("texts", "cores"),
    [
        (("max 100000\n",), 8),
        (("250000 100000\n",), 2),
        (("50000 100000\n",), 1),
        (("1600000 100000\n",), 8),
        (("-1\n", "100000\n"), 8),
        (("300000\n", "100000\n"), 3),
        (("broken\n",), 8),
    ],
)
def test_auto_is_the_cores_that_can_be_kept_busy(
    texts: tuple[str, ...], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tuple(tmp_path / str(number) for number in range(len(texts)))
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    monkeypatch.setattr(process, "_CORE_LIMITS", ((tmp_path / "none",), files))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert process.usable_cores() == cores


def test_one_worker_is_the_very_same_process(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, workers=1, web_concurrency=2) as server:
        assert not server.logged("supervisor.started")
        assert not server.logged("worker.started")
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        names = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
        assert not any(b"serve" in name.split(b"\0") for name in names)
        assert server.new_game(server.guest("ann")["token"])


def test_web_concurrency_starts_so_many(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, web_concurrency=2) as server:
        assert server.wait_for_log("supervisor.started", timeout_s=60)["workers"] == 2
        assert server.stop() == 0


def settings(**some: object) -> Settings:
    return load_settings(jwt_secret=SECRET, **some)


@pytest.mark.parametrize(
    ("some", "way_out"),
    [
        ({"tls_cert_file": "a", "tls_key_file": "b"}, "end TLS in a proxy in front"),
        ({"environment": "production"}, "set OPS_PORT"),
        ({"port": 9092, "ops_port": 9090}, "set another OPS_PORT"),
    ],
)
def test_what_does_not_go_with_several_says_the_way_out_and_who_asked(some: dict[str, object], way_out: str) -> None:
    with pytest.raises(CannotStartError, match=rf"^WEB_CONCURRENCY: .*{way_out}"):
        require_supervisable(settings(**some), 2, "WEB_CONCURRENCY")


def test_what_goes_with_several() -> None:
    require_supervisable(settings(port=9093, ops_port=9090), 2, "WORKERS")
    require_supervisable(settings(environment="production", ops_port=0), 2, "WORKERS")
    require_supervisable(settings(event_log_url="nats://localhost:4222"), 2, "WORKERS")


def test_the_command_line_refuses_in_one_sentence_before_anything_is_started(tmp_path: Path) -> None:
    production = {"ENVIRONMENT": "production", "JWT_SECRET": SECRET, "PORT": "0", "PYTHONPATH": SOURCES}
    for command in (("serve", "--workers", "2"), ("check-config",)):
        done = run(tmp_path, *command, WORKERS="2", **production)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert "set OPS_PORT" in line


@pytest.mark.parametrize(
    "changed", [{"workers": "3"}, {"port": 1}, {"host": "::"}, {"ops_port": 1}, {"event_log_url": "sqlite:///b.db"}]
)
def test_what_workers_inherit_cannot_change_by_a_reload(changed: dict[str, object]) -> None:
    running = settings(workers="2", port=8080, ops_port=9090)
    with pytest.raises(CannotStartError, match=rf"^{next(iter(changed)).upper()}: .*start the service again"):
        require_replaceable(running, running.model_copy(update=changed))


def test_what_else_changes_is_taken_by_a_reload() -> None:
    require_replaceable(settings(workers="2"), settings(workers="2", log_level="debug"))
