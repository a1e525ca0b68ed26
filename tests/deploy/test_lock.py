"""What the image is built of: chosen once, with hashes, as pyproject.toml asks for it."""

import re
import subprocess
import sys
import tomllib
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.harness.server import ROOT

LOCK: Final = ROOT / "deploy/requirements.lock"
BUILD: Final = ROOT / "deploy/build.lock"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
LEFT_OUT: Final[list[str]] = PROJECT["tool"]["uv"]["pip"]["no-emit-package"]
ENTRY: Final = re.compile(r"^([a-z0-9-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", re.MULTILINE)
FOR_THE_IMAGE: Final = {"python_version": "3.11", "platform_system": "Linux", "extra": ""}


def locked(text: str) -> dict[str, str]:
    """Version by name; a line that is neither that nor a hash is not there."""
    assert ENTRY.sub("", text) == "", "names, versions and hashes: no host, no path, no option"
    return {name: version for name, version, _ in ENTRY.findall(text)}


def missing(wanted: list[str], chosen: dict[str, str]) -> list[str]:
    """What is wanted and not chosen, or in another version."""
    return [
        str(one)
        for one in map(Requirement, wanted)
        if one.marker is None or one.marker.evaluate(FOR_THE_IMAGE)
        if (version := chosen.get(canonicalize_name(one.name))) is None
        or not one.specifier.contains(version, prereleases=True)
    ]


def test_the_image_has_what_the_project_asks_for() -> None:
    chosen = locked(LOCK.read_text())
    assert missing(PROJECT["project"]["dependencies"], chosen) == []
    assert missing(["litestar>=99", "tensorflow"], chosen) == ["litestar>=99", "tensorflow"], "it is seen"
    assert not chosen.keys() & {*LEFT_OUT, "grpcio", "pip", "setuptools"}


def test_it_is_built_with_what_the_project_asks_for() -> None:
    asked = (ROOT / "deploy/build.in").read_text().splitlines()
    wanted = [line.split(" #")[0] for line in asked if not line.startswith("#")]
    assert missing([*wanted, *PROJECT["build-system"]["requires"]], locked(BUILD.read_text())) == []


@pytest.mark.parametrize("line", ["--index-url https://index.example.org/simple\n", "nats-py==2.16.0\n"])
def test_a_lock_that_names_a_host_or_has_no_hash_is_refused(line: str) -> None:
    with pytest.raises(AssertionError, match="no host"):
        locked(line + BUILD.read_text())


def test_the_service_imports_nothing_that_the_image_leaves_out() -> None:
    """Every module of it, where those names cannot be imported."""
    script = (
        "import importlib, pkgutil, sys\n"
        "for name in sys.argv[1:]: sys.modules[name] = None\n"
        "import app, code_racer_client\n"
        "for root in (app, code_racer_client):\n"
        "    for one in pkgutil.walk_packages(root.__path__, root.__name__ + '.'):\n"
        "        if not one.name.endswith('__main__'): importlib.import_module(one.name)\n"
    )
    names = [*(name.replace("-", "_") for name in LEFT_OUT), "grpc"]
    done = subprocess.run([sys.executable, "-c", script, *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
