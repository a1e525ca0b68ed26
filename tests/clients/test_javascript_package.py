"""The npm package: packed, installed into an empty folder, and used there against a real server."""

import functools
import gzip
import http.server
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from app import __version__
from tools.harness.player import SOLUTION
from tools.harness.server import ROOT, STEP_TIMEOUT_S, ServerProcess, until

CLIENT = ROOT / "clients/javascript"
NODE = ROOT / "tests/node"
MODULES = NODE / "node_modules"
PROGRAMS = NODE / "package"
MODULES_OF_IT = ("client", "http", "index", "presence")
MOST_BYTES = 5_000
BORROWED = ("ws", "react", "react-dom")
"""What the programs need beside the package; that is installed by itself."""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run to the end, which must be a success; what was printed."""
    done = subprocess.run(
        list(command), cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def node(release: str) -> Path:
    """A release of Node, from npm."""
    found = sorted(MODULES.glob(f"node{'' if release == '18' else release}-linux-*/bin/node"))
    assert found, "npm install has not been run in tests/node; run: make test"
    return found[0]


def esbuild(entry: str | Path, *arguments: str, cwd: Path) -> str:
    """Minify a module; what was made, where it is not to be written."""
    return run(MODULES / ".bin/esbuild", entry, "--minify", "--format=esm", "--log-level=error", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that would be published."""
    folder = tmp_path_factory.mktemp("packed")
    source = shutil.copytree(CLIENT, folder / "source", ignore=shutil.ignore_patterns("*.cjs", "*.cts"))
    run("npm", "pack", "--silent", "--pack-destination", folder, cwd=source)
    (made,) = folder.glob("*.tgz")
    return made


@pytest.fixture(scope="module")
def project(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the package installed, and the programs that use it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"private": true}')
    run("npm", "install", "--offline", "--no-audit", "--no-fund", packed, cwd=folder)
    assert [path.name for path in (folder / "node_modules").iterdir() if path.is_dir()] == ["@code-racer"]
    for name in BORROWED:
        (folder / "node_modules" / name).symlink_to(MODULES / name)
    shutil.copytree(PROGRAMS, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        yield process


def joined(server: ServerProcess, release: str, program: str, project: Path, **changed: str) -> list[dict[str, object]]:
    """What a program says that joins a game of its own; it ends when nothing of the client is left."""
    guest = server.guest("ann")
    game_id = server.new_game(guest["token"], min_players=2)
    asked = {"URL": server.ws_url, "GAME": game_id, "TOKEN": guest["token"]} | changed
    return [json.loads(line) for line in run(node(release), program, cwd=project, **asked).splitlines()]


JOINED = [{"version": __version__, "seq": 3}]


def test_it_holds_what_it_says_and_nothing_else(packed: Path) -> None:
    with tarfile.open(packed) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    modules = {f"{name}.{kind}" for name in MODULES_OF_IT for kind in ("js", "cjs", "d.ts", "d.cts")}
    said = modules | {"package.json", "README.md", "CHANGELOG.md", "LICENSE"}
    assert names == said
    assert packed.name == f"code-racer-client-{__version__}.tgz"


@pytest.mark.parametrize("release", ["18", "20", "22"])
@pytest.mark.parametrize("program", ["join.mjs", "join.cjs"])
def test_it_joins_under_each_node_imported_and_required(
    server: ServerProcess, project: Path, release: str, program: str
) -> None:
    assert run(node(release), "--version", cwd=project).startswith(f"v{release}.")
    assert joined(server, release, program, project) == JOINED


@pytest.mark.parametrize("release", ["18", "20", "22"])
def test_a_refusal_is_told_under_each_node_within_a_second(server: ServerProcess, project: Path, release: str) -> None:
    """That of Node 22's own WebSocket is an error that no close follows. The program lets no longer wait end."""
    (end,) = joined(server, release, "join.mjs", project, TOKEN="no.good.token")
    assert end["code"] == 401


def test_the_example_of_its_readme_races(server: ServerProcess, project: Path) -> None:
    (example,) = re.findall(r"^```js\n(.*?)^```$", (CLIENT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    guest = server.guest("ann")
    given = {"gameId": server.new_game(guest["token"], min_players=1), "token": guest["token"], "code": SOLUTION}
    prelude = f"const {{ gameId, token, code }} = {json.dumps(given)}; const solve = () => code;\n"
    (project / "readme.mjs").write_text(prelude + example.replace("wss://race.example.org", server.ws_url))
    assert run(node("22"), "readme.mjs", cwd=project) == f"winner {guest['player_id']}\n"


def test_typescript_takes_it_as_module_and_as_commonjs_and_refuses_what_is_misspelt(project: Path) -> None:
    """Each `@ts-expect-error` in the programs is one: where the line compiles, that is an error."""
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "false"]
    (project / "package.json").write_text('{"private": true, "type": "module"}')
    run(MODULES / ".bin/tsc", *options, "types.ts", "types.cts", cwd=project)


def test_a_bundle_of_esbuild_joins(server: ServerProcess, project: Path) -> None:
    esbuild("join.mjs", "--bundle", "--external:ws", "--outfile=out.mjs", cwd=project)
    assert "@code-racer" not in (project / "out.mjs").read_text()
    assert joined(server, "22", "out.mjs", project) == JOINED


def test_a_bundler_leaves_it_out_where_nothing_of_it_is_used(project: Path) -> None:
    (project / "nothing.mjs").write_text("import { GameWebSocket } from '@code-racer/client';")
    assert esbuild("nothing.mjs", "--bundle", cwd=project).strip() == ""


def test_the_one_file_stays_small() -> None:
    assert not re.search(r"^import |^export .* from ", (CLIENT / "client.js").read_text(), re.MULTILINE)
    minified = esbuild(CLIENT / "client.js", cwd=NODE)
    assert len(gzip.compress(minified.encode(), mtime=0)) <= MOST_BYTES


@pytest.fixture(scope="module")
def page(project: Path) -> Iterator[str]:
    """The URL of the page that Vite has built, for development: in production React mounts once."""
    vite = (node("22"), MODULES / "vite/bin/vite.js")  # the Node of Debian 12 is too old for it
    run(*vite, "build", "--mode", "development", "--logLevel", "warn", cwd=project, NODE_ENV="development")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=project / "dist")
    handler.log_message = lambda *_: None  # type: ignore[attr-defined] # a partial takes attributes
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}/"
        web.shutdown()
        thread.join()


def test_a_bundle_of_vite_in_reacts_strict_mode_has_one_socket_and_leaves_none(
    server: ServerProcess, page: str
) -> None:
    """Strict mode mounts, unmounts and mounts again, at once."""
    faults: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        for kept in ("", "&kept"):
            guest = server.guest("ann")
            game = server.new_game(guest["token"], min_players=2)
            tab = chromium.new_page()
            tab.on("pageerror", lambda error: faults.append(str(error)))
            tab.goto(f"{page}#game={game}&token={guest['token']}&url={server.ws_url}{kept}")
            expect(tab.locator("p")).to_have_text("open", timeout=STEP_TIMEOUT_S * 1000)
            told = tab.evaluate("told()")
            assert (told["mounts"], told["open"]) == (2, 1), kept
            until(lambda: server.metric("ws_connections") == 1)
            tab.evaluate("unmount()")
            tab.wait_for_function("told().open === 0")
            until(lambda: server.metric("ws_connections") == 0)
            assert "replaced" not in tab.evaluate("told()")["ends"], kept
            assert faults == [], kept
            tab.close()
        chromium.close()
