"""What keeps a command from its work is told in one way: what is wrong, where, what to do; exit code 2."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry import environment_variables as api
from opentelemetry.sdk import environment_variables as sdk

from app.client.__main__ import EXAMPLES
from app.environment import read_dotenv, strays
from app.judge import load_problems
from app.settings import SettingsError
from tools.harness import fetch
from tools.harness.server import ROOT, SECRET, SOURCES, ServerProcess
from tools.harness.tls import Certificates

NOBODY_WRITES = Path("/sys")
"""Not even root may make a file there, and whatever the reason is called, it is told."""


def run(module: str, folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A command in `folder`, with nothing else in its environment."""
    clean = {"PATH": "/usr/bin:/bin", "PYTHONPATH": SOURCES, "PORT": "0"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder, env=clean | environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def refused(folder: Path, *arguments: str, **environment: str) -> str:
    """What a command says that does not begin."""
    done = run("app", folder, *arguments, **environment)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


# ---------------------------------------------------------------- files and folders


def test_a_log_file_that_cannot_be_written(tmp_path: Path) -> None:
    assert refused(tmp_path, "serve", LOG_FILE=".", JWT_SECRET=SECRET) == (
        "code-racer: the settings cannot be used:\n"
        f"  LOG_FILE: cannot write {tmp_path}: Is a directory; make it writable, or start in another"
        " folder, or set LOG_FILE= for no file\n"
    )


def test_a_folder_for_the_log_is_made_only_where_it_is_the_default_s(tmp_path: Path) -> None:
    for command in ("serve", "check-config"):
        said = refused(tmp_path, command, LOG_FILE="logz/app.log", JWT_SECRET=SECRET)
        assert (
            f"  LOG_FILE: cannot write {tmp_path}/logz/app.log: there is no folder logz; make it, or start in" in said
        )
    assert list(tmp_path.iterdir()) == []
    with ServerProcess(tmp_path, log_file="logs/app.log"):
        assert (tmp_path / "logs/app.log").exists()


def test_check_config_looks_at_all_files_at_once_and_makes_none(tmp_path: Path) -> None:
    (tmp_path / "garbage.pem").write_text("garbage")
    said = refused(
        tmp_path, "check-config", LOG_FILE="/", EVENT_LOG_URL="sqlite:///nope/x.db", JWT_SECRET=SECRET,
        TLS_CERT_FILE="garbage.pem", TLS_KEY_FILE="garbage.pem",
    )  # fmt: skip
    assert "  TLS_CERT_FILE: garbage.pem and TLS_KEY_FILE garbage.pem cannot be used: " in said
    assert "  LOG_FILE: cannot write /: Is a directory; " in said
    assert f"  EVENT_LOG_URL: cannot open {tmp_path}/nope/x.db: there is no folder nope; make it, or set " in said
    assert run("app", tmp_path, "check-config", JWT_SECRET=SECRET).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["garbage.pem"]


@pytest.mark.parametrize("command", ["serve", "check-config"])
@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("NATS_CREDENTIALS_FILE", "it is the .creds file that `nsc generate creds` writes"),
        ("NATS_NKEY_SEED_FILE", "it has the one line SU… that `nk -gen user` writes"),
    ],
)
def test_a_file_that_does_not_say_who_connects(tmp_path: Path, command: str, name: str, holds: str) -> None:
    """The service waited for an event log that it could never reach."""
    (tmp_path / "file").write_text("garbage")
    settings = {"EVENT_LOG_URL": "nats://127.0.0.1:1", "LOG_FILE": "", "JWT_SECRET": SECRET, name: "file"}
    assert f"  {name}: file holds no seed of a user; {holds}\n" in refused(tmp_path, command, **settings)


def test_a_value_that_is_none_is_told_with_what_it_is_for(tmp_path: Path) -> None:
    assert "; the default is 8080: port to listen on" in refused(tmp_path, "check-config", PORT="")
    said = refused(tmp_path, "check-config", JWT_JWKS_URL="http://[::1")
    assert "  JWT_JWKS_URL: is no http(s) URL; write it like https://" in said


@pytest.mark.parametrize("url", ["garbage", "http://[::1", "http://", "ftp://x"])
def test_a_bot_that_is_told_no_url_says_so(tmp_path: Path, url: str) -> None:
    done = run("app.client", tmp_path, "--url", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"argument --url: '{url}' is no URL of a service; write it like https://race.example.org" in done.stderr
    done = run("app", tmp_path, "doctor", "--url", url)
    assert f"argument --url: '{url}' is no URL of a service; write it like https://race.example.org" in done.stderr


def test_a_log_file_that_is_a_fifo_without_a_reader(tmp_path: Path) -> None:
    """To open one for writing is to wait for its reader: that was a start without a word and without an end."""
    os.mkfifo(tmp_path / "pipe")
    for command in ("serve", "check-config"):
        said = refused(tmp_path, command, LOG_FILE="pipe", JWT_SECRET=SECRET)
        assert f"  LOG_FILE: cannot write {tmp_path}/pipe: a FIFO that nobody reads; " in said


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, r"LOG_FILE: cannot write /sys/logs/app\.log: [\w -]+; make it writable, or start in another folder"),
        (
            {"LOG_FILE": ""},
            r"JWT_SECRET: is not set, and one cannot be kept in /sys/var/dev-secret: [\w -]+; set it, or",
        ),
        (
            {"LOG_FILE": "", "JWT_SECRET": SECRET},
            r"EVENT_LOG_URL: cannot open /sys/var/code-racer\.db: var: [\w -]+; set EVENT_LOG_URL to a file in",
        ),
    ],
    ids=["logs", "secret", "event log"],
)
def test_a_folder_that_cannot_be_written(settings: dict[str, str], told: str) -> None:
    """Whether nobody may, or the disk is read-only: the system's own words say which."""
    said = refused(NOBODY_WRITES, "serve", **settings)
    assert re.search(told, said), said


@pytest.mark.parametrize("url", ["sqlite:///nope/dir/x.db", "sqlite:///nope/x.db"])
def test_a_folder_of_the_event_log_that_is_not_there_is_not_made(tmp_path: Path, url: str) -> None:
    said = refused(tmp_path, "serve", EVENT_LOG_URL=url, LOG_FILE="", JWT_SECRET=SECRET)
    folder = Path(url.removeprefix("sqlite:///")).parent
    assert said == (
        f"code-racer: EVENT_LOG_URL: cannot open {tmp_path}/{folder}/x.db: there is no folder {folder}; make it,"
        " or set EVENT_LOG_URL to a file in a folder that can be written\n"
    )
    assert not any(tmp_path.iterdir())


def test_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    one, other = Certificates(tmp_path / "one"), Certificates(tmp_path / "other")
    pairs = {"No such file": ("missing.pem", str(one.key)), "(?i)mismatch": (str(one.cert), str(other.key))}
    for reason, (certificate, key) in pairs.items():
        said = refused(
            tmp_path, "serve", TLS_CERT_FILE=certificate, TLS_KEY_FILE=key, LOG_FILE="", JWT_SECRET=SECRET,
            EVENT_LOG_URL="memory:",
        )  # fmt: skip
        assert f"TLS_CERT_FILE: {certificate} and TLS_KEY_FILE {key} cannot be used: " in said
        assert re.search(reason, said)
        assert "both must be PEM, of one pair" in said


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert refused(tmp_path, "serve", PORT=port) == (
            f"code-racer: cannot listen on 127.0.0.1:{port}: Address already in use; set HOST and PORT\n"
        )
    assert not any(tmp_path.iterdir()), "nothing has begun"


def test_a_port_for_two_things(tmp_path: Path) -> None:
    assert refused(tmp_path, "check-config", PORT="9000", OPS_PORT="9000") == (
        "code-racer: the settings cannot be used:\n"
        "  OPS_PORT: is PORT; set another, or none to have probes and metrics on PORT\n"
    )


def test_a_kept_secret_that_is_none(tmp_path: Path) -> None:
    """An empty key would sign whatever anybody likes."""
    kept = tmp_path / "var/dev-secret"
    kept.parent.mkdir()
    for content in (b"", b"short\n", b"\xff" * 64):
        kept.write_bytes(content)
        assert refused(tmp_path, "serve", LOG_FILE="") == (
            "code-racer: the settings cannot be used:\n"
            f"  JWT_SECRET: is not set, and {kept} holds no secret; remove that file\n"
        )


def test_a_file_that_is_no_event_log(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("a letter, long enough to be looked at, and nothing that SQLite has written")
    assert refused(tmp_path, "serve", EVENT_LOG_URL="sqlite:///x.db", LOG_FILE="", JWT_SECRET=SECRET) == (
        f"code-racer: EVENT_LOG_URL: cannot open {tmp_path}/x.db: file is not a database; restore a backup of it, or"
        " set EVENT_LOG_URL to another file\n"
    )


def test_files_of_the_connection_to_nats_that_are_not_there(tmp_path: Path) -> None:
    for name in ("NATS_CREDENTIALS_FILE", "NATS_NKEY_SEED_FILE", "NATS_TLS_CA_FILE"):
        said = refused(
            tmp_path, "serve", EVENT_LOG_URL="nats://127.0.0.1:1", LOG_FILE="", JWT_SECRET=SECRET, **{name: "/none"}
        )
        assert re.search(rf"  {name}: .*No such file or directory", said), said


# ---------------------------------------------------------------- where it runs


def in_bash(folder: Path, command: str, python: str = sys.executable, **environment: str) -> str:
    """What `$SERVE` says that does not begin, in a command of the shell."""
    settings = {"PORT": "0", "LOG_FILE": "", "EVENT_LOG_URL": "memory:", "JWT_SECRET": SECRET}
    clean = {"PATH": "/usr/bin:/bin", "PYTHONPATH": SOURCES, "SERVE": f"exec {python} -m app serve"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=clean | settings | environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_sandbox_that_runs_no_code(tmp_path: Path) -> None:
    """One that is not there, and one that ends at once: no submission could be judged."""
    for sandbox, reason in {"/none": r"/none: No such file", "/bin/false": r"crashed"}.items():
        said = in_bash(tmp_path, "$SERVE", MONTY_BIN=sandbox)
        assert re.fullmatch(
            rf"code-racer: the judge: a worker could not be started: .*{reason}.*; it needs the package pydantic-monty"
            r" \(or MONTY_BIN\), memory, open files and processes \(ulimit -a\)\n",
            said,
        ), said


def test_so_few_open_files_that_nobody_could_connect(tmp_path: Path) -> None:
    assert in_bash(tmp_path, "ulimit -n 81; $SERVE", JUDGE_PROCESSES="2") == (
        "code-racer: no more than 81 files may be open at once (ulimit -n); raise that to 82, and one more for each"
        " connection\n"
    )


def test_no_place_for_the_logs(tmp_path: Path) -> None:
    assert in_bash(tmp_path, "$SERVE >&-") == (
        "code-racer: standard output is closed, and logs go there; who wants none sends it to /dev/null\n"
    )


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert in_bash(tmp_path, "mkdir gone && cd gone && rmdir ../gone && $SERVE") == (
        "code-racer: the folder that this was started in cannot be used: No such file or directory; change to one that"
        " is there\n"
    )


def test_a_python_without_the_packages(tmp_path: Path) -> None:
    """The system's, in place of the environment's."""
    said = in_bash(tmp_path, "$SERVE", python=f"{sys.executable} -S")
    assert re.fullmatch(
        rf"code-racer: {sys.executable} \(Python [\d.]+\) cannot use a package: No module named '\w+'; set up with"
        r" `make run`, or install the wheel, and start \.venv/bin/code-racer\n",
        said,
    ), said


def test_a_problem_that_is_none(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    problem = tmp_path / "app/judge/problems/two-sum.toml"
    for content, reason in {"x = [": "Invalid value", "id = 1": "Expected `str`, got `int`"}.items():
        problem.write_text(content)
        said = in_bash(tmp_path, "$SERVE", PYTHONPATH=str(tmp_path))
        assert said.startswith(f"code-racer: problem {problem}: {reason}")
        assert said.endswith("; mend it, or install the package again\n")


FAULTY = """
import sys
from app.__main__ import main
from app.realtime.hub import Hub

async def start(_):
    raise ZeroDivisionError("of nobody's doing")

Hub.start = start
sys.exit(main(["serve"]))
"""


def test_a_fault_of_ours_is_logged_and_told(tmp_path: Path) -> None:
    settings = {"PORT": "0", "EVENT_LOG_URL": "memory:", "JWT_SECRET": SECRET, "LOG_FILE": ""}
    done = subprocess.run(
        [sys.executable, "-c", FAULTY], cwd=tmp_path, env=settings | {"PYTHONPATH": SOURCES},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    told = "a fault of the service, ZeroDivisionError: of nobody's doing; more is in the log, as app.fault"
    assert (done.returncode, done.stderr) == (2, f"code-racer: {told}\n")
    (line,) = map(json.loads, done.stdout.splitlines())
    assert (line["event"], line["where"]) == ("app.fault", "start-up")
    assert "Traceback" in line["exception"]


# ---------------------------------------------------------------- .env and names


@pytest.mark.parametrize("command", ["serve", "check-config", "token --player ann"])
def test_a_dotenv_that_says_nothing_is_told_by_line(tmp_path: Path, command: str) -> None:
    (tmp_path / ".env").write_text(f"PORT=0\n# fine\nJWT_SECRET: {SECRET}\n\nexport HOST=127.0.0.1\nnonsense\n")
    assert refused(tmp_path, *command.split()) == (
        "code-racer: the settings cannot be used:\n"
        "  .env, line 3: is not NAME=value\n"
        "  .env, line 6: is not NAME=value\n"
    )


def test_a_dotenv_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00P\x00O")
    assert "  .env: is not UTF-8" in refused(tmp_path, "serve")
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    assert "  .env: cannot be read: Is a directory" in refused(tmp_path, "serve")


def test_a_name_that_is_almost_a_setting_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_CONECTIONS=5\n")
    done = run("app", tmp_path, "check-config", JWT_SECERT=SECRET)
    assert done.returncode == 0, "it may be somebody else's"
    assert done.stderr == (
        "code-racer: JWT_SECERT is no setting and changes nothing; the nearest that is one: JWT_SECRET\n"
        "code-racer: MAX_CONECTIONS is no setting and changes nothing; the nearest that is one: MAX_CONNECTIONS\n"
    )
    with ServerProcess(tmp_path, jwt_secert=SECRET) as server:
        assert "JWT_SECERT is no setting" in server.stderr


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("jwt_key", "JWT_"), ("PROT", None), ("PORTS", "PORT"), ("NATS_URLS", "NATS_"), ("LOG_LEVL", "LOG_LEVEL")],
)
def test_which_names_are_meant_for_us(name: str, nearest: str | None) -> None:
    lines = strays([], {name: ""})
    assert len(lines) == (nearest is not None)
    assert all(f": {nearest}" in line for line in lines)


def test_names_of_others_are_left_alone() -> None:
    shell = ["PATH", "HOME", "HOSTNAME", "LOGNAME", "LANG", "USER", "PWD", "TERM", "SHELL"]
    kubernetes = [
        "NATS_SERVICE_HOST",
        "NATS_SERVICE_PORT_CLIENT",
        "NATS_PORT",
        "NATS_PORT_4222_TCP",
        "NATS_PORT_4222_TCP_ADDR",
    ]
    opentelemetry = [name for module in (api, sdk) for name in vars(module) if name.startswith("OTEL_")]
    assert len(opentelemetry) > 50
    assert strays([], dict.fromkeys([*shell, *kubernetes, *opentelemetry, "PORT", "MAX_CONNECTIONS"], "")) == []


def test_a_dotenv_of_values_is_read(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert read_dotenv(path) == []
    path.write_text("A=1\n\n# B=2\nC='a\nb'\nD=\n")
    assert read_dotenv(path) == ["A", "C", "D"]
    path.write_text("A=1\nB\n")
    with pytest.raises(SettingsError, match="line 2"):
        read_dotenv(path)


# ---------------------------------------------------------------- arguments


def test_the_version_is_told_in_both_ways(tmp_path: Path) -> None:
    told = {run("app", tmp_path, argument).stdout for argument in ("version", "--version")}
    assert len(told) == 1
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", told.pop())


@pytest.mark.parametrize("player", ["", "a" * 129, "a\nb", "\udcff"])
def test_a_player_that_no_server_would_take_gets_no_token(tmp_path: Path, player: str) -> None:
    said = refused(tmp_path, "token", "--player", player, JWT_SECRET=SECRET)
    assert said == "code-racer: --player: must be 1 to 128 printable characters, or no server takes the token\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("token --player ann --ttl 11000d", "'11000d' is no time up to ten years; write it like 90s, 30m, 2h or 7d"),
        ("canary --url http://h:99999", "'http://h:99999' is no URL of a service"),
        ("canary --url http://h --every-s nan", "'nan' is no number of seconds; write one that is more than 0"),
    ],
)
def test_an_argument_that_is_none(tmp_path: Path, command: str, told: str) -> None:
    assert told in refused(tmp_path, *command.split())


def test_a_log_to_copy_that_is_none_is_told_as_the_argument_that_it_is(tmp_path: Path) -> None:
    assert refused(tmp_path, "copy-log", "--from", "postgres://x") == (
        "code-racer: --from: write memory:, sqlite:///path/to/file.db, or nats://host:4222,nats://host:4222 without a"
        " password\n"
    )


def test_who_has_read_enough_of_the_settings_hears_of_no_fault(tmp_path: Path) -> None:
    command = ["bash", "-c", f"{sys.executable} -m app check-config | head -n 1"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": SOURCES}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("ENVIRONMENT=development\n", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--players 0", "'0' is no number of players; write 1 or more"),
        ("--code nosuch.py", "cannot read nosuch.py: "),
        ("--url http://127.0.0.1:1", "cannot reach http://127.0.0.1:1"),
    ],
)
def test_the_bots_say_what_they_need(tmp_path: Path, arguments: str, told: str) -> None:
    done = run("app.client", tmp_path, *arguments.split())
    assert done.returncode in {1, 2}
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_the_problems_of_the_bots_help_exist() -> None:
    named = [word for line in EXAMPLES.splitlines() if "--problem" in line for word in shlex.split(line)]
    assert named[named.index("--problem") + 1] in load_problems()


def test_a_drill_that_there_is_not(tmp_path: Path) -> None:
    done = run("alerts.drills", ROOT, "nosuch", HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "no drill has nosuch in its name; there are drills for: " in done.stderr
    assert "CodeRacerEventLogDown" in done.stderr


# ---------------------------------------------------------------- answers over HTTP


def test_what_a_wrong_path_or_wish_is_told(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, event_log_url="memory:") as server:
        for path in ("/", "/index.html", "/client.js"):
            assert fetch.get(server.http_url + path).status_code == 200
        for path in ("/nope", "/api/nope", "/static/../x"):
            answer = fetch.get(server.http_url + path)
            assert answer.status_code == 404
            assert answer.json()["detail"] == (
                "nothing is served at this path; / is the page, and /schema describes what else there is"
            )
        answer = fetch.post(
            f"{server.http_url}/api/games",
            json={"min_players": 20},
            headers={"authorization": f"Bearer {server.guest('ann')['token']}"},
        )
        assert answer.status_code == 400
        assert answer.json()["detail"] == (
            "min_players (20) must not be more than max_players (8; without one it is 8)"
        )
