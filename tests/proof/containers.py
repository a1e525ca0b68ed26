"""Containers by podman, in a storage of its own that is removed at the end; no image is pulled.

In place of an image that a file names there is one of that name, made here: the base by debootstrap (kept, as built
programs are), a program's from Debian's package of it or from a file.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tests.proof.built import kept

BASE: Final = "docker.io/library/python:3.11.14-slim-bookworm"
SUITE: Final = "bookworm"
SUITE_PACKAGES: Final = "python3,python3-venv,python-is-python3,ca-certificates"
COMMAND_TIMEOUT_S: Final = 600
NETWORK_FILES: Final = ("/etc/pip.conf", "/etc/ssl/certs", "/usr/local/share/ca-certificates")
"""How this machine reaches the package indexes: handed in while something is built, kept in no layer."""
CONTAINERS_CONF: Final = """
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=4096:4096"]
[engine]
tmp_dir = "{0}/tmp"
lock_type = "file"
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{0}/networks"
"""
"""All that podman keeps is in a folder of the engine: others on the machine are left alone, and leave it alone."""
STORAGE_CONF: Final = '[storage]\ndriver = "overlay"\ngraphroot = "{0}/store"\nrunroot = "{0}/run"\n'


class Engine:
    """Podman with a storage and settings of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "containers.conf").write_text(CONTAINERS_CONF.format(folder))
        (folder / "storage.conf").write_text(STORAGE_CONF.format(folder))
        self.environment = os.environ | {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }

    def run(self, *arguments: str | Path, fails: bool = False, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """Run a command of podman; what it says on stdout. With `fails` it may end badly: all it says is returned.

        In a folder of ours: who has a container ended for its memory leaves a file where podman stood.
        """
        done = subprocess.run(
            ["podman", *arguments],
            env=self.environment, cwd=self._folder, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        assert fails or done.returncode == 0, f"podman {' '.join(map(str, arguments))}: {done.stderr[-2000:]}"
        return f"{done.stdout}{done.stderr}" if fails else done.stdout

    def inspect(self, name: str) -> Any:
        """What podman knows of a container."""
        (one,) = json.loads(self.run("container", "inspect", name))
        return one

    def make_base(self) -> None:
        """Have the stand-in of the image that ours is built on."""
        self.run("import", _base(), BASE)

    def build(self, dockerfile: Path, tag: str, context: Path, *more: str) -> None:
        """Build an image; its programs reach the package indexes as this machine does."""
        mounts = [f"--volume={one}:{one}:ro" for one in NETWORK_FILES if Path(one).exists()]
        self.run(
            "build",
            "--format=docker",
            "--network=host",
            *mounts,
            *more,
            f"--tag={tag}",
            f"--file={dockerfile}",
            context,
        )

    def layers(self, image: str) -> list[str]:
        """The digests of what its layers hold."""
        (one,) = json.loads(self.run("image", "inspect", image))
        return list(one["RootFS"]["Layers"])

    def bytes_on_top(self, image: str, base: str) -> int:
        """The bytes of the layers that `image` has on top of `base`."""
        (one,), (below,) = (json.loads(self.run("image", "inspect", name)) for name in (image, base))
        return int(one["Size"]) - int(below["Size"])


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """An engine, and the end of all that it has started."""
    with tempfile.TemporaryDirectory(prefix="code-racer-engine-", dir="/var/tmp", ignore_cleanup_errors=True) as name:
        one = Engine(Path(name))
        try:
            yield one
        finally:
            one.run("rm", "--all", "--force", "--time=0", fails=True)
            one.run("system", "reset", "--force", fails=True)


def lacks() -> str:
    """Why no container can be run here; nothing if it can."""
    missing = [one for one in ("podman", "runc", "debootstrap", "iptables") if not shutil.which(one)]
    if missing:
        return f"missing: {', '.join(missing)} (packages of Debian)"
    return "" if os.geteuid() == 0 else "it takes root"


def eventually(holds: Callable[[], bool], timeout_s: float, every_s: float = 0.5) -> bool:
    """Whether it comes to hold; a container tells nobody of its changes."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(every_s)  # between two looks
    return True


def versions(one: Engine) -> Sequence[tuple[str, str, str]]:
    """The programs that run containers here: name, version, origin."""
    runc = subprocess.run(["runc", "--version"], capture_output=True, text=True, check=True).stdout
    podman = one.run("--version")
    return [
        (name, (re.findall(r"\d+\.\d+\.\d+\S*", said) or ["?"])[0], "Debian")
        for name, said in {"podman": podman, "runc": runc}.items()
    ]


def _base() -> Path:
    made = kept() / f"base-{SUITE}.tar"
    with (kept() / "base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=kept()) as name:
                folder, archive = Path(name) / "system", Path(name) / "archive"
                include = f"--include={SUITE_PACKAGES}"
                subprocess.run(
                    ["debootstrap", "--variant=minbase", include, SUITE, folder], check=True, capture_output=True
                )
                without = ("./var/cache/apt/archives/*.deb", "./var/lib/apt/lists/*")
                left_out = [f"--exclude={pattern}" for pattern in without]
                subprocess.run(["tar", "-C", folder, *left_out, "-cf", archive, "."], check=True)
                archive.rename(made)
    return made
