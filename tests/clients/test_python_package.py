"""The Python package: built, installed into an empty environment, and used there against a real server.

`make test-fresh` runs this with the Python of Debian 12 (3.11) and that of Debian 13 (3.13).
"""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import __version__
from tools.harness.player import SOLUTION
from tools.harness.server import ROOT, ServerProcess

CLIENT = ROOT / "clients/python"
BIN = Path(sys.executable).parent
ASKED = f"""
import os, sys
game_id, token = os.environ["GAME"], os.environ["TOKEN"]
solve = lambda problem: {SOLUTION!r}
"""
VERIFIED = """
import code_racer_client
assert code_racer_client.__version__ == os.environ["VERSION"]
assert "app" not in sys.modules, "nothing of the service"
"""
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (CLIENT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run to the end, which must be a success; what was printed. No folder of ours is where modules are looked for."""
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(command), cwd=cwd, env=known | environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that would be published."""
    folder = tmp_path_factory.mktemp("dist")
    run(BIN / "uv", "build", "--python", sys.executable, "--wheel", "--out-dir", folder, CLIENT, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the package, and what it asks for."""
    folder = tmp_path_factory.mktemp("installed")
    run(BIN / "uv", "venv", "--python", sys.executable, "--no-project", folder / "env", cwd=folder)
    python = folder / "env/bin/python"
    run(BIN / "uv", "pip", "install", "--python", python, wheel, cwd=folder)
    return python


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        yield process


def test_it_holds_the_package_its_types_and_its_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    ours = {str(path.relative_to(CLIENT)) for path in (CLIENT / "code_racer_client").glob("*") if path.is_file()}
    assert {name for name in names if ".dist-info/" not in name} == ours
    assert "code_racer_client/py.typed" in ours
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_it_asks_for_websockets_and_msgspec_only(installed: Path) -> None:
    listed = json.loads(run(BIN / "uv", "pip", "list", "--python", installed, "--format", "json", cwd=installed.parent))
    assert {one["name"]: one["version"] for one in listed}.pop("code-racer-client") == __version__
    assert {one["name"] for one in listed} == {"code-racer-client", "msgspec", "websockets"}


@pytest.mark.parametrize("example", EXAMPLES, ids=["asyncio", "sync"])
def test_the_examples_of_its_readme_race_without_anything_of_the_service(
    installed: Path, server: ServerProcess, example: str
) -> None:
    guest = server.guest("ann")
    asked = {"GAME": server.new_game(guest["token"], min_players=1), "TOKEN": guest["token"], "VERSION": __version__}
    program = ASKED + example.replace("wss://race.example.org", server.ws_url) + VERIFIED
    assert run(installed, "-c", program, cwd=installed.parent, **asked) == f"winner {guest['player_id']}\n"


def test_it_takes_the_releases_that_the_service_takes() -> None:
    """The service holds the client: what it requires, that has to do for both."""
    ours, theirs = (
        {re.split(r"[\[<>=;]", one)[0]: one for one in tomllib.loads(path.read_text())["project"]["dependencies"]}
        for path in (CLIENT / "pyproject.toml", ROOT / "pyproject.toml")
    )
    assert ours.items() <= theirs.items()
