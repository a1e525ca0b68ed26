"""The wheel that `make wheel` makes: it holds the whole service, and installs with the tools that people have."""

import email
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app import __version__
from app.web.pages import served
from tests.docs.commands import examples
from tools.harness import fetch
from tools.harness.server import ROOT, SECRET, free_port, until

pytestmark = pytest.mark.timeout(600)
BIN = Path(sys.executable).parent
INSTALL_TIMEOUT_S = 300
NOBODY = "http://127.0.0.1:9/simple"


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run to the end, which must be a success; what was printed."""
    done = subprocess.run(
        list(command), cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made with what builds it at hand, and without an index: nobody is asked for the clients."""
    folder, backend = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("backend")
    recipe = re.search(r"(pip wheel .*) --wheel-dir dist \.$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    builds = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    run(BIN / "python", "-m", "pip", "wheel", "--wheel-dir", backend, *builds, cwd=folder)
    alone = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(backend),
        "PIP_INDEX_URL": NOBODY,
        "PIP_EXTRA_INDEX_URL": NOBODY,
    }
    run(BIN / "python", "-m", *recipe[1].split(), "--wheel-dir", folder, ROOT, cwd=folder, **alone)
    (made,) = folder.glob("*.whl")
    return made


def test_it_holds_every_file_of_the_service(wheel: Path) -> None:
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "app", cwd=ROOT).splitlines()
    assert set(zipfile.ZipFile(wheel).namelist()) >= {name for name in listed if (ROOT / name).exists()}


def test_it_holds_the_runbooks_which_the_console_shows(wheel: Path) -> None:
    held = {Path(name).stem for name in zipfile.ZipFile(wheel).namelist() if name.startswith("app/console/runbooks/")}
    assert held == {path.stem for path in (ROOT / "alerts/runbooks").glob("*.md")} != set()


def test_it_holds_the_clients_and_no_index_is_asked_for_them(wheel: Path, tmp_path: Path) -> None:
    """Nor by who installs it: an installer asks an index for what the metadata requires, and for nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (path,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        required = email.message_from_bytes(archive.read(path)).get_all("Requires-Dist", [])
    assert {f"app/web/static/{name}" for name in served()} <= set(names)
    assert not [name for name in names if name.endswith((".mjs", ".json", "/LICENSE.md")) and "static" in name]
    pip = ("-m", "pip", "install", "--no-deps", "--no-index", "--target", tmp_path / "installed")
    run(BIN / "python", *pip, wheel, cwd=tmp_path)
    asked = (
        "import code_racer_client; from app.client import ClientError as one; print(code_racer_client.__file__, one)"
    )
    told = run(BIN / "python", "-c", asked, cwd=tmp_path, PYTHONPATH=str(tmp_path / "installed"))
    assert told.split() == [
        str(tmp_path / "installed/code_racer_client/__init__.py"),
        "<class",
        "'code_racer_client.errors.ClientError'>",
    ]
    assert required
    assert not [one for one in required if re.match(r"code[-_.]racer", one, re.IGNORECASE)]


def with_uv_run(_: Path, folder: Path) -> list[str | Path]:
    """In a clone; of the groups for checks and tests none is installed."""
    clone = folder / "clone"
    for name in ("app", "clients"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    return [BIN / "uv", "run", "--project", clone, "code-racer"]


def with_uvx(wheel: Path, _: Path) -> list[str | Path]:
    """From the wheel, without installing it."""
    return [BIN / "uvx", "--from", wheel, "code-racer"]


def with_pipx(wheel: Path, folder: Path) -> list[str | Path]:
    """From the wheel, in an environment of its own."""
    places = {"PIPX_HOME": str(folder / "home"), "PIPX_BIN_DIR": str(folder / "bin")}
    run(BIN / "pipx", "install", "--python", sys.executable, wheel, cwd=folder, **places)
    return [folder / "bin/code-racer"]


def with_pip(wheel: Path, folder: Path) -> list[str | Path]:
    """As the operations guide has it for systemd; only the places are others."""
    commands = examples(ROOT / "docs/operations.md")["install"]
    made, made_here = "make wheel\n", f"mkdir -p dist && cp {wheel} dist\n"
    assert commands.startswith(made)
    commands = commands.replace(made, made_here)
    for place in ("/opt", "/etc"):
        (folder / place[1:]).mkdir()
        commands = commands.replace(f"{place}/", f"{folder}{place}/")
    run("bash", "-euc", commands, cwd=folder)
    settings = (folder / "etc/code-racer/env").read_text()
    assert re.search(r"^JWT_SECRET=[0-9a-f]{64}$", settings, re.MULTILINE)
    assert (folder / "etc/code-racer").stat().st_mode & 0o777 == 0o700
    return [folder / "opt/code-racer/bin/code-racer"]


@pytest.mark.parametrize("how", [with_uv_run, with_uvx, with_pipx, with_pip])
def test_what_it_installs_serves_the_page(
    wheel: Path, tmp_path: Path, how: Callable[[Path, Path], list[str | Path]]
) -> None:
    command = how(wheel, tmp_path)
    place = tmp_path / "elsewhere"
    place.mkdir()
    assert run(*command, "--version", cwd=place).strip() == __version__
    port = str(free_port())
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "serve"],
            cwd=place,
            env=os.environ | {"PORT": port, "JWT_SECRET": SECRET},
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: "Code Racer is ready" in (place / "log").read_text() or process.poll() is not None)
        page = fetch.get(f"http://127.0.0.1:{port}/")
        named = re.findall(r'(?:href|src)="([\w.]+)"', page.text)
        assert {"icon.svg", "race.css", "race.js"} <= set(named)
        for name in (*named, "client.js", "client.d.ts"):
            assert fetch.get(f"http://127.0.0.1:{port}/{name}").status_code == 200, name
        assert fetch.get(f"http://127.0.0.1:{port}/api/problems").json()
    finally:
        process.terminate()
        assert process.wait(30) == 0, (place / "log").read_text()
