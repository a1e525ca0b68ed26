"""The image: its properties are read and its very steps are run; an engine builds it in ``tests/proof``."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app import __version__
from app.settings import Settings
from tools.harness import fetch
from tools.harness.server import ROOT, SECRET, free_port, until

DOCKERFILE = ROOT / "deploy/Dockerfile"
TEXT = DOCKERFILE.read_text()
USER = 10001


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and arguments, continued lines joined, comments left out."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in joined.splitlines() if line.strip()]


BUILD, FINAL = (instructions(f"FROM {part}") for part in TEXT.split("\nFROM ")[1:])


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([program, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_is_what_it_should_be() -> None:
    names = [name for name, _ in FINAL]
    of = dict(FINAL)
    assert {of["FROM"], *(argument.split(" AS ")[0] for name, argument in BUILD if name == "FROM")} == {of["FROM"]}
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", of["FROM"]), "pinned, slim"
    assert of["USER"] == f"{USER}:{USER}"
    assert names.index("USER") < names.index("CMD")
    assert of["CMD"] == '["code-racer", "serve"]', "exec form: SIGTERM reaches the service"
    assert re.search(r"CMD \[", of["HEALTHCHECK"]), "exec form"
    assert "pip install" not in str(FINAL)
    assert not any(word in str(FINAL) for word in ("apt-get", "gcc", "curl")), "no tools but Python's"
    for label in ("title", "description", "source", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{label}=" in of["LABEL"]
    assert f"VERSION={__version__}" in TEXT
    assert of["STOPSIGNAL"] == "SIGTERM"


def environment() -> dict[str, str]:
    return dict(re.findall(r"([A-Z_]+)=(\S+)", dict(FINAL)["ENV"]))


def test_its_environment_holds_only_settings_that_exist() -> None:
    names = set(environment()) - {"PATH", "HOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert names <= {name.upper() for name in Settings.model_fields}
    exposed = dict(FINAL)["EXPOSE"].split()
    assert exposed == [environment()["PORT"], environment()["OPS_PORT"]]


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """A folder in which the build stage's steps have run: `opt` is what the final stage copies."""
    place = Path(tempfile.mkdtemp(prefix="code-racer-image-"))
    place.chmod(0o755)
    try:
        source = place / "src"
        source.mkdir()
        copied = [argument.split() for name, argument in BUILD if name == "COPY"]
        for *sources, target in copied:
            for one in sources:
                if (ROOT / one).is_dir():
                    shutil.copytree(ROOT / one, source / target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    (source / target).mkdir(exist_ok=True)
                    shutil.copy(ROOT / one, source / target)
        (place / "opt").mkdir()
        python = next(one for one in ("/usr/bin/python3", sys.executable) if Path(one).exists())  # one that all may use
        for name, argument in BUILD:
            if name == "RUN":
                command = argument.replace("/opt/", f"{place}/opt/").replace("python -m venv", f"{python} -m venv")
                subprocess.run(["bash", "-ec", command], cwd=source, check=True, capture_output=True)
        yield place
    finally:
        shutil.rmtree(place)


def test_its_steps_make_a_service_that_runs_read_only_as_somebody_without_rights(built: Path, tmp_path: Path) -> None:
    """The whole file system is read-only but for /data, as with ``docker run --read-only``, in a mount namespace."""
    data = Path(tempfile.mkdtemp(prefix="code-racer-data-"))
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(data, USER, USER)
    port, ops_port = free_port(), free_port()
    settings = {
        **environment(),
        "PATH": f"{built}/opt/code-racer/bin:/usr/bin",
        "PORT": str(port),
        "OPS_PORT": str(ops_port),
        "EVENT_LOG_URL": environment()["EVENT_LOG_URL"].replace("/data/", f"{data}/"),
        "JWT_SECRET": SECRET,
        "DRAIN_DELAY_S": "0",
        "SCRAPE_WAIT_S": "0",
    }
    mounts = f"mount --bind {data} {data} && mount -o remount,bind,ro /"
    drop = f"setpriv --reuid {USER} --regid {USER} --clear-groups --bounding-set -all --no-new-privs" if is_root else ""
    start = re.sub(r'[\[\]",]', "", dict(FINAL)["CMD"])
    alone = ["unshare", "-m"] if is_root else ["unshare", "-r", "-m"]
    command = [*alone, "sh", "-c", f"{mounts} && cd {data} && exec {drop} {start}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=settings, stdout=log, stderr=log)
    try:
        until(lambda: answers(ops_port, "/readyz") or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert fetch.get(f"http://127.0.0.1:{port}/").status_code == 200
        check = re.search(r"CMD (\[.*\])", dict(FINAL)["HEALTHCHECK"])
        assert check is not None
        health = json.loads(check[1])
        assert subprocess.run(health, env=settings, check=False).returncode == 0
        assert (data / "code-racer.db").exists()
        status = Path(f"/proc/{process.pid}/status").read_text()
        if is_root:
            assert f"Uid:\t{USER}\t{USER}" in status
            assert "CapEff:\t0000000000000000" in status
        process.terminate()
        assert process.wait(60) == 0
        assert subprocess.run(health, env=settings, check=False, capture_output=True).returncode != 0, "it can fail"
    finally:
        process.kill()
        process.wait(30)
        shutil.rmtree(data)


def answers(port: int, path: str) -> bool:
    """Whether it says yes."""
    try:
        return fetch.get(f"http://127.0.0.1:{port}{path}").status_code == 200
    except httpx.TransportError:
        return False
