"""The setup guide's own clients, unchanged but for URL, id and token, race against the real server."""

import importlib.util
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tools.harness.player import SOLUTION, Player
from tools.harness.server import STEP_TIMEOUT_S, ServerProcess

GUIDE = Path(__file__).parent.parent / "guide"
NODE = Path(__file__).parent.parent / "node"
EXPECTED = {"player_joined", "game_started", "code_submitted", "game_finished"}


def assert_guide_told_the_race(output: str) -> None:
    """The guide's classes print a line per kind of message."""
    for kind in ("Player joined", "Game started", "Code submitted", "Game finished"):
        assert f"{kind}:" in output
    assert "WebSocket connection established" in output


def guide_python() -> Any:
    """The guide's Python module."""
    spec = importlib.util.spec_from_file_location("guide_client", GUIDE / "game_websocket.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_guides_python_class_races(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    guide = guide_python().GameWebSocket(game_id, ann["token"], server.ws_url)
    opened, seen, finished = threading.Event(), [], threading.Event()
    handle, on_open = guide.handle_message, guide.on_open

    def handle_message(data: dict[str, Any]) -> None:
        handle(data)
        seen.append(data["type"])
        if data["type"] == "game_finished":
            finished.set()

    def opening(ws: Any) -> None:
        on_open(ws)
        opened.set()

    guide.handle_message, guide.on_open = handle_message, opening
    guide.connect()
    assert opened.wait(STEP_TIMEOUT_S)
    guide.send_message("ready", {"status": "ready"})
    with Player(server, game_id, bob["token"]) as player:
        player.send("ready")
        player.until("game_started")
        player.send("submit_code", {"code": SOLUTION})
        player.until("game_finished")
        assert finished.wait(STEP_TIMEOUT_S)
    assert set(seen) >= EXPECTED
    printed = capsys.readouterr().out
    assert_guide_told_the_race(printed)
    guide.reconnect_attempts = guide.max_reconnect_attempts  # its disconnect() raises TypeError: see the docs
    guide.ws.close()
    server.wait_for_log("ws.closed", player_id=ann["player_id"])


def run_node(script: str, *, node: str = "node") -> "subprocess.Popen[str]":
    """Start a Node program in the folder where the `ws` package is."""
    return subprocess.Popen(
        [node, "--input-type=module", "--eval", script],
        cwd=NODE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    )


def test_the_guides_javascript_class_races_under_node(server: ServerProcess) -> None:
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    text = (GUIDE / "game_websocket.js").read_text()
    guide = text[: text.index("// Usage example")].replace("wss://your-backend-domain", server.ws_url)
    script = f"""
        import WebSocket from 'ws';
        globalThis.WebSocket = WebSocket;
        {guide}
        const gameWs = new GameWebSocket({json.dumps(game_id)}, {json.dumps(ann["token"])});
        gameWs.connect();
        gameWs.ws.on('open', () => gameWs.sendMessage('ready', {{ status: 'ready' }}));
        gameWs.ws.on('message', (frame) => {{
          if (JSON.parse(frame).type === 'game_finished') gameWs.disconnect();
        }});
    """
    node = run_node(script)
    with Player(server, game_id, bob["token"]) as player:
        player.send("ready")
        player.until("game_started")
        player.send("submit_code", {"code": SOLUTION})
        player.until("game_finished")
    output, _ = node.communicate(timeout=STEP_TIMEOUT_S)
    assert node.returncode == 0, output
    assert_guide_told_the_race(output)


def oldest_node() -> str:
    """The oldest Node that the JavaScript client claims, from npm."""
    found = sorted(NODE.glob("node_modules/node-linux-*/bin/node"))
    assert found, "npm install has not been run in tests/node; run: make test"
    return str(found[0])


@pytest.mark.parametrize("which", ["oldest", "installed"])
def test_the_shipped_javascript_client_races_and_resumes_under_node(tmp_path: Path, which: str) -> None:
    node = oldest_node() if which == "oldest" else "node"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    assert which != "oldest" or version.startswith("v18.")
    server = ServerProcess(tmp_path / "server")
    server.start()
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    client = Path(__file__).parents[2] / "clients/javascript/client.js"
    script = f"""
        import WebSocket from 'ws';
        import {{ readFileSync }} from 'node:fs';
        const source = readFileSync({json.dumps(str(client))}, 'utf8');
        const {{ GameWebSocket }} = await import('data:text/javascript,' + encodeURIComponent(source));
        const game = new GameWebSocket({json.dumps(game_id)}, {json.dumps(ann["token"])}, {{
          url: {json.dumps(server.ws_url)}, WebSocket, maxReconnectAttempts: 20,
        }});
        const say = (what) => console.log(JSON.stringify(what));
        game.on('*', (message) => {{
          if (message.seq) say({{ seq: message.seq, type: message.type }});
          if (message.type === 'welcome') say({{ welcome: message.data.resumed }});
          if (['player_joined', 'player_reconnected'].includes(message.type)) {{
            game.sendMessage('ready', {{ status: 'ready' }});
          }}
          if (message.type === 'game_finished') game.disconnect();
        }});
        game.on('end', (end) => say({{ end }}));
        game.connect();
    """
    process = run_node(script, node=node)
    with Player(server, game_id, bob["token"], "?last_seq=0") as player:
        player.until("player_ready", player_id=ann["player_id"])  # so the client has seen itself join
        server.kill()
    server.start()
    with Player(server, game_id, bob["token"]) as player:
        server.wait_for_log("ws.opened", player_id=ann["player_id"], resume="resumed")
        player.send("ready")
        player.until("game_started")
        player.send("submit_code", {"code": SOLUTION})
        player.until("game_finished")
        output, _ = process.communicate(timeout=STEP_TIMEOUT_S)
    assert process.returncode == 0, output
    said = [json.loads(line) for line in output.splitlines()]
    assert [line["welcome"] for line in said if "welcome" in line] == [False, True]
    seqs = [line["seq"] for line in said if "seq" in line]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert said[-1]["type"] == "game_finished"
    server.stop()


def test_the_javascript_client_learns_why_it_was_refused(server: ServerProcess) -> None:
    client = Path(__file__).parents[2] / "clients/javascript/client.js"
    script = f"""
        import WebSocket from 'ws';
        import {{ readFileSync }} from 'node:fs';
        const source = readFileSync({json.dumps(str(client))}, 'utf8');
        const {{ GameWebSocket }} = await import('data:text/javascript,' + encodeURIComponent(source));
        const options = {{ url: {json.dumps(server.ws_url)}, WebSocket }};
        const game = new GameWebSocket('7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2aff', 'nonsense', options);
        game.on('end', ({{ code, detail }}) => console.log(JSON.stringify({{ code, detail }})));
        game.connect();
    """
    output, _ = run_node(script).communicate(timeout=STEP_TIMEOUT_S)
    assert json.loads(output)["code"] == 401
    assert "malformed" in json.loads(output)["detail"]
    assert "nonsense" not in output


def test_wscat_plays(server: ServerProcess) -> None:
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"], min_players=1)
    wscat = subprocess.Popen(
        [
            "node_modules/.bin/wscat",
            "--no-color",
            "-H",
            f"Authorization: Bearer {ann['token']}",
            "-c",
            f"{server.ws_url}/ws/{game_id}",
        ],
        cwd=NODE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server.wait_for_log("ws.opened", player_id=ann["player_id"])
    assert wscat.stdin is not None
    wscat.stdin.write('{"type":"ready","data":{"status":"ready"}}\n')
    wscat.stdin.flush()
    server.wait_for_log("game.started", game_id=game_id)
    wscat.stdin.write('{"type":"leave"}\n')
    wscat.stdin.flush()
    server.wait_for_log("ws.closed", player_id=ann["player_id"], code=1000)
    output, _ = wscat.communicate(timeout=STEP_TIMEOUT_S)
    assert '"type":"game_started"' in output


def test_wscat_reads_a_refusal(server: ServerProcess) -> None:
    wscat = subprocess.Popen(
        ["node_modules/.bin/wscat", "--no-color", "-c", f"{server.ws_url}/ws/7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2aff"],
        cwd=NODE,
        stdin=subprocess.PIPE,  # kept open: wscat ends with its input
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wscat.wait(STEP_TIMEOUT_S)
    output, _ = wscat.communicate()
    assert "401" in output
