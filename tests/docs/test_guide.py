"""Every example of the setup guide is run: in a shell, in Node, in Chromium, in Python, behind a real nginx."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from app.protocol import CLIENT_TYPES, Batch, decode
from app.settings import Settings
from tools.harness import fetch
from tools.harness.nginx import Nginx, ThroughProxy
from tools.harness.player import Player
from tools.harness.server import ROOT, SOURCES, STEP_TIMEOUT_S, ServerProcess, until
from tools.harness.tls import Certificates

ENGLISH, KOREAN = ROOT / "docs/WEBSOCKET_SETUP.en.md", ROOT / "docs/WEBSOCKET_SETUP.md"
NODE = ROOT / "tests/node"
_EXAMPLE = re.compile(r"<!-- example: ([\w-]+) -->\n```(\w+)\n(.*?)\n```", re.DOTALL)
_FENCE = re.compile(r"^```\w", re.MULTILINE)


def examples(path: Path) -> dict[str, str]:
    """Code by name."""
    return {name: code for name, _, code in _EXAMPLE.findall(path.read_text("utf-8"))}


EXAMPLES = examples(ENGLISH)


@dataclass(frozen=True)
class Stage:
    """A running server, a game, and a token to play it with."""

    server: ServerProcess
    browser: Browser
    folder: Path
    game: str
    token: str

    def here(self, code: str) -> str:
        """The example with this server's address, and the programs of this environment."""
        code = code.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        return code.replace("localhost:8080", self.server.host).replace("127.0.0.1:8080", self.server.host)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), finished_linger_s=30) as process:
        yield process


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def stage(server: ServerProcess, browser: Browser, tmp_path: Path) -> Stage:
    token = server.guest("ann")["token"]
    return Stage(server, browser, tmp_path, server.new_game(token, min_players=1), token)


def run(stage: Stage, command: list[str], *, cwd: Path | None = None, **environment: str) -> str:
    """Run to the end, which must be a success; what was printed."""
    path = f"{Path(sys.executable).parent}:{NODE / 'node_modules/.bin'}:{os.environ['PATH']}"
    known = {"PATH": path, "PYTHONPATH": SOURCES, "GAME": stage.game, "TOKEN": stage.token}
    terminal, keyboard = os.pipe()  # nobody types, but nobody has gone either: wscat would end
    try:
        done = subprocess.run(
            command, cwd=cwd or stage.folder, env=os.environ | known | stage.server.settings | environment,
            stdin=terminal, capture_output=True, text=True, timeout=STEP_TIMEOUT_S, check=False,
        )  # fmt: skip
    finally:
        os.close(terminal)
        os.close(keyboard)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shell(stage: Stage, *names: str, cwd: Path | None = None) -> str:
    script = "\n".join(EXAMPLES[name] for name in names)
    return run(stage, ["bash", "-euo", "pipefail", "-c", stage.here(script)], cwd=cwd)


def make_run_is_a_target(stage: Stage) -> None:
    (line, *_) = EXAMPLES["start"].split("#")
    run(stage, ["make", "-n", *line.split()[1:]], cwd=ROOT)


def plays_with_wscat(stage: Stage) -> None:
    assert '"type":"game_started"' in shell(stage, "token", "wscat")


def asks_why(stage: Stage) -> None:
    good, bad = shell(stage, "diagnose").split("\n", 1)
    assert good == "426"
    assert json.loads(bad)["status"] == 401


def bots_race(stage: Stage) -> None:
    assert shell(stage, "bot").startswith("finished: first_accepted")


def asks_for_health(stage: Stage) -> None:
    text = shell(stage, "health")
    assert '"event_log":true' in text
    assert re.search(r"^code_racer_ws_connections \d", text, re.MULTILINE)
    assert 'reason="normal"' in text


def reads_the_log(stage: Stage) -> None:
    with Player(stage.server, stage.game, stage.token) as player:
        player.receive()
    stage.server.wait_for_log("ws.closed", game_id=stage.game)
    lines = shell(stage, "logs", cwd=stage.server.folder).splitlines()
    assert json.loads(lines[-1])["event"] == "ws.closed"


def in_node(name: str, expected: str) -> Callable[[Stage], None]:
    def play(stage: Stage) -> None:
        folder = NODE / f".guide-{name}"  # where the ws package is found
        folder.mkdir(exist_ok=True)
        try:
            shutil.copytree(ROOT / "clients/javascript", folder / "node_modules/@code-racer/client")
            (folder / "package.json").write_text('{"type": "module"}')
            code = stage.here(EXAMPLES[name])
            if name == "header":  # it stays connected: end it once it has seen the race begin
                code += "\nws.on('message', (frame) => { if (JSON.parse(frame).type === 'game_started') ws.close(); });"
            (folder / f"{name}.js").write_text(code)
            printed = run(stage, ["node", f"{name}.js"], cwd=folder)
        finally:
            shutil.rmtree(folder)
        assert expected in printed

    return play


def in_chromium(name: str) -> Callable[[Stage], None]:
    def play(stage: Stage) -> None:
        context = stage.browser.new_context(bypass_csp=True)
        page = context.new_page()
        printed: list[str] = []
        page.on("console", lambda message: printed.append(message.text))
        page.goto(f"{stage.server.http_url}/")
        page.evaluate(f"Object.assign(window, {json.dumps({'GAME': stage.game, 'TOKEN': stage.token})})")
        page.add_script_tag(type="module", content=stage.here(EXAMPLES[name]))
        expected = "solve " if name == "client-browser" else "welcome"
        # asking the page something lets Playwright hand over what was printed
        until(lambda: page.evaluate("true") and any(line.startswith(expected) for line in printed))
        context.close()
        assert stage.server.wait_for_log("ws.opened", game_id=stage.game)

    return play


def in_python(name: str, expected: str) -> Callable[[Stage], None]:
    def play(stage: Stage) -> None:
        assert expected in run(stage, [sys.executable, "-c", stage.here(EXAMPLES[name])])

    return play


def are_messages(_: Stage) -> None:
    decoded = [decode(line) for line in EXAMPLES["messages"].splitlines()]
    kinds = {"batch" if isinstance(message, Batch) else message.type for message in decoded}
    assert kinds == {*CLIENT_TYPES, "batch"}


def are_settings(name: str) -> Callable[[Stage], None]:
    def check(stage: Stage) -> None:
        files = Certificates(stage.folder / "tls")
        text = EXAMPLES[name].replace("/etc/code-racer/tls/fullchain.pem", str(files.cert))
        text = text.replace("/etc/code-racer/tls/privkey.pem", str(files.key))
        (stage.folder / ".env").write_text(text)
        clean = {key: value for key, value in os.environ.items() if key.lower() not in Settings.model_fields}
        done = subprocess.run(
            [sys.executable, "-m", "app", "check-config"], cwd=stage.folder, env=clean | {"PYTHONPATH": SOURCES},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for line in text.splitlines():
            key, value = line.split("#")[0].strip().split("=", 1)
            assert f"{key}={'******' if 'SECRET' in key else value}" in done.stdout.splitlines()

    return check


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def behind_nginx(stage: Stage) -> None:
    """A server that trusts the proxy, a real nginx with the example's location, a player through it."""
    port = free_port()
    with ServerProcess(stage.folder / "server", trusted_proxies="127.0.0.1") as server:
        location = EXAMPLES["nginx"].replace("127.0.0.1:8080", server.host)
        with Nginx(stage.folder / "nginx", f"server {{\nlisten 127.0.0.1:{port};\n{location}\n}}"):
            until(lambda: answers(port))
            token = server.guest("ann")["token"]
            game = server.new_game(token, min_players=1)
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "203.0.113.9"}
            with Player(ThroughProxy(port), game, "", additional_headers=headers) as player:  # type: ignore[arg-type] # as much of a server as a player needs
                player.send("ready")
                player.until("game_started")
            assert server.wait_for_log("ws.opened")["client"] == "203.0.113.9"


def answers(port: int) -> bool:
    try:
        return fetch.get(f"http://127.0.0.1:{port}/livez").status_code == 200
    except httpx.TransportError:
        return False


RUNNERS: dict[str, Callable[[Stage], None]] = {
    "start": make_run_is_a_target,
    "token": plays_with_wscat,
    "wscat": plays_with_wscat,
    "bot": bots_race,
    "header": in_node("header", "game_started"),
    "subprotocol": in_chromium("subprotocol"),
    "ticket": in_chromium("ticket"),
    "query": in_chromium("query"),
    "first-message": in_chromium("first-message"),
    "client-browser": in_chromium("client-browser"),
    "client-node": in_node("client-node", "connectionCount: 1"),
    "client-features": in_node("client-features", "verdict"),
    "client-python": in_python("client-python", "verdict"),
    "client-python-more": in_python("client-python-more", "'connection_count': 1"),
    "client-python-features": in_python("client-python-features", "verdict"),
    "messages": are_messages,
    "env": are_settings("env"),
    "env-rotation": are_settings("env-rotation"),
    "env-jwks": are_settings("env-jwks"),
    "env-tls": are_settings("env-tls"),
    "nginx": behind_nginx,
    "diagnose": asks_why,
    "health": asks_for_health,
    "logs": reads_the_log,
}


@pytest.mark.parametrize("name", RUNNERS)
def test_an_example_of_the_guide(stage: Stage, name: str) -> None:
    RUNNERS[name](stage)


@pytest.mark.parametrize("path", [ENGLISH, KOREAN], ids=lambda path: path.name)
def test_every_code_block_is_an_example_that_is_run(path: Path) -> None:
    assert set(examples(path)) == set(RUNNERS)
    assert len(_FENCE.findall(path.read_text("utf-8"))) == len(RUNNERS)


def test_both_languages_show_the_same_examples_and_the_same_sections() -> None:
    assert examples(ENGLISH) == examples(KOREAN)
    english, korean = (re.findall(r"^#+ ", path.read_text("utf-8"), re.MULTILINE) for path in (ENGLISH, KOREAN))
    assert english == korean


def test_the_links_of_the_guides_lead_somewhere() -> None:
    for path in (ENGLISH, KOREAN):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), target
